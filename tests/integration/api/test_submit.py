"""POST /pcaps, GET, stop, limits: what a tenant does on a good day."""

import os
import subprocess
import time

import openapi_curl
import pytest
from api_rig import DOCUMENTED, Account, body
from contract import failure, result


def test_the_documented_body(api, account):
    answer = api.call("POST", account.path(), account, json=DOCUMENTED)
    job = result(answer)
    assert job["status"] == "pending"
    assert job["filter_v1"] == DOCUMENTED["filter_v1"]
    assert (job["time_limit"], job["packet_limit"]) == (300, 10000)
    assert (job["packets_remaining"], job["packets_captured"]) == (10000, 0)
    assert answer.json()["messages"] == []
    again = result(api.call("GET", account.path("/" + job["id"]), account))
    assert {k: again[k] for k in job} == job


def test_the_documented_curl_lines(api, db, tmp_path):
    account = Account(db)
    email, key = account.new_user("collector")
    who = ["-H", "X-Auth-Email: " + email, "-H", "X-Auth-Key: " + key]
    url = api.base + account.path()
    data = """{"filter_v1": {"source_address": "1.2.3.4", "source_port": 123, "destination_address": "5.6.7.8", "destination_port": 80,
       "protocol": 6}, "time_limit": 300, "packet_limit": 10000, "type": "simple", "system": "magic-transit"}"""

    def curl(*words):
        done = subprocess.run(["curl", "-sS", *words], capture_output=True, text=True, check=True,
                              env={**os.environ, **openapi_curl.environment(tmp_path)})  # fmt: skip
        openapi_curl.check(tmp_path, done.stdout, done.stderr)
        return done.stdout

    text = curl("-X", "POST", url, "-H", "Content-Type: application/json", *who, "--data", data)
    job = text.split('"id":"')[1][:32]
    assert '"success":true' in text
    assert '"success":true' in curl("-X", "GET", url + "/" + job, *who)
    assert job in curl("-X", "GET", url, *who)
    # old clients: a body type without a body, and a body without its type
    assert curl("-X", "PUT", url + "/" + job + "/stop", "-H", "Content-Type: application/json", *who) == ""
    assert '"success":true' in curl("-X", "POST", url, *who, "--data", data)
    assert "1409" in curl("-X", "GET", url + "/" + job + "/download", *who)


@pytest.mark.parametrize("filter_v1", [None, {}, {"protocol": 17.0}, {"source_address": "5.6.7.0/25"},
                                       {"destination_address": "2001:db8::/33"}])
def test_filters(api, account, filter_v1):
    job = result(api.call("POST", account.path(), account, json=body(filter_v1=filter_v1)))
    assert job["filter_v1"] == (filter_v1 or {})


def test_null_filter_is_an_empty_one(api, account):
    job = result(api.call("POST", account.path(), account, json={**body(), "filter_v1": None}))
    assert job["filter_v1"] == {}


def test_integral_floats(api, account):
    text = '{"type":"simple","system":"magic-transit","time_limit":10.0,"packet_limit":1e3}'
    job = result(api.call("POST", account.path(), account, data=text))
    assert (job["time_limit"], job["packet_limit"]) == (10, 1000)


def test_unknown_fields_are_said(api, account):
    answer = api.call("POST", account.path(), account, json=body(packet_limt=5, byte_limit=1))
    result(answer)
    texts = [m["message"] for m in answer.json()["messages"]]
    assert any("packet_limt" in t for t in texts) and any("byte_limit" in t for t in texts)


def test_stop_is_204_and_repeatable(api, account):
    job = result(api.call("POST", account.path(), account, json=body()))["id"]
    for _ in range(2):
        answer = api.call("PUT", account.path("/" + job + "/stop"), account)
        assert answer.status_code == 204 and answer.content == b""


def test_head_is_get_without_its_body(api, account):
    job = result(api.call("POST", account.path(), account, json=body()))["id"]
    for path in (account.path(), account.path("/" + job), account.path("/limits"), "/healthz", "/readyz"):
        get, head = (api.call(m, path, account) for m in ("GET", "HEAD"))
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        assert abs(int(head.headers["Content-Length"]) - len(get.content)) < 8


def test_limits(api, db):
    account = Account(db, interval="90s", running_max=3)
    before = result(api.call("GET", account.path("/limits"), account))
    assert before["simple"]["collect_interval"] == {"limit": 90, "next_in": 0, "unit": "seconds"}
    assert before["simple"]["running"] == {"limit": 3, "used": 0, "remaining": 3, "unit": "jobs"}
    assert before["simple"]["time_limit"] == {"min": 1, "max": 300, "unit": "seconds"}
    assert before["scope"] == {"prefixes": 2, "unrestricted": False}
    result(api.call("POST", account.path(), account, json=body()))
    after = result(api.call("GET", account.path("/limits"), account))
    assert 85 <= after["simple"]["collect_interval"]["next_in"] <= 90
    assert after["simple"]["running"]["used"] == 1


def test_the_collect_interval_passes(api, db):
    account = Account(db, interval="2s")
    result(api.call("POST", account.path(), account, json=body()))
    answer = api.call("POST", account.path(), account, json=body())
    failure(answer, 429, 1429)
    time.sleep(int(answer.headers["Retry-After"]))
    result(api.call("POST", account.path(), account, json=body()))


def test_running_jobs_are_limited(api, db):
    account = Account(db, running_max=2)
    jobs = [result(api.call("POST", account.path(), account, json=body()))["id"] for _ in range(2)]
    failure(api.call("POST", account.path(), account, json=body()), 429, 1429)
    db.sql("SET session_replication_role = replica; UPDATE pcaps SET stage = 'failed' WHERE id = '%s'" % jobs[0])
    result(api.call("POST", account.path(), account, json=body()))


def test_idempotency_key(api, db):
    account = Account(db, interval="60s")
    key = {"Idempotency-Key": "one key"}
    first = api.call("POST", account.path(), account, key, json=body(unknown=1))
    again = api.call("POST", account.path(), account, key, json=body(unknown=1))
    assert first.status_code == 200 and first.json() == again.json()
    assert db.sql("SELECT count(*) FROM pcaps WHERE account_id = '%s'" % account.id) == [["1"]]
    failure(api.call("POST", account.path(), account, key, json=body(unknown=2)), 422, 1422)
    failure(api.call("POST", account.path(), account, {"Idempotency-Key": "another"}, json=body()), 429, 1429)
    # whatever became of the job, the answer is the first one
    job = first.json()["result"]["id"]
    db.sql("SET session_replication_role = replica; UPDATE pcaps SET stage = 'failed', error_message = 'x', "
           "stop_requested = true, stop_requested_at = now(), completed = now(), stop_reason = 'edge_hosts_lost' WHERE id = '%s'" % job)  # fmt: skip
    assert api.call("POST", account.path(), account, key, json=body(unknown=1)).json() == first.json()
    assert result(api.call("GET", account.path("/" + job), account))["status"] == "failed"


def test_a_key_belongs_to_its_account(api, db):
    one, two = Account(db), Account(db)
    key = {"Idempotency-Key": "shared"}
    a = result(api.call("POST", one.path(), one, key, json=body()))
    b = result(api.call("POST", two.path(), two, key, json=body(time_limit=1)))
    assert a["id"] != b["id"]


def test_scope(api, db):
    none = Account(db, prefixes=None)
    failure(api.call("POST", none.path(), none, json=body()), 403, 10001)
    small = Account(db, prefixes="192.0.2.0/24")
    error = failure(api.call("POST", small.path(), small, json=body()), 400, 1022, "/filter_v1")
    assert "outside" in error["message"]
    result(api.call("POST", small.path(), small, json=body(filter_v1={"source_address": "192.0.2.9"})))
    free = Account(db, prefixes=None, unrestricted=True)
    result(api.call("POST", free.path(), free, json=body()))


def test_submissions_and_stops_are_audited(api, account, db):
    answer = api.call("POST", account.path(), account, json=body())
    job = answer.json()["result"]["id"]
    stop = api.call("PUT", account.path("/" + job + "/stop"), account)
    rows = db.sql("SELECT action, result, request_id, source FROM audit_events "
                  "WHERE object_id = '%s' ORDER BY id" % job)  # fmt: skip
    assert rows == [["pcap.submit", "ok", answer.headers["x-request-id"], "127.0.0.1"],
                    ["pcap.stop", "ok", stop.headers["x-request-id"], "127.0.0.1"]]  # fmt: skip
