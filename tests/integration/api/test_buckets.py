"""Tenants' buckets on a real S3 server: proof of ownership, its refusals, and that no request leads elsewhere."""

import re
import threading
import time

import pytest
from api_rig import Account, finished_job
from bucket_rig import (
    BUCKET, ENDPOINT, REGION, SECRET_KEY, Listener, add, bucket_api, conf, entry, prove, read_object, refused, s3, token,
)  # fmt: skip
from contract import failure, result

MISSING = "0123456789abcdef0123456789abcdef"
R2 = "r2://bucket/dir?account-id=%s" % MISSING
R2_KEYS = "&access-key-id=TENANTKEY&secret-access-key=tenant%2Fsecret%2Bkey"


@pytest.fixture(scope="module")
def listener():
    made = Listener()
    yield made
    made.sock.close()


@pytest.fixture(scope="module")
def api(db, tmp_path_factory, listener):
    folder = tmp_path_factory.mktemp("buckets")
    port = listener.port
    entries = [
        entry(folder),
        # the rest of the list is for what must not happen
        entry(folder, "http://localhost:%d" % port, private=False),
        entry(folder, "http://127.0.0.1:%d" % port, private=False),
        entry(folder, "http://[::1]:%d" % port, private=False),
        entry(folder, "http://127.0.0.1:1", private=None),
        entry(folder, "http://169.254.169.254", private=False),
        entry(folder, "http://[::ffff:127.0.0.1]:%d" % port, private=False),
        entry(folder, ENDPOINT.replace("127.0.0.1", "localhost"), secret_key="wrong" + SECRET_KEY),
        {"scheme": "r2", "endpoint": "https://{account-id}.r2.cloudflarestorage.com"},
    ]
    with bucket_api(db, folder, entries) as api:
        yield api
    for secret in (SECRET_KEY, "wrong" + SECRET_KEY, "tenant/secret", "tenant%2Fsecret", "TENANTKEY", "edgecap-ownership-v1"):
        assert secret not in api.log()


def listed(api, account):
    return result(api.call("GET", account.path("/ownership"), account))


def remove(api, account, bucket_id):
    return api.call("DELETE", account.path("/ownership/" + bucket_id), account)


def actions(db, account):
    rows = db.sql("SELECT action, result FROM audit_events WHERE account_id = '%s' "
                  "AND actor NOT LIKE 'operator:%%' ORDER BY at" % account.id)
    return [tuple(row) for row in rows]


def test_the_whole_way(api, db, account):
    got = result(add(api, account, conf()))
    assert got["status"] == "pending" and got["validated"] == ""
    assert got["destination_conf"] == conf()
    assert got["filename"] == "ownership-challenge-%s.txt" % got["id"]
    assert listed(api, account) == [got]
    content = read_object("dir/" + got["filename"])
    again = result(prove(api, account, conf() + "", content + "\n"))
    assert again["status"] == "success" and again["id"] == got["id"]
    assert again["submitted"] == got["submitted"] and again["validated"] > again["submitted"]
    assert result(prove(api, account, conf(), content)) == again
    assert listed(api, account) == [again]
    removed = remove(api, account, got["id"])
    assert removed.status_code == 204
    assert listed(api, account) == []
    gone = remove(api, account, got["id"])
    failure(gone, 404, 1404)
    refused(prove(api, account, conf(), content), "/destination_conf", "no such bucket")
    assert actions(db, account) == [("bucket.create", "ok"), ("bucket.validate", "ok"),
                                    ("bucket.validate", "ok"), ("bucket.delete", "ok")]  # fmt: skip


def test_one_bucket_for_all_ways_to_write_it(api, db):
    account = Account(db)
    first = result(add(api, account, conf()))
    upper = "s3://%s/dir/?endpoint=%s/&region=%s" % (BUCKET, ENDPOINT.upper(), REGION)
    second = result(add(api, account, upper))
    assert second == first
    assert len(listed(api, account)) == 1
    validated = result(prove(api, account, upper, read_object("dir/" + first["filename"])))
    assert validated["id"] == first["id"]


def test_a_later_challenge_replaces_the_earlier(api, db):
    account = Account(db)
    first = result(add(api, account, conf(directory="again")))
    old = read_object("again/" + first["filename"])
    time.sleep(1.1)
    assert result(add(api, account, conf(directory="again"))) == first
    new = read_object("again/" + first["filename"])
    assert new != old
    refused(prove(api, account, conf(directory="again"), old), "/ownership_challenge", "later challenge")
    assert result(prove(api, account, conf(directory="again"), new))["status"] == "success"
    # a bucket that is validated stays so
    assert result(add(api, account, conf(directory="again")))["status"] == "success"


def test_what_does_not_validate(api, db, account, other):
    mine = result(add(api, account, conf(directory="mine")))
    good = read_object("mine/" + mine["filename"])
    theirs = result(add(api, other, conf(directory="mine")))
    foreign = read_object("mine/" + theirs["filename"])
    result(add(api, account, conf(directory="sibling")))
    s3("PUT", "/sibling-bucket")
    result(add(api, account, conf(bucket="sibling-bucket", directory="mine")))
    now = int(time.time())
    for challenge, text in (
        (mine["filename"], "name of the challenge's file"),
        ("nonsense", "not the content"),
        (foreign, "another account's"),
        (token(account.id, mine["id"], now - 1, conf(directory="mine")), "expired"),
        (token(account.id, mine["id"], now + 9, conf(directory="mine"), "another secret"), "signature"),
        (token(account.id, mine["id"], now + 9, conf(directory="mine")), "later challenge"),
        (good[:-1] + ("0" if good[-1] != "0" else "1"), "signature"),
    ):
        refused(prove(api, account, conf(directory="mine"), challenge), "/ownership_challenge", text)
    for elsewhere in (conf(directory="sibling"), conf(directory=""), conf(bucket="sibling-bucket", directory="mine")):
        refused(prove(api, account, elsewhere, good), "/ownership_challenge", "another destination")
    for value in (None, 5, "", "x" * 5000):
        failure(prove(api, account, conf(directory="mine"), value), 400, 1022, "/ownership_challenge")
    assert {b["status"] for b in listed(api, account)} == {"pending"}
    assert result(prove(api, account, conf(directory="mine"), good))["status"] == "success"
    states = {b["destination_conf"]: b["status"] for b in listed(api, account)}
    assert states[conf(directory="sibling")] == "pending"
    assert states[conf(bucket="sibling-bucket", directory="mine")] == "pending"
    assert listed(api, other)[0]["status"] == "pending"


def test_a_challenge_that_nobody_answers(api, db):
    account = Account(db)
    got = result(add(api, account, conf(directory="late")))
    left = db.sql("SELECT extract(epoch FROM expires - now()) FROM buckets WHERE account_id = '%s'" % account.id)
    assert 7 * 86400 - 60 < float(left[0][0]) <= 7 * 86400
    db.sql("UPDATE buckets SET expires = now() WHERE account_id = '%s'" % account.id)
    assert listed(api, account)[0]["status"] == "failed"
    assert result(add(api, account, conf(directory="late"))) == got


@pytest.mark.parametrize("destination, text", [
    (conf(bucket="no-such-bucket"), "the bucket does not exist (404 NoSuchBucket)"),
    (conf(endpoint=ENDPOINT.replace("127.0.0.1", "localhost")), "wrong secret (403 SignatureDoesNotMatch)"),
    (conf(endpoint="http://127.0.0.1:1"), "not a public one"),
])  # fmt: skip
def test_a_bucket_that_cannot_be_written(api, db, destination, text):
    account = Account(db)
    message = refused(add(api, account, destination), "/destination_conf", text)
    assert "127.0.0.1" not in message and "localhost" not in message
    assert listed(api, account) == []
    assert actions(db, account) == []


def test_buckets_are_the_accounts_own(api, db, account, other):
    got = result(add(api, account, conf(directory="own")))
    theirs, nobodys = remove(api, other, got["id"]), remove(api, other, MISSING)
    failure(theirs, 404, 1404)
    assert theirs.json() == nobodys.json()
    failure(api.call("GET", account.path("/ownership"), other), 403, 10001)
    failure(api.call("POST", account.path("/ownership"), other, json={"destination_conf": conf()}), 403, 10001)
    assert got["id"] in {b["id"] for b in listed(api, account)}
    readers = {"Authorization": "Bearer " + account.new_token("read")}
    assert api.call("GET", account.path("/ownership"), None, readers).status_code == 200
    for method, tail in (("POST", ""), ("POST", "/validate"), ("DELETE", "/" + got["id"])):
        failure(api.call(method, account.path("/ownership" + tail), None, readers, json={}), 403, 10001)
    collectors = {"Authorization": "Bearer " + account.new_token("collect")}
    failure(api.call("GET", account.path("/ownership"), None, collectors), 403, 10001)


@pytest.mark.parametrize("stage, status", [("capturing", 409), ("ready", 409), ("assembling", 409), ("done", 204), ("failed", 204)])
def test_a_bucket_in_use(api, db, stage, status):
    account = Account(db)
    got = result(add(api, account, conf(directory=stage)))
    finished_job(api, account, b"x" * 24, stage=stage, destination=conf(directory=stage))
    finished_job(api, Account(db), b"x" * 24, stage="capturing", destination=conf(directory="done"))
    answer = remove(api, account, got["id"])
    if status == 409:
        failure(answer, 409, 1409)
        db.sql("SET session_replication_role = replica; UPDATE pcaps SET stage = 'done' WHERE account_id = '%s'" % account.id)
        answer = remove(api, account, got["id"])
    assert answer.status_code == 204


def test_no_more_than_a_hundred(api, db):
    account = Account(db)
    db.sql("INSERT INTO buckets (account_id, id, destination, filename, submitted, token_sha256, expires)"
           " SELECT '%s', gen_random_uuid(), 's3://bucket/d' || n || '?region=r', 'ownership-challenge-%s.txt', now(),"
           " sha256(''), now() FROM generate_series(1, 99) n" % (account.id, MISSING))  # fmt: skip
    got = result(add(api, account, conf(directory="last")))
    error = failure(add(api, account, conf(directory="one-more")), 409, 1409)
    assert "100" in error["message"]
    assert s3("GET", "/%s?list-type=2&prefix=one-more" % BUCKET).text.count("<Key>") == 0
    answer = api.call("GET", account.path("/ownership"), account)
    assert len(result(answer)) == 100 and answer.json()["result_info"]["total_count"] == 100
    assert result(add(api, account, conf(directory="last"))) == got


# Every one is refused before anything is connected to, by its form or because it is not on the list.
@pytest.mark.parametrize("endpoint, text", [
    ("https://169.254.169.254", "not one that"), ("https://2130706433", "four decimal"),
    ("https://0x7f000001", "four decimal"), ("https://0177.0.0.1", "four decimal"), ("https://127.1", "four decimal"),
    ("https://[::ffff:127.0.0.1]", "not one that"), ("https://[::ffff:7f00:1]", "not one that"), ("https://[::1]", "not one that"),
    ("https://localhost", "not one that"), ("https://localhost.", "labels"), ("https://LOCALHOST", "not one that"),
    ("https://user@s3.us-east-1.amazonaws.com", "without user"), ("https://allowed%40localhost", "without user"),
    ("https://allowed%00.localhost", "wrongly percent-encoded"), ("https://localhost%23.allowed", "without user"),
    ("https://localhost%3F.allowed", "without user"), ("https://localhost%5C.allowed", "without user"),
    ("https://localhost%2F.allowed", "without user"), ("https://127%E3%80%820%E3%80%820%E3%80%821", "labels"),
    ("https://localhost:22:443", "port"), ("https://localhost:0", "port"), ("https://localhost:99999", "port"),
    ("file:///etc/passwd", "begins with"), ("gopher://localhost", "begins with"), ("dict://localhost", "begins with"),
    ("http://metadata", "not one that"), ("https://127.0.0.1%0d%0aHost:x", "port"),
    (re.sub(r":\d+$", ":7", ENDPOINT), "not one that"), (ENDPOINT.replace("http:", "https:"), "not one that"),
    (ENDPOINT + ".evil.example", "port"),
])  # fmt: skip
def test_endpoints_that_are_not_allowed(api, account, listener, endpoint, text):
    refused(add(api, account, conf(endpoint=endpoint)), "/destination_conf", text)
    assert listener.seen == []


@pytest.mark.parametrize("destination", [
    "http://localhost/bucket", "file:///bucket/dir", "ftp://bucket/dir", "S3://bucket/dir?region=us-east-1", "//bucket/dir", "",
    "s3://user@bucket/dir?region=r", "s3://bucket%00/dir?region=r", "s3://bucket/dir%00?region=r", "s3://bucket/dir?region=r#",
    "s3://bucket/../x?region=r", "s3://bucket/dir?region=r%2Fevil.example", "s3://bucket/dir?region=r&region=r",
    "s3://bucket\\@localhost/dir?region=r", "s3://bucket/dir?region=r\r\n", "gs://bucket?endpoint=https://localhost",
    R2.replace(MISSING, "localhost%2F"), R2, R2 + "&access-key-id=TENANTKEY", "s3://bucket/dir?region=r&x=tenant%2Fsecret",
    "s3://bucket/dir?region=us-east-1", "gs://bucket/dir", 5, None, ["s3://bucket"], "s3://" + "a" * 3000,
])  # fmt: skip
def test_destinations_that_are_none(api, account, destination):
    failure(add(api, account, destination), 400, 1022, "/destination_conf")
    answer = prove(api, account, destination, "x")
    pointer = answer.json()["errors"][0]["source"]["pointer"]
    failure(answer, 400, 1022, "/ownership_challenge" if destination in (R2,) else pointer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_allowed_name_with_a_private_address(api, account, listener, host):
    """What counts is the address that is connected to, after all look-ups."""
    endpoint = "http://%s:%d" % (host, listener.port)
    message = refused(add(api, account, conf(endpoint=endpoint)), "/destination_conf", "not a public one")
    assert host not in message
    assert listener.seen == []


def test_the_metadata_service(api, account):
    began = time.monotonic()
    refused(add(api, account, conf(endpoint="http://169.254.169.254")), "/destination_conf", "not a public one")
    assert time.monotonic() - began < 2


def test_bodies(api, account):
    path = account.path("/ownership")
    for data in ("", "[]", "{", '{"destination_conf":"a","destination_conf":"b"}', b"\xff"):
        failure(api.call("POST", path, account, data=data), 400, 1022)
    failure(api.call("POST", path, account, json={}), 400, 1022, "/destination_conf")
    failure(api.call("POST", path, account, data="x" * 70000), 413, 1413)
    failure(api.call("POST", path, account, json={}, headers={"Content-Type": "text/html"}), 400, 1022)
    both = api.call("POST", path + "/validate", account, json={})
    failure(both, 400, 1022)
    assert [e["source"]["pointer"] for e in both.json()["errors"]] == ["/destination_conf", "/ownership_challenge"]
    answer = add(api, account, conf(directory="extra"), name="x")
    result(answer)
    assert answer.json()["messages"][0]["message"] == 'unknown field "name" ignored'


def test_the_loop_goes_on_while_a_name_is_looked_up(api, account):
    """The r2 endpoint's name cannot be resolved here, and that may take a while."""
    took = []

    def ask():
        answer = add(api, account, R2 + R2_KEYS)
        took.append(refused(answer, "/destination_conf", "cannot be written"))

    thread = threading.Thread(target=ask)
    thread.start()
    longest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert api.call("GET", "/healthz", timeout=10).status_code == 200
        longest = max(longest, time.monotonic() - began)
    thread.join()
    assert took and longest < 1


def test_the_database_is_away(api, db, account):
    db.stop()
    try:
        for method, tail, data in (
            ("GET", "", None), ("POST", "", {"destination_conf": conf()}), ("DELETE", "/" + MISSING, None),
        ):  # fmt: skip
            failure(api.call(method, account.path("/ownership" + tail), account, json=data), 503, 1503)
    finally:
        db.start()


def test_no_secret_in_the_database_in_clear(db):
    dump = db.sql("SELECT b::text FROM buckets b")
    assert dump and not any(re.search("tenant|wrong", row[0]) for row in dump)
    assert SECRET_KEY not in str(dump)
