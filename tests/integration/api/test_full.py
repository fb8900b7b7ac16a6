"""POST /pcaps with type full, and what is shown of such a job: the API alone, with buckets on a real S3 server."""

import secrets
import time

import pytest
from api_rig import Account, Api, body, finished_job, uuid7
from bucket_rig import SECRET_KEY, add, bucket_api, conf, entry, prove, read_object
from contract import failure, result

COLOS = ("ord01", "ord02", "ams01", "fra-dc2")
R2 = "r2://bucket/dir?account-id=0123456789abcdef0123456789abcdef"
R2_KEYS = "&access-key-id=TENANTKEY&secret-access-key=tenant%2Fsecret%2Bkey"
HIDDEN = (SECRET_KEY, "tenant/secret", "tenant%2F", "TENANTKEY")
REPLICA = "SET session_replication_role = replica; "


@pytest.fixture(scope="module")
def api(db, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    entries = [entry(folder), {"scheme": "r2", "endpoint": "https://{account-id}.r2.cloudflarestorage.com"}]
    for colo in COLOS:
        sampler = db.admin("sampler", "create", "--name", "sampler-" + secrets.token_hex(4), "--colo", colo)
        db.sql("UPDATE samplers SET last_seen = now() + interval '1 day' WHERE id = '%s'" % sampler["id"])
    with bucket_api(db, folder, entries, EDGECAP_SELECTION="hash:0.25") as api:  # for simple alone
        yield api
    for secret in HIDDEN:
        assert secret not in api.log()


@pytest.fixture
def tenant(api, db):
    """An account with a collect interval and a bucket."""
    return with_bucket(api, Account(db, interval="1h", running_max=100, full_running_max=100))


def with_bucket(api, account, directory="dir"):
    """The account, once it has proved that this destination is its own."""
    got = result(add(api, account, conf(directory=directory)))
    proved = prove(api, account, conf(directory=directory), read_object(directory + "/" + got["filename"]))
    assert result(proved)["status"] == "success"
    return account


def full(**changes):
    """A good body; None removes a field."""
    merged = {"type": "full", "system": "magic-transit", "time_limit": 300, "colo_name": "ord02",
              "destination_conf": conf(), **changes}  # fmt: skip
    return {k: v for k, v in merged.items() if v is not None}


def post(api, account, headers=None, **changes):
    return api.call("POST", account.path(), account, headers, json=full(**changes))


def get(api, account, job):
    return result(api.call("GET", account.path("/" + job), account))


def refused(answer, pointer, text):
    """400 on this field alone; nothing of the operator's or of a key is in it."""
    error = failure(answer, 400, 1022, pointer)
    assert len(answer.json()["errors"]) == 1, answer.text
    assert text in error["message"], error
    for hidden in (*HIDDEN, *COLOS, "AMS"):
        if not (hidden == "ord02" and "colo (ord02)" in answer.text):  # the example of a colo's name
            assert hidden not in answer.text
    return error["message"]


def set_job(db, job, columns):
    db.sql(REPLICA + "UPDATE pcaps SET %s WHERE id = '%s'" % (columns, job))


def test_what_was_asked_is_shown(api, tenant):
    answer = post(api, tenant, filter_v1={"protocol": 17}, packet_limit=77, byte_limit=5000.0, time_limit=86400)
    job = result(answer)
    seen = {k: job[k] for k in job if k not in ("id", "submitted")}
    assert seen == {
        "type": "full", "system": "magic-transit", "time_limit": 86400, "packet_limit": 77, "byte_limit": 5000,
        "colo_name": "ord02", "destination_conf": conf(), "filter_v1": {"protocol": 17}, "status": "pending",
        "packets_remaining": 77, "packets_captured": 0, "sampling": {"method": "none"},
        "samplers": {"total": 1, "assigned": 1, "running": 0, "done": 0, "failed": 0, "lost": 0},
    }  # fmt: skip
    assert answer.json()["messages"] == []
    assert get(api, tenant, job["id"]) == job
    assert result(api.call("GET", tenant.path(), tenant)) == [job]


def test_no_limit_but_time(api, tenant):
    job = result(post(api, tenant, colo_name="ORD", packet_limit=None, byte_limit=None))
    assert (job["packet_limit"], job["byte_limit"], job["packets_remaining"]) == (None, 10**9, None)
    assert job["colo_name"] == "ORD" and job["filter_v1"] == {} and job["samplers"]["total"] == 2
    assert get(api, tenant, job["id"]) == job


@pytest.mark.parametrize("changes, total", [
    ({"colo_name": None, "colo": "ord02"}, 1), ({"colo": "ord02"}, 1), ({"colo_name": "Ord02"}, 1),
    ({"colo_name": "FRA-DC2"}, 1), ({"colo_name": "AMS"}, 1), ({"time_limit": 1, "packet_limit": 1, "byte_limit": 1}, 1),
    ({"time_limit": 86400.0, "packet_limit": 1e4, "byte_limit": 1e9}, 1), ({"offset_time": None}, 1),
    ({"destination_conf": conf().upper().replace("S3://", "s3://").replace("REGION", "region").replace("ENDPOINT", "endpoint")}, None),
])  # fmt: skip
def test_what_else_is_taken(api, tenant, changes, total):
    answer = post(api, tenant, **changes)
    if total is None:  # only an endpoint has no case
        failure(answer, 400, 1022, "/destination_conf")
    else:
        assert result(answer)["samplers"]["total"] == total


def test_the_destination_is_shown_as_it_is_kept(api, tenant):
    path, _, query = conf().partition("?")
    region, _, endpoint = query.partition("&")
    other = "%s/?%s/&%s" % (path, endpoint.replace("http", "HTTP"), region)
    job = result(post(api, tenant, destination_conf=other))
    assert job["destination_conf"] == conf()


@pytest.mark.parametrize("changes, pointer, text", [
    ({"type": "Full", "packet_limit": 1}, "/type", '"simple" or "full"'),
    ({"time_limit": None}, "/time_limit", "within 1 and 86400"),
    ({"time_limit": 0}, "/time_limit", "within 1 and 86400, not 0"),
    ({"time_limit": 86401}, "/time_limit", "within 1 and 86400, not 86401"),
    ({"time_limit": "300"}, "/time_limit", "a whole number within 1 and 86400"),
    ({"packet_limit": 0}, "/packet_limit", "within 1 and 10000, not 0"),
    ({"packet_limit": 10001}, "/packet_limit", "within 1 and 10000, not 10001"),
    ({"packet_limit": 1.5}, "/packet_limit", "a whole number"),
    ({"byte_limit": 0}, "/byte_limit", "within 1 and 1000000000, not 0"),
    ({"byte_limit": 1000000001}, "/byte_limit", "within 1 and 1000000000"),
    ({"byte_limit": -1}, "/byte_limit", "within 1 and 1000000000"),
    ({"byte_limit": "1"}, "/byte_limit", "a whole number"),
    ({"byte_limit": True}, "/byte_limit", "a whole number"),
    ({"colo_name": None}, "/colo_name", "must be the name of a colo (ord02) or, in capitals, of a metro (ORD)"),
    ({"colo_name": ""}, "/colo_name", "1 to 32 letters, digits and dashes"),
    ({"colo_name": "a" * 33}, "/colo_name", "1 to 32 letters, digits and dashes"),
    ({"colo_name": ["ord02"]}, "/colo_name", "must be the name"),
    ({"colo_name": "ORD%"}, "/colo_name", "must be the name"),
    ({"colo_name": "o_d02"}, "/colo_name", "must be the name"),
    ({"colo_name": ".*"}, "/colo_name", "must be the name"),
    ({"colo_name": "ord02\n"}, "/colo_name", "must be the name"),
    ({"colo_name": "\u00f6rd02"}, "/colo_name", "must be the name"),
    ({"colo_name": "ord' OR '1'='1"}, "/colo_name", "must be the name"),
    ({"colo": "ord03"}, "/colo", "not the same as colo_name"),
    ({"colo": 5}, "/colo", "must be the name"),
    ({"colo_name": "ord03"}, "/colo_name", "your network operator can tell you the names"),
    ({"colo_name": "ord"}, "/colo_name", "there is no colo or metro of this name"),
    ({"colo_name": "Ord"}, "/colo_name", "there is no colo or metro of this name"),
    ({"colo_name": "ORDX"}, "/colo_name", "there is no colo or metro of this name"),
    ({"colo_name": "ORD0"}, "/colo_name", "there is no colo or metro of this name"),
    ({"colo_name": "FRA"}, "/colo_name", "there is no colo or metro of this name"),
    ({"colo_name": None, "colo": "XYZ"}, "/colo", "colo: there is no colo or metro of this name"),
    ({"destination_conf": None}, "/destination_conf", "is required: the URI of a validated bucket"),
    ({"destination_conf": 5}, "/destination_conf", "is required: the URI of a validated bucket"),
    ({"destination_conf": ""}, "/destination_conf", "destination_conf: "),
    ({"destination_conf": "file:///etc/passwd"}, "/destination_conf", "begins with"),
    ({"destination_conf": conf(directory="..")}, "/destination_conf", "destination_conf: "),
    ({"destination_conf": conf(directory="sibling")}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": conf(directory="")}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": conf(directory="dir/below")}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": conf(region="elsewhere")}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": conf(endpoint="http://169.254.169.254")}, "/destination_conf", "not one that"),
    ({"destination_conf": conf(endpoint="https://127.0.0.1")}, "/destination_conf", "not one that"),
    ({"destination_conf": "gs://bucket/dir"}, "/destination_conf", "not one that"),
    ({"destination_conf": R2}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": R2 + R2_KEYS}, "/destination_conf", "has no bucket of this destination"),
    ({"destination_conf": R2 + "&access-key-id=TENANTKEY"}, "/destination_conf", "destination_conf: "),
    ({"destination_conf": R2.replace("0123", "tenant%2Fsecret") + R2_KEYS}, "/destination_conf", "destination_conf: "),
    ({"destination_conf": conf() + "&secret-access-key=tenant%2Fsecret"}, "/destination_conf", "destination_conf: "),
    ({"filter_v1": {"source_address": "198.51.100.1", "destination_address": "203.0.113.1"}}, "/filter_v1", "can match nothing"),
    ({"filter_v1": {"prot": 6}}, "/filter_v1/prot", ""),
    ({"offset_time": "2026-01-01T00:00:00Z"}, "/offset_time", "not built yet"),
])  # fmt: skip
def test_what_is_refused(api, db, tenant, changes, pointer, text):
    """One fault each; nothing is written and no slot is taken."""
    before = db.counts(), db.slots()
    refused(post(api, tenant, **changes), pointer, text)
    assert (db.counts(), db.slots()) == before


def test_all_faults_at_once(api, tenant):
    answer = post(api, tenant, system="x", time_limit=0, packet_limit=0, byte_limit=0, colo_name="%", colo="%",
                  destination_conf=R2_KEYS, filter_v1=5, offset_time=5)  # fmt: skip
    failure(answer, 400, 1022)
    pointers = [error["source"]["pointer"] for error in answer.json()["errors"]]
    assert sorted(pointers) == sorted(["/system", "/time_limit", "/packet_limit", "/byte_limit", "/colo_name", "/colo",
                                       "/destination_conf", "/filter_v1", "/offset_time"])  # fmt: skip
    assert not any(hidden in answer.text for hidden in HIDDEN)


def test_keys_in_the_destination_are_dropped(api, db, tenant):
    db.sql("INSERT INTO buckets (account_id, id, destination, filename, submitted, token_sha256, expires, validated)"
           " VALUES ('%s', gen_random_uuid(), '%s', 'f', now(), sha256(''), now(), now())" % (tenant.id, R2))  # fmt: skip
    key = {"Idempotency-Key": "r2"}
    answer = post(api, tenant, key, destination_conf=R2 + R2_KEYS, bogus="tenant/secret")
    job = result(answer)
    assert job["destination_conf"] == R2
    assert [m["message"] for m in answer.json()["messages"]] == ['unknown field "bogus" ignored']
    assert post(api, tenant, key, destination_conf=R2 + R2_KEYS, bogus="tenant/secret").content == answer.content
    kept = str(db.sql("SELECT p::text FROM pcaps p WHERE id = '%s'" % job["id"]))
    kept += str(db.sql("SELECT b::text FROM buckets b WHERE account_id = '%s'" % tenant.id))
    kept += str(db.sql("SELECT e::text FROM audit_events e WHERE account_id = '%s'" % tenant.id))
    for hidden in HIDDEN:
        assert hidden not in answer.text + kept
    # with a simple one, whose business it is not
    simple = api.call("POST", tenant.path(), tenant, json=body(destination_conf=R2 + R2_KEYS, colo_name="ord02"))
    assert "destination_conf" not in result(simple) and not any(hidden in simple.text for hidden in HIDDEN)


def test_buckets_that_are_not_ready(api, db, tenant, other):
    result(add(api, tenant, conf(directory="pending")))
    refused(post(api, tenant, destination_conf=conf(directory="pending")), "/destination_conf", "the bucket is not validated")
    db.sql("UPDATE buckets SET expires = now() WHERE account_id = '%s' AND validated IS NULL" % tenant.id)
    refused(post(api, tenant, destination_conf=conf(directory="pending")), "/destination_conf", "the bucket is not validated")
    with_bucket(api, other, "theirs")
    refused(post(api, tenant, destination_conf=conf(directory="theirs")), "/destination_conf", "no bucket of this destination")
    bucket = result(api.call("GET", tenant.path("/ownership"), tenant))
    mine = next(b["id"] for b in bucket if b["destination_conf"] == conf())
    job = result(post(api, tenant))["id"]
    failure(api.call("DELETE", tenant.path("/ownership/" + mine), tenant), 409, 1409)
    set_job(db, job, "stage = 'failed', error_message = 'x', completed = now()")
    assert api.call("DELETE", tenant.path("/ownership/" + mine), tenant).status_code == 204
    refused(post(api, tenant), "/destination_conf", "no bucket of this destination")


def test_a_deployment_without_buckets(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path) as api:
        refused(post(api, account), "/type", "not enabled on this deployment")
        refused(post(api, account, destination_conf=R2 + R2_KEYS), "/type", "not enabled on this deployment")
        limits = result(api.call("GET", account.path("/limits"), account))
        assert limits["full"]["enabled"] is False
        assert not any(hidden in api.log() for hidden in HIDDEN)


def too_many(answer, at_most_s, text):
    error = failure(answer, 429, 1429)
    assert text in error["message"], error
    assert at_most_s - 10 <= int(answer.headers["Retry-After"]) <= at_most_s
    assert answer.headers["x-should-retry"] == "false"


def test_too_many(api, db):
    account = with_bucket(api, Account(db, interval="1h", running_max=3, full_running_max=2))
    jobs = [result(post(api, account, time_limit=limit))["id"] for limit in (5000, 1000)]
    too_many(post(api, account), 1000, "limit of 2 full packet captures at once")
    result(api.call("POST", account.path(), account, json=body()))  # neither holds up the other
    too_many(api.call("POST", account.path(), account, json=body()), 300, "limit of 3 packet captures at once")
    set_job(db, jobs[1], "stage = 'failed', error_message = 'x', completed = now()")
    too_many(api.call("POST", account.path(), account, json=body()), 3600, "is accepted every 3600 seconds")
    result(post(api, account))  # the interval is for simple alone
    set_job(db, jobs[0], "stage = 'done', completed = now()")
    result(post(api, account))
    db.admin("account", "set", "--account", account.id, "--full-running-max", "50")
    too_many(post(api, account), 300, "limit of 3 packet captures at once")
    # a fault of the request is told before a limit
    refused(post(api, account, colo_name="XYZ"), "/colo_name", "no colo or metro")


def test_permissions(api, db, tenant, other):
    for permissions, allowed in (("read", False), ("download", False), ("read,download", False), ("collect", True)):
        token = {"Authorization": "Bearer " + tenant.new_token(permissions)}
        answer = api.call("POST", tenant.path(), None, token, json=full())
        if allowed:
            result(answer)
        else:
            failure(answer, 403, 10001)
    failure(api.call("POST", tenant.path(), other, json=full()), 403, 10001)
    none = with_bucket(api, Account(db, prefixes=None))
    assert "no registered prefixes" in failure(post(api, none), 403, 10001)["message"]


def test_idempotency_key(api, db):
    account = with_bucket(api, Account(db, interval="1h", running_max=1, full_running_max=1))
    key = {"Idempotency-Key": "a key"}
    first = post(api, account, key, byte_limit=7)
    job = result(first)["id"]
    assert post(api, account, key, byte_limit=7).content == first.content
    failure(post(api, account, key, byte_limit=8), 422, 1422)
    failure(post(api, account, {"Idempotency-Key": "another"}), 429, 1429)
    # whatever became of the job, of its bucket and of the colo
    set_job(db, job, "stage = 'done', completed = now(), packets_in_file = 5, captured = 9, stop_requested = true, "
                     "stop_requested_at = now(), parts_assigned = 0, parts_done = 1, pcap_bytes = 1024, stop_reason = 'byte_limit'")  # fmt: skip
    db.sql("DELETE FROM buckets WHERE account_id = '%s'" % account.id)
    assert post(api, account, key, byte_limit=7).content == first.content
    assert get(api, account, job)["status"] == "success"
    assert db.sql("SELECT count(*) FROM pcaps WHERE account_id = '%s'" % account.id) == [["1"]]


STAGES = (
    ("capturing", "parts_assigned = 1, parts_running = 0", "pending"),
    ("capturing", "parts_assigned = 0, parts_running = 1", "running"),
    ("capturing", "parts_assigned = 0, parts_running = 0, parts_lost = 1", "running"),
    ("ready", "parts_assigned = 0, parts_done = 1", "conversion_pending"),
    ("assembling", "parts_assigned = 0, parts_done = 1", "conversion_running"),
    ("done", "completed = now(), packets_in_file = 3, pcap_bytes = 1024, stop_reason = 'stop_requested'", "success"),
    ("failed", "completed = now(), packets_in_file = NULL, error_message = 'the bucket is full', expires = now()", "failed"),
)


def test_every_status(api, db, tenant):
    """What the job shows and what the list finds."""
    job = result(post(api, tenant, packet_limit=None))["id"]
    simple = result(api.call("POST", tenant.path(), tenant, json=body()))["id"]
    words = ["unknown", "success", "pending", "running", "conversion_pending", "conversion_running", "complete", "failed"]
    for stage, columns, status in STAGES:
        set_job(db, job, "captured = 4, stage = '%s', %s" % (stage, columns))
        seen = get(api, tenant, job)
        under_way = status not in ("success", "failed")
        assert seen["status"] == status and seen["packets_remaining"] == (None if under_way else 0)
        assert seen["packets_captured"] == (3 if status == "success" else 4)
        assert ("bytes" in seen) == (status == "success") and ("error_message" in seen) == (status == "failed")
        assert seen["destination_conf"] == conf() and seen["byte_limit"] == 10**9
        for word in words:
            found = [j["id"] for j in result(api.call("GET", tenant.path("?status=" + word), tenant))]
            want = ([simple] if word == "pending" else []) + ([job] if word == status else [])
            assert found == want, (word, status)


def test_list_by_type(api, db):
    account = with_bucket(api, Account(db, running_max=100, full_running_max=100))
    jobs = {"simple": [], "full": []}
    for kind in ("simple", "full", "full", "simple", "full"):
        answer = post(api, account) if kind == "full" else api.call("POST", account.path(), account, json=body())
        jobs[kind].insert(0, result(answer)["id"])
    for kind, ids in jobs.items():
        for query in ("?type=" + kind, "?status=pending&type=" + kind):
            answer = api.call("GET", account.path(query), account)
            assert [j["id"] for j in result(answer)] == ids and {j["type"] for j in result(answer)} == {kind}
            assert answer.json()["result_info"]["total_count"] == len(ids)
    answer = api.call("GET", account.path("?type=full&per_page=2&page=2"), account)
    assert [j["id"] for j in result(answer)] == jobs["full"][2:] and answer.json()["result_info"]["total_pages"] == 2
    since = result(api.call("GET", account.path("/" + jobs["full"][1]), account))["submitted"]
    assert [j["id"] for j in result(api.call("GET", account.path("?type=full&since=" + since), account))] == jobs["full"][:2]


def test_a_done_job_has_no_download(api, db, tenant):
    job = finished_job(api, tenant, b"p" * 24, type="full", byte_limit=1000, colo_name="ord02", destination=conf(),
                       packet_limit=None, expires=None, packets_in_file=3, pcap_bytes=24 + 3 * 116,
                       stop_reason="byte_limit")  # fmt: skip
    seen = get(api, tenant, job)
    assert seen["stop_reason"] == {"code": "byte_limit", "limit": 1000, "value": 300} and "expires" not in seen
    for tail in ("/download", "/download?format=pcapng"):
        error = failure(api.call("GET", tenant.path("/" + job + tail), tenant), 409, 1409)
        assert "bucket" in error["message"]
    assert api.call("PUT", tenant.path("/" + job + "/stop"), tenant).status_code == 204
    assert get(api, tenant, job) == seen


def test_stop(api, tenant):
    job = result(post(api, tenant))["id"]
    assert api.call("PUT", tenant.path("/" + job + "/stop"), tenant).status_code == 204
    seen = get(api, tenant, job)
    assert seen["stop_requested"] >= seen["submitted"]


def test_limits(api, db):
    account = with_bucket(api, Account(db, interval="90s", running_max=7, full_running_max=2))
    result(add(api, account, conf(directory="second")))
    result(post(api, account))
    limits = result(api.call("GET", account.path("/limits"), account))
    assert limits["full"] == {
        "enabled": True,
        "time_limit": {"min": 1, "max": 86400, "unit": "seconds"},
        "packet_limit": {"min": 1, "max": 10000, "unit": "packets"},
        "byte_limit": {"min": 1, "max": 10**9, "unit": "bytes"},
        "running": {"limit": 2, "used": 1, "remaining": 1, "unit": "jobs"},
        "buckets": {"limit": 100, "used": 2, "remaining": 98, "unit": "buckets"},
    }
    assert limits["simple"]["running"] == {"limit": 7, "used": 1, "remaining": 6, "unit": "jobs"}
    assert limits["simple"]["collect_interval"]["next_in"] == 0
    db.admin("account", "set", "--account", account.id, "--full-running-max", "1")
    assert result(api.call("GET", account.path("/limits"), account))["full"]["running"]["remaining"] == 0


def test_outcomes_are_counted(api, tenant):
    def count(outcome):
        return api.metric('edgecap_api_submissions_total{outcome="%s"}' % outcome)

    before = {name: count(name) for name in ("created", "no_colo", "no_bucket")}
    result(post(api, tenant))
    post(api, tenant, colo_name="XYZ")
    post(api, tenant, destination_conf=conf(directory="x"))
    assert {name: count(name) - n for name, n in before.items()} == {"created": 1, "no_colo": 1, "no_bucket": 1}


def test_others_jobs_are_nobodys(api, tenant, other):
    job = result(post(api, tenant))["id"]
    theirs = api.call("GET", other.path("/" + job), other)
    failure(theirs, 404, 1404)
    assert theirs.json() == api.call("GET", other.path("/" + uuid7(time.time())), other).json()
    assert job not in api.call("GET", other.path(), other).text
