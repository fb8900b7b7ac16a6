"""Many thousand requests that are nearly right against a running API: it neither falls, nor hangs, nor fails, nor grows.

EDGECAP_FUZZ_SEED and EDGECAP_FUZZ_REQUESTS set what is sent; a failure prints seed and conversation, and fuzzed_request.conversation
gives its requests again. Every answer's envelope is read, some of the answers are held to the document.
"""

import multiprocessing
import os
import re
import secrets
import socket
import time
from collections import Counter

import openapi_check
import pytest
from api_rig import TOP, Account, Wire, await_true, body, finished_job, resident_bytes, small_quarantine, uuid7
from bucket_rig import bucket_api, entry, token
from contract import result
from fuzzed_request import CALLS, World, conversation

BUILD = os.environ.get("EDGECAP_BIN_DIR", "")
REQUESTS = int(os.environ.get("EDGECAP_FUZZ_REQUESTS") or (100000 if "asan" in BUILD else 20000))
SEED = int(os.environ.get("EDGECAP_FUZZ_SEED") or 20261126)
WORKERS = 4
ANSWER_S = 40  # a request that is not whole is waited for 20 s, a sync is held for 10
WAITED_FOR = 300  # one of so many that are not whole is left to the time limit
HELD_TO_DOCUMENT = 25  # one conversation of so many
BATCH = 200
GROWN_BYTES = 48 * 1024 * 1024
ENDPOINT = "http://127.0.0.1:1"  # refuses connections at once
DESTINATION = "s3://bucket/dir?region=r&endpoint=" + ENDPOINT
MEMBERS = {"result", "success", "errors", "messages"}


class Found(Exception):
    """What must not be."""


def read_head(sock, data):
    """(status, headers, what came behind); None when the connection was closed."""
    while b"\r\n\r\n" not in data:
        piece = receive(sock)
        if not piece:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\x20-\x7e]+", lines[0])
    if not match:
        raise Found("no status line: %r" % lines[0])
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(": ")
        if not colon or name.lower() in headers:
            raise Found("header line %r" % line)
        headers[name.lower()] = value
    return int(match[1]), headers, rest


def receive(sock):
    try:
        return sock.recv(262144)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    except TimeoutError:
        raise Found("neither answered nor closed within %d s" % ANSWER_S) from None


def read_answer(sock, request):
    """(status, headers, body), or None when it was closed without one."""
    head = read_head(sock, b"")
    while head and head[0] == 100:
        head = read_head(sock, head[2])
    if not head:
        return None
    status, headers, content = head
    bare = request.method == "HEAD" or status in (204, 304)
    length = 0 if bare else int(headers.get("content-length", 0))
    while len(content) < length:
        piece = receive(sock)
        if not piece:
            raise Found("the answer's body is cut")
        content += piece
    if len(content) > length:
        raise Found("bytes behind the answer: %r" % content[length:][:100])
    return status, headers, content


def check(request, answer, strictly):
    """The answer is one that the API may give."""
    status, headers, content = answer
    if status == 500 or "x-request-id" not in headers:
        raise Found("status %d, %r" % (status, content[:300]))
    if strictly:
        openapi_check.check_raw(request.data, status, headers, content, request.listener)
    if content and headers.get("content-type") == "application/json":
        value = openapi_check.read_json(content)
        if not isinstance(value, dict):
            raise Found("no JSON object: %r" % content[:300])
        if status >= 400 and (not MEMBERS <= value.keys() or value["success"] is not False or not value["errors"]):
            raise Found("no envelope: %r" % content[:300])
    elif status >= 400 and request.method != "HEAD":
        raise Found("an error without JSON: %d, %r" % (status, headers))


def send(sock, request):
    for i, piece in enumerate(request.pieces):
        if i:
            time.sleep(0.001)
        sock.sendall(piece)


class Client:
    """One process's part of the requests."""

    def __init__(self, addresses, world, seed):
        self.addresses, self.world, self.seed = addresses, world, seed
        self.seen = Counter()

    def dial(self, listener):
        wire = Wire(listener)
        wire.settimeout(ANSWER_S)
        wire.connect(self.addresses[listener])
        return wire

    def talk(self, number):
        """A conversation; a connection that the API closed is made anew."""
        requests = conversation(self.seed, number, self.world)
        strictly = number % HELD_TO_DOCUMENT == 0
        sock = None
        try:
            for request in requests:
                sock = sock or self.dial(request.listener)
                sock = self.exchange(sock, request, strictly)
        except (Found, AssertionError, ValueError) as error:
            return "seed %d, conversation %d: %s\nsent: %r" % (self.seed, number, error, request.data[:1500])
        finally:
            if sock:
                sock.close()
        return None

    def exchange(self, sock, request, strictly):
        """Returns the connection if it is still good."""
        self.seen["sent"] += 1
        try:
            send(sock, request)
            sock.settimeout(0.03)
            whole = bool(sock.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            whole = False
        except (BrokenPipeError, ConnectionResetError):
            whole = True
        sock.settimeout(ANSWER_S)
        if not whole:  # slow, or it waits for more: then it sees the end
            try:
                self.seen["waited for"] += 1
                if self.seen["waited for"] % WAITED_FOR:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        answer = read_answer(sock, request)
        if answer is None:
            self.seen["closed"] += 1
            sock.close()
            return None
        check(request, answer, strictly)
        status, headers, _ = answer
        self.seen[status] += 1
        self.seen["authenticated"] += "ratelimit" in headers or request.data[:20].split(b"?")[0].find(b"/edge/v1/") >= 0 and status not in (
            400, 401, 403, 404, 405, 410, 413)  # fmt: skip
        if headers.get("connection") == "close" or request.broken:
            if receive(sock):
                raise Found("bytes behind an answer that closes")
            sock.close()
            return None
        return sock

    def run(self, numbers):
        """(Counter, faults) of some conversations."""
        self.seen.clear()
        faults = [fault for fault in map(self.talk, numbers) if fault]
        return self.seen, faults


def run_batch(client, first):
    return client.run(range(first, first + BATCH))


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def route_names():
    """Of the table in api/routes.c."""
    lines = [line for line in (TOP / "api/routes.c").read_text().splitlines() if line.startswith("\t{")]
    return [re.search(r', "([a-z]+(?:\.[a-z]+)?)", [A-Z0-9_]+, ', line)[1] for line in lines]


@pytest.fixture(scope="module")
def api(db, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    entries = [entry(folder, ENDPOINT, "secret", access_key_id="id")]
    with bucket_api(db, folder, entries, EDGECAP_LOG_LEVEL="info", ASAN_OPTIONS=small_quarantine()) as api:
        yield api


@pytest.fixture(scope="module")
def control(api, db):
    """Whose credentials nobody here uses."""
    account = Account(db, running_max=10)
    account.job = finished_job(api, account, b"the control's payload")
    account.running = result(api.call("POST", account.path(), account, json=body()))["id"]
    return account


def spare_token(api, account):
    path = "/client/v4/accounts/%s/tokens" % account.id
    headers = {"Authorization": "Bearer " + account.admin_token}
    return result(api.call("POST", path, None, headers, json={"name": secrets.token_hex(8), "permissions": ["read"]}))["id"]


def make_world(api, db, control):
    accounts = [Account(db, running_max=20, full_running_max=5) for _ in range(2)]
    jobs = []
    for account in accounts:
        account.admin_token = account.new_token("read,download,collect,admin")
        done = finished_job(api, account, b"p" * 200000)
        jobs.append([done, *(result(api.call("POST", account.path(), account, json=body()))["id"] for _ in range(3))])
    doomed = [[finished_job(api, account, b"doomed" * 10) for _ in range(20)] for account in accounts]
    spares = [[spare_token(api, account) for _ in range(20)] for account in accounts]
    users = [account.new_user("admin") for account in accounts]
    sampler = db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord02")
    return World(
        accounts=[a.id for a in accounts], tokens=[a.admin_token for a in accounts], keys=users, spares=spares, jobs=jobs, doomed=doomed,
        stranger=control.id, stranger_job=control.job, sampler=sampler["token"], signing_secret=api.settings["EDGECAP_SIGNING_SECRET"],
        destination=DESTINATION, challenges=[token(a.id, uuid7(time.time()), 1 << 33, DESTINATION) for a in accounts],
        now_s=int(time.time()),
    )  # fmt: skip


def control_state(api, db, control):
    """All that there is of the control account, but for when its credentials were used."""
    rows = db.sql("SELECT t::text FROM pcaps t WHERE account_id = '%s' ORDER BY id" % control.id)
    rows += db.sql("SELECT t::text FROM pcap_parts t WHERE account_id = '%s' ORDER BY 1" % control.id)
    rows += db.sql("SELECT t::text FROM buckets t WHERE account_id = '%s' ORDER BY 1" % control.id)
    rows += db.sql("SELECT count(*) FROM api_tokens WHERE account_id = '%s'" % control.id)
    path = api.store / ("files/%s/%s/capture.pcap" % (control.id, control.job))
    return rows, path.read_bytes()


def idle_memory(api):
    """Resident bytes when nothing is going on any more."""
    await_true("no request is left", 30, lambda: api.metric("edgecap_api_requests_in_flight") <= 1)
    await_true("no connection is left", 30,
               lambda: sum(api.metric('edgecap_api_connections{listener="%s"}' % k) for k in ("tenants", "edge", "ops")) <= 1)  # fmt: skip
    return resident_bytes(api)


def test_every_route_is_called():
    assert {call.name for call in CALLS} == set(route_names())


def test_the_same_seed_gives_the_same_requests():
    world = World([name * 8 for name in ("aaaa", "bbbb")], ["ta", "tb"], [("a@x", "ka"), ("b@x", "kb")], [["4" * 32], ["5" * 32]], [["1" * 32], ["2" * 32]], [["6" * 32], ["7" * 32]], "c" * 32, "3" * 32,
                  "s", "secret", DESTINATION, ["x", "y"], 1)  # fmt: skip
    for number in range(300):
        once, again = conversation(7, number, world), conversation(7, number, world)
        assert [r.pieces for r in once] == [r.pieces for r in again]
    assert [r.pieces for r in conversation(8, 0, world)] != [r.pieces for r in conversation(7, 0, world)]


def test_fuzzed_requests(api, db, control):
    print("EDGECAP_FUZZ_SEED=%d EDGECAP_FUZZ_REQUESTS=%d" % (SEED, REQUESTS))
    world = make_world(api, db, control)
    before = control_state(api, db, control)
    idle_memory(api)
    files = descriptors(api.process.pid)
    client = Client({name: api.address(name) for name in api.addresses}, world, SEED)
    seen, memory, first = Counter(), [], 0
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        for share in (REQUESTS // 5, REQUESTS):
            while seen["sent"] < share:
                starts = [first + BATCH * i for i in range(WORKERS)]
                first += BATCH * WORKERS
                for counted, faults in pool.starmap(run_batch, [(client, start) for start in starts]):
                    assert not faults, "%d faults; the first: %s" % (len(faults), faults[0])
                    seen += counted
                assert api.process.poll() is None, api.log()[-6000:]
                assert api.call("GET", "/healthz").status_code == 200
            memory.append(idle_memory(api))
    print(dict(seen), "memory", memory)
    assert seen["authenticated"] > seen["sent"] * 0.2, seen
    assert control_state(api, db, control) == before
    assert memory[1] <= memory[0] + GROWN_BYTES, memory
    await_true("descriptors are as many as before", 10, lambda: descriptors(api.process.pid) <= files)  # some linger for 2 s
    await_true("the database was not lost", 10, api.ready)
    routes_were_reached(api)
    assert "status=500" not in api.log()


def routes_were_reached(api):
    """Each route of the table was called, and most of them with success."""
    text = api.call("GET", "/metrics", listener="ops").text
    counts = Counter()
    for name, status, value in re.findall(r'^edgecap_api_requests_total\{route="([a-z.]+)",status="(\d)\d*"\} (\d+)$', text, re.M):
        counts[name, status] += int(value)
    for name in route_names():
        # a bucket's endpoint refuses connections here
        status = "4" if name in ("ownership.create", "ownership.validate", "ownership.delete") else "2"
        assert counts[name, status] > 0, (name, counts)
