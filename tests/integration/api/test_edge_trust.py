"""An edge host is trusted with its own parts alone: what one sampler can do to another's, and what its lies come to."""

import json
import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from api_rig import Account, await_true, body, uuid7
from contract import failure, result
from test_edge import OBJECTS, chunk_key, message, put, sync, url

COUNTERS = ("observed", "accepted", "delivered", "matched", "selected", "captured", "bytes", "dropped_kernel",
            "dropped_interface", "dropped_spool", "dropped_limit")  # fmt: skip


class Host:
    """A sampler that says what a test wants."""

    def __init__(self, db, api):
        self.db, self.api, self.seq, self.boot = db, api, 0, "%032x" % secrets.randbits(128)
        made = db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord01")
        self.id, self.token = made["id"], "Bearer " + made["token"]

    def message(self, *parts, **changes):
        self.seq += 1
        return message(**{"boot": self.boot, "seq": self.seq, "parts": list(parts), **changes})

    def say(self, *parts, wait_s=0.7, **changes):
        """Send a message. Returns the answer; None when it was taken and is held, because there is nothing to say."""
        try:
            return sync(self.api, self.token, json=self.message(*parts, **changes), timeout=wait_s)
        except requests.exceptions.ReadTimeout:
            return None

    def takes(self, *parts, **changes):
        """A message is not refused."""
        answer = self.say(*parts, **changes)
        assert answer is None or answer.status_code == 200, answer.text
        return answer

    def refused(self, *parts, **changes):
        """A message is refused at once, however long that takes on a slow machine."""
        failure(self.say(*parts, wait_s=60, **changes), 400, 1022)

    def part(self, job):
        rows = self.db.sql("SELECT row_to_json(x) FROM pcap_parts x WHERE pcap_id = '%s' AND sampler_id = '%s'"
                           % (job, self.id))
        return json.loads(rows[0][0]) if rows else None


def report(account, job, state="running", captured=0, stored=0, closed=None, **changes):
    ledger = {"accepted": captured, "delivered": captured, "matched": captured, "selected": captured, "captured": captured}
    return {"account": account, "pcap": job, "state": state, "started_us": time.time_ns() // 1000, "ended_us": 0,
            "ledger": ledger, "streams": [{"stream": 0, "closed": stored if closed is None else closed, "stored": stored}],
            **changes}  # fmt: skip


def refused(answer):
    return answer is not None and answer.status_code == 401


def silence(db):
    """Nobody else gets a part of the next job."""
    db.sql("UPDATE samplers SET last_seen = NULL")


@pytest.fixture
def pair(db, api):
    """Two hosts, an account, and a job that has its only part at the second."""
    silence(db)
    one, two, account = Host(db, api), Host(db, api), Account(db)
    two.takes()
    await_true("it may get jobs", 10,
               lambda: db.sql("SELECT last_seen IS NOT NULL FROM samplers WHERE id = '%s'" % two.id) == [["t"]])
    job = result(api.call("POST", account.path(), account, json=body(packet_limit=1000, time_limit=300)))["id"]
    assert two.part(job) and not one.part(job)
    yield one, two, account, job
    api.call("PUT", account.path("/%s/stop" % job), account)
    db.sql("UPDATE pcap_parts SET state = 'lost' WHERE state IN ('assigned', 'running') AND pcap_id = '%s'" % job)


def settled(db):
    """Until what was said has been written."""
    time.sleep(0.8)


def test_a_sampler_reads_its_own_jobs_only(pair, db):
    """A asks: it is told nothing of B's part, also when it says that it has it."""
    one, two, account, job = pair
    said = one.say(report(account.id, job), wait_s=15).json()
    assert [p for p in said["parts"] if p["desired"] != "forget"] == [], said
    assert [p["pcap"] for p in said["parts"]] == [job], "it is told to forget what it claimed"
    assert "grants" not in said["parts"][0] and "filter" not in said["parts"][0] and not said.get("scopes")
    mine = two.say(wait_s=15).json()
    (part,) = [p for p in mine["parts"] if p["pcap"] == job]
    assert part["desired"] == "run" and part["grants"]
    for grant in part["grants"]:
        assert grant["url"].partition(OBJECTS)[2].startswith("chunks/%s/%s/%s/" % (account.id, job, two.id))


@pytest.mark.parametrize("lie", [
    {"state": "running", "captured": 1000, "stored": 5},
    {"state": "done", "captured": 1000, "stored": 5},
    {"state": "failed", "reason": "error", "error": "b is broken"},
    {"state": "ended", "captured": 1000},
])  # fmt: skip
def test_a_sampler_reports_of_its_own_parts_only(pair, db, lie):
    """A says that B's part did this: nothing changes."""
    one, two, account, job = pair
    before = two.part(job)
    one.takes(report(account.id, job, **lie))
    settled(db)
    assert two.part(job) == before and one.part(job) is None
    assert db.sql("SELECT stage, captured, budget_packets FROM pcaps WHERE id = '%s'" % job) == [["capturing", "0", "0"]]


def test_another_accounts_name_changes_nothing(pair, db):
    """B's own part under another account's name is its own part, or nothing."""
    one, two, account, job = pair
    other = Account(db)
    two.takes(report(other.id, job, captured=7))
    settled(db)
    assert db.sql("SELECT count(*) FROM pcap_parts WHERE account_id = '%s'" % other.id) == [["0"]]
    assert db.sql("SELECT account_id = '%s' FROM pcap_parts WHERE pcap_id = '%s'" % (account.id, job)) == [["t"]]


def test_a_signed_url_is_for_one_key_one_method_and_a_time(pair, api):
    """What one has been granted is of no use for another's key."""
    one, two, account, job = pair
    said = two.say(wait_s=15).json()
    (part,) = [p for p in said["parts"] if p["pcap"] == job]
    target = part["grants"][0]["url"].partition("http://127.0.0.1:1")[2]
    assert two.id in target and part["grants"][0]["expires_us"] <= (time.time() + 601) * 1e6
    for stolen in (target.replace(two.id, one.id), target.replace(job, uuid7(time.time())),
                   target.replace(account.id, "3" * 32), target.replace("/00-0000", "/01-0000"),
                   target.replace("00000000.pcapng", "00000009.pcapng")):  # fmt: skip
        assert stolen != target
        failure(put(api, stolen), 403, 10001)
    for method in ("GET", "DELETE", "POST", "PATCH"):
        answer = api.call(method, target, listener="edge")
        assert answer.status_code == 405, (method, answer.status_code)
    assert not list((api.store / "chunks").rglob(two.id + "*/*")) if (api.store / "chunks").exists() else True
    result(put(api, target))
    failure(put(api, url(chunk_key(), expires=1)), 410, 1410)


BAD_NUMBERS = (-1, 2**53 + 2, 2**63, 2**64, -(2**63), 1e300, 1.5, "5", None, True, [], {})


@pytest.mark.parametrize("where", [*COUNTERS, "started_us", "ended_us", "closed", "stored", "stream", "clock_us", "seq"])
def test_numbers_that_are_none(pair, db, where):
    """Refused as a whole, 400, and nothing of it is taken; never 413, which is a body's size, nor 500."""
    one, two, account, job = pair
    before = two.part(job)
    for value in BAD_NUMBERS:
        part = report(account.id, job, captured=3)
        changes = {}
        if where in COUNTERS:
            part["ledger"][where] = value
        elif where in ("closed", "stored", "stream"):
            part["streams"][0][where] = value
        elif where in ("started_us", "ended_us"):
            part[where] = value
        else:
            changes[where] = value
        two.refused(part, **changes)
    settled(db)
    assert two.part(job) == before


def test_lists_that_are_too_long(pair):
    one, two, account, job = pair
    many = [report(account.id, "%032x" % i) for i in range(4097)]
    two.refused(*many)
    two.refused(report(account.id, job), report(account.id, job))
    streams = [{"stream": i % 16, "closed": 0, "stored": 0} for i in range(17)]
    two.refused(report(account.id, job, streams=streams))
    interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
    two.refused(interfaces=[{**interface, "name": "e%d" % i} for i in range(1000)])
    two.refused(software="s" * 129)
    two.refused(report(account.id, job, error="e" * 257, reason="error", state="failed"))


def test_thousands_of_parts_that_are_not_its_own(pair, db):
    """All of them are to be forgotten; its own goes on."""
    one, two, account, job = pair
    many = [report(account.id, uuid7(time.time() + i / 1000)) for i in range(4094)]
    said = two.say(report(account.id, job, captured=1), *many, wait_s=15)
    assert said.status_code == 200
    assert {p["pcap"] for p in said.json()["parts"] if p["desired"] == "forget"} <= {p["pcap"] for p in many}
    await_true("its own part runs", 5, lambda: two.part(job)["state"] == "running")
    assert db.sql("SELECT count(*) FROM pcap_parts WHERE sampler_id = '%s'" % two.id) == [["1"]]


def test_counters_that_fall_and_jump(pair, db):
    """The greater number counts while it runs; the absurd stays in its own part."""
    one, two, account, job = pair
    for captured in (5, 3, 0, 7):
        two.takes(report(account.id, job, captured=captured, stored=1))
    await_true("the most is there", 5, lambda: two.part(job)["captured"] == 7)
    part = report(account.id, job, captured=7, stored=1)
    part["ledger"].update(observed=2**53, dropped_kernel=2**53, bytes=2**53)
    two.takes(part)
    await_true("it is there", 5, lambda: two.part(job)["observed"] == 2**53)
    shown = result(api_get(two.api, account, job))
    assert shown["status"] == "pending"


def api_get(api, account, job):
    return api.call("GET", account.path("/" + job), account)


@pytest.mark.parametrize("clock_us", [0, 1, 2**53, 4102444800 * 10**6])
def test_absurd_clocks(pair, db, clock_us):
    """1970 and 2255: the offset is kept with its part, and the service's clock is its own."""
    one, two, account, job = pair
    two.takes(report(account.id, job, captured=1, started_us=clock_us), clock_us=clock_us)
    await_true("it runs", 5, lambda: two.part(job)["state"] == "running")
    assert abs(two.part(job)["clock_offset_us"] - (clock_us - time.time() * 1e6)) < 60e6
    assert db.sql("SELECT abs(extract(epoch FROM last_seen - now())) < 30 FROM samplers WHERE id = '%s'" % two.id) == [["t"]]
    assert result(api_get(two.api, account, job))["status"] == "pending"


def test_another_boot_cannot_take_a_part_over(pair, db):
    """A part runs under one process; another that says it runs changes nothing, and one that does not know it ends it."""
    one, two, account, job = pair
    two.takes(report(account.id, job, captured=5, stored=1))
    await_true("it runs", 5, lambda: two.part(job)["state"] == "running")
    boot, two.boot = two.part(job)["boot"], "%032x" % 99
    two.takes(report(account.id, job, captured=900, stored=1))
    settled(db)
    part = two.part(job)
    assert (part["boot"], part["captured"]) == (boot, 5)


def test_a_sum_of_absurd_counters_hurts_nobody(pair, db, api):
    """The sums of a job are capped: the reports of other hosts are taken as before."""
    one, two, account, job = pair
    db.sql("INSERT INTO pcap_parts (account_id, pcap_id, sampler_id, sampler_name, colo, software, state)"
           " SELECT '%s', '%s', gen_random_uuid(), 'x' || i, 'x', '', 'assigned' FROM generate_series(1, 2000) i"
           % (account.id, job))
    db.sql("UPDATE pcap_parts SET observed = 9007199254740992 WHERE pcap_id = '%s' AND sampler_name LIKE 'x%%'" % job)
    two.takes(report(account.id, job, captured=5, stored=1))
    await_true("it runs", 5, lambda: two.part(job)["captured"] == 5)
    assert db.sql("SELECT observed, captured FROM pcaps WHERE id = '%s'" % job) == [["9007199254740992", "5"]]


def test_a_disabled_sampler_is_refused_at_once(pair, db):
    one, two, account, job = pair
    two.takes()
    db.admin("sampler", "disable", "--name", two.id)
    await_true("it is refused", 2, lambda: refused(two.say()))


def held(db, host, account, job, captured):
    """A message that was taken and waits for news: its answer, in the future."""
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(host.say, report(account.id, job, captured=captured), wait_s=30)
    pool.shutdown(wait=False)
    await_true("it was taken", 10, lambda: host.part(job)["captured"] == captured)
    assert not answer.done()
    return answer


@pytest.mark.parametrize("change", [["token", "--overlap", "0s"], ["disable"]])
def test_a_held_message_ends_with_its_credential(pair, db, api, change):
    """Who came with a token that is void now is told nothing more: neither of new jobs, nor of the prefixes of old ones."""
    one, two, account, job = pair
    two.takes(report(account.id, job, captured=1))
    answer = held(db, two, account, job, captured=2)
    db.admin("sampler", change[0], "--name", two.id, *change[1:])
    result(api.call("POST", account.path(), account, json=body(packet_limit=1000, time_limit=300)))
    db.admin("prefix", "add", "--account", account.id, "--prefixes", "203.0.113.0/24", "--shared")
    told = answer.result(timeout=30)
    assert told is not None and told.status_code == 200, told
    told = told.json()
    assert (told["superseded"], len(told["parts"]), len(told.get("scopes", []))) == (True, 0, 0)
    assert refused(two.say())


def test_a_sampler_that_is_disabled_while_it_is_looked_up(pair, db):
    """The look-up began before, so it finds the sampler good; it is not taken at its word."""
    one, two, account, job = pair
    two.takes(report(account.id, job, captured=1))
    db.admin("sampler", "trust", "--name", two.id)  # replicas forget its token
    operator = subprocess.Popen(["psql", "-X", "-q", "-h", db.socket, "-U", "postgres", "-d", "edgecap"], stdin=subprocess.PIPE, text=True)
    operator.stdin.write("BEGIN; LOCK TABLE samplers; UPDATE samplers SET enabled = false WHERE id = '%s';"
                         "NOTIFY edgecap_registry, 'sampler %s';\n" % (two.id, two.id))
    operator.stdin.flush()
    asks = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%auth_sampler%'"
    locked = "SELECT 1 FROM pg_locks WHERE relation = 'samplers'::regclass AND mode = 'AccessExclusiveLock' AND granted"
    await_true("it is locked", 10, lambda: db.sql(locked))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(two.say, report(account.id, job, captured=2), wait_s=30)
        await_true("it is looked up", 10, lambda: db.sql(asks))
        operator.communicate("COMMIT;\n")
        assert refused(answer.result()) or answer.result().json()["superseded"]


def test_a_disabled_sampler_that_no_replica_was_told_of(pair, db):
    """What was changed while a replica could not listen counts when it can again, not when its memory of tokens has ended."""
    backends = " FROM pg_stat_activity WHERE usename = 'edgecap_api'"
    one, two, account, job = pair
    two.takes(report(account.id, job, captured=1))
    answer = held(db, two, account, job, captured=2)
    db.sql("ALTER ROLE edgecap_api NOLOGIN")
    try:
        db.sql("SELECT pg_terminate_backend(pid)" + backends)
        db.admin("sampler", "disable", "--name", two.id)
    finally:
        db.sql("ALTER ROLE edgecap_api LOGIN")
    told = answer.result(timeout=60)
    # a machine so slow that the hold (10 s) ended before a replica listened again
    assert told.json()["superseded"] or told.elapsed.total_seconds() > 9
    await_true("it is refused", 15, lambda: refused(two.say()))


def test_a_change_of_one_sampler_costs_the_others_nothing(pair, db, api):
    """The memory of the others' tokens stays: with ten thousand samplers each change would be ten thousand look-ups."""
    lookups = "edgecap_edge_token_lookups_total"
    one, two, _, _ = pair
    began = time.monotonic()
    one.takes()
    db.admin("sampler", "disable", "--name", two.id)
    await_true("it is refused", 15, lambda: refused(two.say()))
    before = api.metric(lookups)
    one.takes()
    assert api.metric(lookups) == before or time.monotonic() - began > 25  # it is remembered for 30 s
    assert refused(two.say()) and api.metric(lookups) > before


def test_a_token_is_replaced_without_a_gap(pair, db):
    """Old and new are good together; the old one is refused when the operator says so, or when its time is over."""
    one, two, account, job = pair
    old = two.token
    new = "Bearer " + db.admin("sampler", "token", "--name", two.id)["token"]
    for token in (old, new, old):
        two.token = token
        two.takes(report(account.id, job, captured=1))
    db.admin("sampler", "token", "--name", two.id, "--revoke-old")
    two.token = old
    await_true("the old one is refused", 2, lambda: refused(two.say(report(account.id, job, captured=1))))
    two.token = new
    two.takes(report(account.id, job, captured=2))
    # an overlap that ends by itself, although the replica has just seen the token
    newest = "Bearer " + db.admin("sampler", "token", "--name", two.id, "--overlap", "2s")["token"]
    begin = time.monotonic()
    two.takes(report(account.id, job, captured=3))
    await_true("its time is over", 10, lambda: refused(two.say(report(account.id, job, captured=3))))
    assert time.monotonic() - begin < 8
    two.token = newest
    two.takes(report(account.id, job, captured=4))
    assert two.part(job)["state"] == "running"
