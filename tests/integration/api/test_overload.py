"""One who asks for too much, or hardly sends and hardly reads, in front of somebody who asks for little."""

import os
import re
import secrets
import socket
import threading
import time
from pathlib import Path

import pytest
from api_rig import (
    BIN,
    Account,
    Api,
    Wire,
    await_true,
    body,
    finished_job,
    read_answer,
    receive,
    resident_bytes,
    small_quarantine,
)
from contract import check_failure, failure, result
from crowd import Crowd, bearer, download_head, head, raise_descriptors
from test_edge import chunk_key, message, put, sync, url

CHUNK = 8 * 1024 * 1024
SANITIZED = re.search("[at]san", os.environ.get("EDGECAP_BIN_DIR", ""))
KEPT_BYTES = (128 if SANITIZED else 16) * 1024 * 1024
LINGER_S = 2  # LIMIT_LINGER_S
TENANTS_CONNECTIONS = 'edgecap_api_connections{listener="tenants"}'
LONG = 3000000  # of a file that no buffer takes whole
TENANTS_BODIES_BYTES = 64 * 1024 * 1024
IDLE, SLOW = 10000, 500  # of them readers, and as many writers


def begin(api, text, listener="tenants", **options):
    wire = api.dial(listener, **options)
    wire.sendall(text.encode())
    return wire


def new_sampler(db):
    return db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord01")


def own_key(sampler, seq):
    return chunk_key(seq=seq).replace("2" * 32, sampler["id"])


def descriptors(api):
    return len(os.listdir("/proc/%d/fd" % api.process.pid))


def test_strangers_cannot_send_bodies_to_the_samplers_listener(api, db):
    """200 promise a chunk: each is refused before it sends it, and a sampler's upload is taken meanwhile."""
    sampler = new_sampler(db)
    length = "Content-Length: %d" % CHUNK
    wires = []
    for i in range(50):
        key = own_key(sampler, i)
        wires += [
            (begin(api, head("PUT", url(key, secret=b"guessed"), length), "edge"), 403, 10001),
            (begin(api, head("POST", "/edge/v1/sync", "Content-Length: 4000000", bearer("guessed")), "edge"), 401, 10000),
            (begin(api, head("POST", "/edge/v1/sync", "Content-Length: 4000000"), "edge"), 400, 9106),
            (begin(api, head("PUT", url(key, expires=1), "Transfer-Encoding: chunked"), "edge"), 410, 1410),
        ]
    assert result(put(api, url(own_key(sampler, 99), limit=CHUNK), b"c" * CHUNK))["bytes"] == CHUNK
    assert sync(api, "Bearer " + sampler["token"], json=message(parts=[unknown_part()])).status_code == 200
    assert api.metric("edgecap_api_request_body_bytes") == 0
    for wire, status, code in wires:
        with wire:
            seen, headers, content = read_answer(wire)
            assert seen == status and headers["connection"] == "close"
            check_failure(seen, content, code)
            wire.settimeout(10)
            assert wire.recv(1) == b""


def unknown_part():
    """That the API wants to be forgotten: it answers at once."""
    return {"account": "1" * 32, "pcap": "%032x" % secrets.randbits(128), "state": "running", "started_us": 0, "ended_us": 0, "ledger": {},
            "streams": []}  # fmt: skip


@pytest.mark.parametrize("tail, status", [("/healthz", 413), ("/nothing", 404), ("/edge/v1/objects/a", 404)])
def test_no_other_way_takes_a_body_there(api, tail, status):
    with begin(api, head("PUT", tail, "Content-Length: 9"), "edge") as wire:
        assert read_answer(wire)[0] == status


def test_a_sampler_has_a_share_of_the_bodies(api, db):
    """One that sends much and never ends takes a quarter of the memory: the next one's upload is taken."""
    greedy, other = new_sampler(db), new_sampler(db)
    wires = []
    for i in range(40):
        wires.append(begin(api, head("PUT", url(own_key(greedy, i), limit=CHUNK), "Content-Length: %d" % CHUNK), "edge"))
        wires[-1].sendall(b"x" * 100000)
    refused = [wire for wire in wires[16:] if read_answer(wire)[0] == 503]
    assert len(refused) == 24
    await_true("what came is counted", 60, lambda: api.metric("edgecap_api_request_body_bytes") == 16 * 100000)
    assert result(put(api, url(own_key(other, 0), limit=CHUNK), b"c" * CHUNK))["bytes"] == CHUNK
    for wire in wires:
        wire.close()
    await_true("all is given back", 60, lambda: api.metric("edgecap_api_request_body_bytes") == 0)
    assert result(put(api, url(own_key(greedy, 50), limit=CHUNK), b"c" * CHUNK))["bytes"] == CHUNK


def test_an_account_has_a_share_of_the_requests(db, tmp_path):
    account, other = Account(db), Account(db)
    with Api(db, tmp_path, EDGECAP_ACCOUNT_REQUESTS_MAX="3", EDGECAP_ACCOUNT_DOWNLOADS_MAX="3") as api:
        job = finished_job(api, account, b"p" * 8000000)
        wires = [begin(api, download_head(account, job), receive_bytes=4096) for _ in range(3)]
        for wire in wires:
            assert wire.recv(12) == b"HTTP/1.1 200"
        error = failure(api.call("GET", account.path(), account), 429, 1429)
        assert error["message"] == "Too many requests at the same time: at most 3"
        failure(api.call("GET", account.path(), account, {"Authorization": "Bearer " + account.new_token("read")}), 429, 1429)
        result(api.call("GET", other.path(), other))
        # a stranger at the account's door takes nothing of it
        failure(api.call("GET", account.path(), other), 403, 10001)
        wires.pop().close()
        await_true("a place is free", 60, lambda: api.call("GET", account.path(), account).status_code == 200)
        for wire in wires:
            wire.close()


def test_an_accounts_tokens_are_one_stranger_elsewhere(db, tmp_path):
    """At the door of another account as well an account has its own rate, not one for each token."""
    account, other = Account(db), Account(db)
    tokens = [account.new_token("read") for _ in range(4)]
    with Api(db, tmp_path, EDGECAP_REQUEST_RATE="1", EDGECAP_REQUEST_BURST="1000") as api:
        began = time.monotonic()
        for token in tokens * 20:
            answer = api.call("GET", other.path(), None, {"Authorization": "Bearer " + token})
            failure(answer, 403, 10001)
        left = int(re.search(r";r=(\d+);", answer.headers["RateLimit"])[1])
        assert left <= 1000 - 80 + (time.monotonic() - began)
        answer = api.call("GET", other.path(), other)
        result(answer)
        assert ";r=999;" in answer.headers["RateLimit"]


def test_an_account_has_a_share_of_the_downloads(db, tmp_path):
    account, other = Account(db), Account(db)
    with Api(db, tmp_path, EDGECAP_ACCOUNT_DOWNLOADS_MAX="2") as api:
        jobs = {a: finished_job(api, a, b"p" * 8000000) for a in (account, other)}
        wires = [begin(api, download_head(account, jobs[account]), receive_bytes=4096) for _ in range(2)]
        for wire in wires:
            assert wire.recv(12) == b"HTTP/1.1 200"
        answer = api.call("GET", account.path("/%s/download" % jobs[account]), account)
        assert failure(answer, 429, 1429)["message"] == "Too many downloads at the same time: at most 2"
        assert answer.headers["Retry-After"] == "1"
        result(api.call("GET", account.path(), account))
        assert api.call("GET", other.path("/%s/download" % jobs[other]), other).status_code == 200
        for wire in wires:
            wire.close()
        await_true("they are free", 60, lambda: api.call("GET", account.path("/%s/download" % jobs[account]), account).status_code == 200)


@pytest.mark.parametrize("tokens", [1, 30])
def test_a_thousand_requests_of_one_do_not_fill_the_service(db, tmp_path, tokens):
    """They come at once, where only a hundred are handled at a time: another's get in nevertheless."""
    greedy, other = Account(db), Account(db)
    texts = [head("GET", greedy.path("/limits"), bearer(greedy.new_token("read"))).encode() for _ in range(tokens)]
    with Api(db, tmp_path, EDGECAP_REQUESTS_MAX="100", EDGECAP_ACCOUNT_REQUESTS_MAX="40") as api:
        for text in texts:  # each was seen before
            assert api.raw(text)[0] == 200
        wires = [api.dial() for _ in range(900)]
        seen, statuses = [], []

        def ask():
            for _ in range(40):
                seen.append(api.call("GET", other.path(), other).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(3):
            for i, wire in enumerate(wires):
                wire.sendall(texts[i % tokens])
            statuses += [read_answer(wire)[0] for wire in wires]
        asking.join()
        for wire in wires:
            wire.close()
        assert seen == [200] * 40
        assert set(statuses) <= {200, 429} and statuses.count(200) >= 100, {s: statuses.count(s) for s in set(statuses)}


def test_slow_readers_of_many_accounts_hold_up_nobody(db, tmp_path):
    """They hold all answers that may wait and more than the requests that may be handled: another's requests go on, and his first download."""
    limits = {"REQUESTS_MAX": 10, "ANSWERS_MAX": 40, "ACCOUNT_DOWNLOADS_MAX": 10}
    accounts, other = [Account(db) for _ in range(8)], Account(db)
    content = b"p" * LONG
    with Api(db, tmp_path, **{"EDGECAP_" + name: str(value) for name, value in limits.items()}) as api:
        files = descriptors(api)
        jobs = [(a, finished_job(api, a, content)) for a in accounts]
        wires = [slow_download(api, *job) for job in jobs for _ in range(5)]
        assert all(wires) and api.metric("edgecap_api_answers_unread") == 40
        job = finished_job(api, other, content)
        result(api.call("GET", other.path(), other))
        result(api.call("GET", other.path("/" + job), other))
        result(api.call("POST", other.path(), other, json=body()))
        # one of theirs that waits for its client goes for each: 4.4 places are the ninth's equal part
        own = [await_true("a place for the other's download", 60, lambda: slow_download(api, other, job)) for _ in range(4)]
        answer = api.call("GET", other.path("/%s/download" % job), other)
        assert failure(answer, 503, 1503)["message"] == "Too many downloads of all accounts; try again"
        assert answer.headers["Retry-After"] == "5"
        assert api.metric("edgecap_api_answers_yielded_total") == 4
        assert api.metric("edgecap_api_answers_unread") == 40
        assert [len(read_answer(wire)[2]) for wire in own] == [len(content)] * 4
        assert sum(len(rest(wire)) < len(content) for wire in wires) == 4
        for wire in wires + own:
            wire.close()
        await_true("nothing is left", 60, lambda: api.metric("edgecap_api_answers_unread") == 0)
        await_true("the files are closed", 60, lambda: descriptors(api) <= files + 3)
        assert api.call("GET", other.path("/%s/download" % job), other).content == content


def slow_download(api, account, job):
    """A connection on which the answer has begun that nobody reads; None when it was refused for the time being."""
    wire = begin(api, download_head(account, job), receive_bytes=4096)
    if wire.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 200":
        return wire
    with wire:
        status, headers, content = read_answer(wire)
        assert status == 503 and headers["retry-after"] == "5", content
    return None


def rest(wire):
    """What still comes until the end."""
    pieces = []
    while piece := receive(wire):
        pieces.append(piece)
        if sum(map(len, pieces)) >= LONG:
            break
    return b"".join(pieces)


def test_fifty_accounts_of_one_attacker(db, tmp_path):
    """With the limits as they come: 1,000 downloads at 2 KiB/s, each made anew when it was cut, and a tenant beside them."""
    if raise_descriptors() < 2500:
        pytest.skip("this needs 2500 descriptors")
    content = b"what the tenant has captured" * 1000
    with Api(db, tmp_path, ASAN_OPTIONS=small_quarantine()) as api:
        accounts, tenant = [Account(db) for _ in range(50)], Account(db, running_max=100)
        readers = [download_head(a, finished_job(api, a, b"p" * 3000000)) for a in accounts] * 20
        job = finished_job(api, tenant, content)

        def ask():
            result(api.call("GET", tenant.path(), tenant))
            result(api.call("POST", tenant.path(), tenant, json=body()))
            result(api.call("GET", tenant.path("/" + job), tenant))
            await_true("the tenant's download", 60, lambda: api.call("GET", tenant.path("/%s/download" % job), tenant).content == content)

        ask()
        files, start = descriptors(api), resident_bytes(api)
        with Crowd(*api.address(), readers=readers) as crowd:
            await_true("all are there", 60, lambda: api.metric("edgecap_api_answers_unread") == 1000)
            for _ in range(20):
                ask()
            assert api.metric("edgecap_api_answers_unread") >= 900
        assert crowd.result["refused"] == 0 and api.metric("edgecap_api_answers_yielded_total") >= 1
        await_true("they are forgotten", 60, lambda: api.metric("edgecap_api_answers_unread") == 0)
        await_true("their files are closed", 60, lambda: descriptors(api) <= files + 3)
        if "tsan" not in BIN.parts:
            await_true("their memory is given back", 60, lambda: resident_bytes(api) <= start + KEPT_BYTES, 0.5)


def test_slow_writers_of_many_accounts_hold_up_nobody(db, tmp_path):
    """More unfinished bodies than there is memory for, from several addresses: the oldest yield, and another's is taken."""
    count, size = 1300, 60000
    if raise_descriptors() < 2 * count:
        pytest.skip("this needs %d descriptors" % (2 * count))
    account, other = Account(db), Account(db)
    with Api(db, tmp_path, ASAN_OPTIONS=small_quarantine()) as api:
        result(api.call("POST", other.path(), other, json=body()))
        files, start = descriptors(api), resident_bytes(api)
        text = (head("POST", account.path(), bearer(account.token), "Content-Length: %d" % size) + "x" * (size - 1)).encode()
        wires = []
        for i in range(count):
            wires.append(Wire())
            wires[-1].settimeout(60)
            wires[-1].bind(("127.0.0.%d" % (2 + i % 4), 0))
            wires[-1].connect(api.address())
            wires[-1].sendall(text)
        for _ in range(3):  # as large as theirs: what is unknown in a body is ignored
            result(api.call("POST", other.path(), other, json=body(padding="x" * size)))
            result(api.call("GET", other.path(), other))
        assert 0 < api.metric("edgecap_api_request_body_bytes") <= TENANTS_BODIES_BYTES
        with wires[0]:
            status, headers, content = read_answer(wires[0])
            assert status == 503 and headers["retry-after"] == "1"
            check_failure(status, content, 1503)
        for wire in wires:
            wire.close()
        await_true("nothing is left", 60, lambda: api.metric("edgecap_api_request_body_bytes") == 0)
        await_true("the connections are closed", 60, lambda: descriptors(api) <= files + 3)
        if "tsan" not in BIN.parts:
            await_true("their memory is given back", 60, lambda: resident_bytes(api) <= start + KEPT_BYTES, 0.5)


def test_a_source_has_a_share_of_the_connections(db, tmp_path):
    with Api(db, tmp_path, EDGECAP_CONNECTIONS_PER_SOURCE="20") as api:
        wires = [api.dial() for _ in range(15)]
        assert api.call("GET", "/healthz").status_code == 200
        await_true("the sixteenth is gone", 60, lambda: api.metric(TENANTS_CONNECTIONS) == 15)
        wires += [api.dial() for _ in range(10)]
        await_true("five of them are closed", 60, lambda: api.metric("edgecap_api_connections_refused_total") == 5)
        assert api.metric(TENANTS_CONNECTIONS) == 20
        assert [is_closed(wire) for wire in wires] == [False] * 20 + [True] * 5
        for wire in wires:
            wire.close()
        await_true("they may come again", 60, lambda: answered(api))


def is_closed(wire):
    wire.setblocking(False)
    try:
        return wire.recv(1) == b""
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False


def answered(api):
    with api.dial() as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            return wire.recv(12) == b"HTTP/1.1 200"
        except ConnectionResetError:
            return False


def test_a_body_without_pace_is_cut(api, db):
    """A sampler's has two minutes if it comes at its rate; one that comes byte by byte is cut before, and the other is not."""
    sampler = new_sampler(db)
    text = [head("PUT", url(own_key(sampler, i), limit=CHUNK, expires=4000000000), "Content-Length: %d" % CHUNK) for i in range(2)]
    with begin(api, text[0], "edge") as steady, begin(api, text[1], "edge") as slow:
        steady.sendall(b"c" * (CHUNK - 1))
        begun = time.monotonic()
        slow.settimeout(0.5)
        while not is_cut(slow):
            assert time.monotonic() - begun < 100, "it had the time of one that comes at its rate"
        steady.sendall(b"c")
        assert read_answer(steady)[0] == 200


def is_cut(wire):
    """After half a second and a byte more."""
    try:
        wire.sendall(b"x")
        return wire.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def test_surplus_bytes_do_not_cost_the_answers_end(api, db):
    """The API has closed before the client reads on, and bytes are there that nobody reads: the file comes whole."""
    account = Account(db)
    content = b"p" * LONG
    job = finished_job(api, account, content)
    text = download_head(account, job)
    for _ in range(100):
        before = api.metric(TENANTS_CONNECTIONS)
        with begin(api, text + "more", receive_bytes=4096) as wire:
            wire.sendall(b"and more")
            data = b""
            while True:
                open_s = time.monotonic()
                if api.metric(TENANTS_CONNECTIONS) == before or not (piece := receive(wire)):
                    break
                data += piece
            data += rest(wire)
        # who takes half of LIMIT_LINGER_S may lose the end: that proves nothing
        if data.endswith(b"\r\n\r\n" + content) or time.monotonic() - open_s < LINGER_S / 2:
            break
    assert data.partition(b"\r\n\r\n")[2] == content


def test_a_refusal_reaches_who_goes_on_sending(api, db):
    """A body that is too long is refused at its head; what the client still sends is thrown away for a while, and resets nothing."""
    account = Account(db)
    text = head("POST", account.path(), bearer(account.token), "Content-Length: 90000000")
    for _ in range(20):
        with begin(api, text) as wire:
            status, _, content = read_answer(wire)
            open_s = time.monotonic()
            check_failure(status, content, 1413)
            assert status == 413
            try:
                for _ in range(64):
                    wire.sendall(b"x" * 65536)
                break
            except (BrokenPipeError, ConnectionResetError):
                # who takes half of LIMIT_LINGER_S may be late: that proves nothing
                assert time.monotonic() - open_s > LINGER_S / 2
    else:
        raise AssertionError("never in time")


def test_idle_connections_make_room(db, tmp_path):
    """300 idle where 200 may be: whoever comes is served, and each idle one was in the way of somebody."""
    account = Account(db)
    with Api(db, tmp_path, EDGECAP_CONNECTIONS_MAX="200") as api:
        host, port = api.address()
        with Crowd(host, port, idle=300) as crowd:
            for _ in range(50):
                result(api.call("GET", account.path(), account))
            assert api.metric("edgecap_api_connections_yielded_total") >= 100
        assert crowd.result["opened"] == 300
        assert api.metric("edgecap_api_connections_refused_total") == 0


@pytest.mark.parametrize("limit, enough", [("100:1500", True), ("100:600", False)])
def test_descriptors_are_as_many_as_connections_need(db, tmp_path, limit, enough):
    """Three listeners of 200 connections, 500 answers that may each be a file, and what else is open."""
    with Api(db, tmp_path, wrapper=("prlimit", "--nofile=" + limit), EDGECAP_CONNECTIONS_MAX="200", EDGECAP_ANSWERS_MAX="500") as api:
        limits = Path("/proc/%d/limits" % api.process.pid).read_text(encoding="ascii")
        assert re.search(r"^Max open files +(\d+)", limits, re.M)[1] == limit.partition(":")[2]
        assert ("event=few-descriptors limit=600 needed=1356" in api.log()) is not enough


@pytest.fixture(scope="module")
def crowded(db, tmp_path_factory):
    """An API that takes 12,000 connections, and who comes: 25 accounts with 20 downloads each, and strangers."""
    if raise_descriptors() < IDLE + 2 * SLOW + 500:
        pytest.skip("this needs %d descriptors" % (IDLE + 2 * SLOW + 500))
    with Api(db, tmp_path_factory.mktemp("crowd"), EDGECAP_CONNECTIONS_MAX="12000", ASAN_OPTIONS=small_quarantine()) as api:
        accounts = [Account(db) for _ in range(SLOW // 20)]
        heads = [download_head(a, finished_job(api, a, b"p" * 3000000)) for a in accounts]
        api.readers = heads * 20
        api.writers = [head("POST", accounts[0].path(), bearer(accounts[0].token), "Content-Length: 60000")] * SLOW
        yield api


def test_a_crowd_does_not_disturb_a_tenant(crowded, db):
    """10,000 idle connections, 500 that read and 500 that write 1 byte a second: all that another asks is answered, nothing is left of them."""
    api, tenant = crowded, Account(db)
    content = b"what the tenant has captured"
    job = finished_job(api, tenant, content)
    host, port = api.address()

    def ask(count):
        for _ in range(count):
            assert result(api.call("GET", tenant.path("/" + job), tenant))["id"] == job
            assert api.call("GET", tenant.path("/%s/download" % job), tenant).content == content

    ask(50)
    files = descriptors(api)
    start = resident_bytes(api)
    for _ in range(2):
        with Crowd(host, port, IDLE, api.readers, api.writers) as crowd:
            await_true("all are there", 60, lambda: descriptors(api) >= IDLE + 2 * SLOW)
            begun = time.monotonic()
            while time.monotonic() - begun < 8:
                ask(20)
            assert api.metric('edgecap_api_connections{listener="tenants"}') >= IDLE + 2 * SLOW - 100
        assert crowd.result["bytes read"] > 1000000 and crowd.result["refused"] == 0, crowd.result
        await_true("they are forgotten", 60, lambda: api.metric('edgecap_api_connections{listener="tenants"}') <= 1)
        await_true("their files are closed", 60, lambda: descriptors(api) <= files + 3)
        assert api.metric("edgecap_api_request_body_bytes") == 0
        if "tsan" not in BIN.parts:  # its own books of descriptors and memory only grow
            await_true("their memory is given back", 60, lambda: resident_bytes(api) <= start + KEPT_BYTES, 0.5)
    ask(20)
    assert "status=503" not in api.log() and "status=429" not in api.log()
