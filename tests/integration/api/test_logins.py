"""Failed logins: each source has so many, whoever was right from there passes, and nobody learns why a credential is refused.

All of 127.0.0.0/8 is here, so every test takes a source of its own.
"""

import concurrent.futures
import itertools
import json
import secrets
import subprocess
import sys
import time

import pytest
import requests
from api_rig import BIN, Account, Api, Wire, await_true, read_answer
from contract import failure, result
from requests.adapters import HTTPAdapter

import openapi_check

FAILURES = 5
REFILL_S = 600
SOURCES = itertools.count(1)


@pytest.fixture(scope="module")
def gate(db, tmp_path_factory):
    settings = {"EDGECAP_LOGIN_FAILURES": str(FAILURES), "EDGECAP_LOGIN_REFILL": "%ds" % REFILL_S}
    with Api(db, tmp_path_factory.mktemp("gate"), **settings) as api:
        yield api


class Source:
    """A client with an address of its own."""

    class Adapter(HTTPAdapter):
        def __init__(self, address):
            self.address = address
            super().__init__()

        def init_poolmanager(self, *args, **options):
            super().init_poolmanager(*args, source_address=(self.address, 0), **options)

    def __init__(self, api, address=None):
        number = next(SOURCES)
        self.api, self.address = api, address or "127.77.%d.%d" % (number >> 8, number & 255)

    def call(self, path, headers, listener="tenants", method="GET", **options):
        with requests.Session() as session:
            session.mount("http://", self.Adapter(self.address))
            return session.request(method, "http://%s%s" % (self.api.addresses[listener], path), headers=headers, timeout=60,
                                   hooks={"response": openapi_check.hook(listener)}, **options)  # fmt: skip

    def token(self, account, token=None):
        """A request that costs little when it is let in."""
        return self.call(account.path("/limits"), {"Authorization": "Bearer " + (token or secrets.token_hex(16))})

    def use_up(self, account):
        assert [self.token(account).status_code for _ in range(FAILURES)] == [401] * FAILURES
        self.refused(self.token(account))

    @staticmethod
    def refused(answer):
        failure(answer, 429, 1429)
        assert REFILL_S - 60 <= int(answer.headers["Retry-After"]) <= REFILL_S
        assert answer.headers["X-Should-Retry"] == "false" and "Ratelimit" not in answer.headers


def together(count, call):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_a_source_has_so_many_failures_and_then_costs_the_database_nothing(gate, account):
    source = Source(gate)
    before = {name: gate.metric("edgecap_api_logins_%s_total" % name) for name in ("failed", "refused")}
    source.use_up(account)
    statements = gate.metric("edgecap_database_statements_total")
    for _ in range(200):
        source.refused(source.token(account))
    assert gate.metric("edgecap_database_statements_total") - statements < 100  # heartbeats and the like
    assert gate.metric("edgecap_api_logins_failed_total") - before["failed"] == FAILURES
    assert gate.metric("edgecap_api_logins_refused_total") - before["refused"] == 201
    assert Source(gate).token(account).status_code == 401  # another source is another
    result(Source(gate).token(account, account.token))


def test_a_right_credential_is_no_failure(gate, account):
    source = Source(gate)
    for _ in range(3 * FAILURES):
        result(source.token(account, account.token))
    for _ in range(3 * FAILURES):  # known, but not for this account
        failure(source.token(Account(gate.db), account.token), 403, 10001)
    source.use_up(account)


def test_behind_one_address_who_was_right_is_not_locked_out(gate, db, account):
    nat = Source(gate)
    newcomer = account.new_token("read")
    result(nat.token(account, account.token))
    nat.use_up(account)
    for _ in range(20):
        result(nat.token(account, account.token))
        nat.refused(nat.token(account))
    nat.refused(nat.token(account, newcomer))  # who was not seen here before cannot be told from the neighbour
    result(Source(gate).token(account, newcomer))


def test_a_credential_that_is_good_no_more_is_known_no_more(gate, db, account):
    source = Source(gate)
    token = account.new_token("read", name="known")
    result(source.token(account, token))
    source.use_up(account)
    result(source.token(account, token))
    db.admin("token", "revoke", "--account", account.id, "--name", "known")
    failure(source.token(account, token), 401, 10000)
    source.refused(source.token(account, token))


def test_all_kinds_of_failures_count_for_one_source(gate, account):
    source = Source(gate)
    email, key = account.new_user("reader")

    def user(email, key):
        return source.call(account.path(), {"X-Auth-Email": email, "X-Auth-Key": key})

    failure(user(email, "x" + key), 401, 10000)
    failure(user("x" + email, key), 401, 10000)
    failure(source.token(account, key), 401, 10000)
    failure(source.call("/edge/v1/sync", {"Authorization": "Bearer " + account.token}, "edge", "POST", data=b"{}"), 401, 10000)
    failure(source.token(account), 401, 10000)
    source.refused(user(email, key))


def test_what_is_malformed_or_missing_is_no_login(gate, account):
    source = Source(gate)
    for _ in range(2 * FAILURES):
        failure(source.call(account.path(), {}), 400, 9106)
        failure(source.call(account.path(), {"Authorization": "Basic x"}), 400, 6003)
    source.use_up(account)
    failure(source.call(account.path(), {}), 400, 9106)


@pytest.mark.parametrize("whole", [True, False], ids=["with its body", "before its body"])
def test_the_log_names_the_source_of_a_wrong_sampler_token(gate, whole):
    source = Source(gate)
    with Wire("edge") as wire:
        wire.settimeout(60)
        wire.bind((source.address, 0))
        wire.connect(gate.address("edge"))
        wire.sendall(b"POST /edge/v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 2\r\n\r\n%s" % (secrets.token_hex(16).encode(), b"{}" if whole else b""))  # fmt: skip
        assert read_answer(wire)[0] == 401
    line = [x for x in gate.log().splitlines() if "event=login-failed" in x and "listener=edge" in x][-1]
    assert " peer=%s " % source.address in line and "reason=" in line


def test_three_hundred_guesses_at_once(gate, account):
    source = Source(gate)
    answers = together(300, lambda _: source.token(account))
    assert sorted(a.status_code for a in answers) == [401] * FAILURES + [429] * (300 - FAILURES)


def test_a_program_that_begins_with_a_hundred_requests_at_once(gate, account):
    """None of them is known yet, and all of them are right."""
    source = Source(gate)
    assert {a.status_code for a in together(100, lambda _: source.token(account, account.token))} == {200}
    wrong = Source(gate)
    answers = together(100, lambda _: wrong.token(account, "the-same-wrong-one"))
    assert {a.status_code for a in answers} == {401, 429}
    wrong.refused(wrong.token(account))


def test_failures_are_forgiven_one_by_one(db, account, tmp_path):
    with Api(db, tmp_path, EDGECAP_LOGIN_FAILURES="3", EDGECAP_LOGIN_REFILL="10s") as api:
        source = Source(api)
        assert [source.token(account).status_code for _ in range(4)] == [401] * 3 + [429]
        answer = source.token(account)
        failure(answer, 429, 1429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
        await_true("one is forgiven", 60, lambda: source.token(account).status_code == 401, 0.2)
        failure(source.token(account), 429, 1429)
        await_true("the next is", 60, lambda: source.token(account, account.token).status_code == 200, 0.2)


def test_a_database_that_is_away_is_no_failure(gate, db, account):
    source = Source(gate)
    db.stop()
    try:
        for _ in range(2):
            answers = together(2 * FAILURES, lambda _: source.token(account, "same"))
            assert {a.status_code for a in answers} == {503}
    finally:
        db.start()
        await_true("the database is back", 30, gate.ready)
    source.use_up(account)


# --- the samplers' listener ---


def sync(source, token):
    interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
    message = {"version": 1, "boot": secrets.token_hex(16), "seq": 1, "clock_us": time.time_ns() // 1000, "software": "s",
               "host": "h", "interfaces": [interface], "parts": []}  # fmt: skip
    return source.call("/edge/v1/sync", {"Authorization": "Bearer " + token}, "edge", "POST", json=message)


def test_samplers_tokens(gate, db, account):
    source = Source(gate)
    known, new = (db.admin("sampler", "create", "--name", "s-" + secrets.token_hex(4), "--colo", "x")["token"] for _ in range(2))
    assert sync(source, known).status_code == 200
    assert [sync(source, secrets.token_hex(16)).status_code for _ in range(FAILURES)] == [401] * FAILURES
    source.refused(sync(source, secrets.token_hex(16)))
    db.admin("sampler", "create", "--name", "s-" + secrets.token_hex(4), "--colo", "x")  # empties the edge's own memory
    assert sync(source, known).status_code == 200
    source.refused(sync(source, new))
    source.refused(source.token(account))  # one bucket for both listeners
    assert sync(Source(gate), new).status_code == 200


# --- nobody learns why ---


def raw(api, path, *headers):
    head = "".join("%s: %s\r\n" % pair for pair in headers)
    with Wire() as wire:
        wire.settimeout(60)
        wire.connect(api.address())
        wire.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, head)).encode())
        status, headers, body = read_answer(wire)
    assert len(headers.pop("x-request-id")) == 32
    headers.pop("date", None)
    return status, headers, body


def test_what_is_wrong_with_a_credential_is_told_to_the_operator_alone(api, db):
    account = Account(db)
    email, key = account.new_user("reader")
    gone, gone_key = account.new_user("reader")
    tokens = {name: account.new_token("read", name=name) for name in ("revoked", "expired", "elsewhere", "good")}
    ids = {name: id for name, id in db.sql("SELECT name, replace(id::text, '-', '') FROM api_tokens WHERE account_id = '%s'"
                                           % account.id)}  # fmt: skip
    users = dict(db.sql("SELECT email, replace(id::text, '-', '') FROM users"))
    db.admin("token", "revoke", "--account", account.id, "--name", "revoked")
    db.sql("UPDATE api_tokens SET expires_at = now() WHERE id = '%s'" % ids["expired"])
    db.sql("UPDATE api_tokens SET sources = '{192.0.2.0/24}' WHERE id = '%s'" % ids["elsewhere"])
    db.sql("UPDATE users SET disabled = true WHERE email = '%s'" % gone)

    def bearer(token):
        return (("Authorization", "Bearer " + token),)

    def user(email, key):
        return (("X-Auth-Email", email), ("X-Auth-Key", key))

    cases = {
        "token: unknown": bearer(secrets.token_urlsafe(32)),
        "token %s: revoked" % ids["revoked"]: bearer(tokens["revoked"]),
        "token %s: expired" % ids["expired"]: bearer(tokens["expired"]),
        "token %s: not for this source" % ids["elsewhere"]: bearer(tokens["elsewhere"]),
        "user: unknown": user("nobody@example.net", key),
        "user %s: wrong key" % users[email]: user(email, "x" + key),
        "user %s: disabled" % users[gone]: user(gone, gone_key),
    }
    answers = {reason: raw(api, account.path(), *headers) for reason, headers in cases.items()}
    assert {answer[0] for answer in answers.values()} == {401}
    assert len({json.dumps((s, h, b.decode())) for s, h, b in answers.values()}) == 1, answers
    log = api.log()
    for reason in cases:
        assert 'reason="%s"' % reason in log, reason
    for secret in (*tokens.values(), key, gone_key):
        assert secret not in log
    assert raw(api, account.path(), *bearer(tokens["good"]))[0] == 200


# --- many sources ---


def rss_kib(api):
    text = open("/proc/%d/status" % api.process.pid).read()
    return int(text.split("VmRSS:")[1].split()[0])


def test_many_sources_take_no_memory_beyond_the_tables(gate, account):
    def from_source(i):
        source = Source(gate, "127.%d.%d.%d" % (100 + i // 2500, i % 50 + 1, i // 50 % 50 + 1))
        return source.token(account).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(from_source, range(1000))) == {401}
        before = rss_kib(gate)
        assert set(pool.map(from_source, range(1000, 4000))) == {401}
    # of the tables' pages (3 MiB) those that were not touched yet may come; sanitizers keep what was freed
    if not {"asan", "tsan"} & set(BIN.parts):
        assert rss_kib(gate) - before < 4096


CLIENT = """
import http.client, json, sys
port, path, calls = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
seen = []
for source, token in calls:
    c = http.client.HTTPConnection("2001:db8:0:1::1", port, timeout=60, source_address=(source, 0))
    c.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
    seen.append(c.getresponse().status)
    c.close()
print(json.dumps(seen))
"""


class InNamespace(Api):
    """An API in a network namespace of its own, on an IPv6 address."""

    PREFIX = "2001:db8:0:"

    def __init__(self, db, folder, **settings):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        self.enter = ("nsenter", "-n", "-t", str(self.holder.pid))
        own = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True).stdout
        await_true("the namespace", 10, lambda: subprocess.run(
            [*self.enter, "readlink", "/proc/self/ns/net"], capture_output=True, text=True).stdout not in ("", own))  # fmt: skip
        self.inside("ip", "link", "set", "lo", "up")
        for tail in ("1::1", "1::2", "1:ffff:ffff:ffff:ffff", "2::1"):
            self.inside("ip", "-6", "addr", "add", self.PREFIX + tail + "/128", "dev", "lo", "nodad")
        super().__init__(db, folder, wrapper=self.enter, **settings)

    def inside(self, *words):
        done = subprocess.run([*self.enter, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ready(self):
        return True

    def statuses(self, path, *calls):
        port = self.addresses["tenants"].rsplit(":", 1)[1]
        named = [(self.PREFIX + source, token) for source, token in calls]
        return json.loads(self.inside(sys.executable, "-c", CLIENT, port, path, json.dumps(named)))

    def stop(self, seconds=40):
        try:
            super().stop(seconds)
        finally:
            self.holder.kill()
            self.holder.wait()


def test_an_ipv6_source_is_a_network_of_64_bits(db, tmp_path, account):
    settings = {"EDGECAP_LISTEN": "[::]:0", "EDGECAP_EDGE_LISTEN": None, "EDGECAP_OPS_LISTEN": None,
                "EDGECAP_LOGIN_FAILURES": "3", "EDGECAP_LOGIN_REFILL": "600s"}  # fmt: skip
    with InNamespace(db, tmp_path, **settings) as api:
        await_true("the database", 30, lambda: api.statuses(account.path(), ("2::1", account.token)) == [200])
        good = account.token
        assert api.statuses(account.path(), ("1::1", good), ("1::1", "a"), ("1::2", "b"), ("1:ffff:ffff:ffff:ffff", "c"),
                            ("1::1", "d"), ("1::2", "e"), ("2::1", "f"), ("1:ffff:ffff:ffff:ffff", good)) == [
            200, 401, 401, 401, 429, 429, 401, 200]  # fmt: skip
