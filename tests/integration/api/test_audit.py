"""GET /audit: who did what, for the account's admins; and what was refused is in it, in bounds."""

import subprocess
import time

import pytest
from api_rig import Account, Api, await_true, body, finished_job, uuid7
from contract import failure, result


@pytest.fixture
def mine(db):
    """An account with a token for its audit."""
    account = Account(db)
    account.auditor = {"Authorization": "Bearer " + account.new_token("read,admin", name="auditor")}
    return account


def where(account, query=""):
    return "/client/v4/accounts/%s/audit%s" % (account.id, query)


def audit(api, account, query=""):
    answer = api.call("GET", where(account, query), None, account.auditor)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"], answer.json()["result_info"]


def tenants(rows):
    return [row for row in rows if row["actor"]["type"] != "operator"]


def await_rows(api, account, count, query="?per_page=100"):
    """Rows of refused attempts come a moment after the answer."""
    def there():
        rows = tenants(audit(api, account, query)[0])
        return rows if len(rows) >= count else None

    return await_true("%d audit rows" % count, 10, there)


def test_what_a_tenant_does_is_listed(api, mine):
    answer = api.call("POST", mine.path(), mine, json=body())
    job = result(answer)["id"]
    assert api.call("PUT", mine.path("/%s/stop" % job), mine).status_code == 204
    done = finished_job(api, mine, b"p" * 24)
    assert api.call("GET", mine.path("/%s/download" % done), mine).status_code == 200
    rows, info = audit(api, mine)
    assert info["total_count"] == len(rows) and info["page"] == 1
    download, stop, submit = tenants(rows)
    assert [r["action"] for r in (submit, stop, download)] == [
        {"type": t, "result": True} for t in ("pcap.submit", "pcap.stop", "pcap.download")]
    assert submit["resource"] == {"type": "pcap", "id": job} and download["resource"]["id"] == done
    assert submit["metadata"] == {"outcome": "ok", "request_id": answer.headers["X-Request-Id"]}
    assert submit["actor"]["type"] == "token" and submit["actor"]["ip"] == "127.0.0.1"
    assert submit["actor"]["name"] and len(submit["actor"]["id"]) == 32
    assert rows == sorted(rows, key=lambda row: (row["when"], row["id"]), reverse=True)
    # reading leaves nothing
    api.call("GET", mine.path(), mine)
    assert audit(api, mine)[0] == rows


def test_a_user_is_named_by_address(api, mine):
    email, key = mine.new_user("collector")
    headers = {"X-Auth-Email": email, "X-Auth-Key": key}
    result(api.call("POST", mine.path(), None, headers, json=body()))
    row = audit(api, mine)[0][0]
    assert row["actor"] == {"type": "user", "id": row["actor"]["id"], "email": email, "ip": "127.0.0.1"}
    assert audit(api, mine, "?actor=" + email)[0] == [row]
    assert audit(api, mine, "?actor=" + row["actor"]["id"])[0] == [row]


def test_an_operators_changes_are_there_without_the_name(api, mine, db):
    db.admin("account", "set", "--account", mine.id, "--running-max", "7")
    rows, _ = audit(api, mine, "?actor=operator")
    assert {tuple(row["actor"].items()) for row in rows} == {(("type", "operator"),)}
    assert [row["action"]["type"] for row in rows] == [
        "account.set", "token.create", "token.create", "prefix.add", "account.create"]
    assert rows[0]["metadata"] == {"outcome": "ok", "detail": "running_max=7"}
    assert rows[1]["metadata"]["detail"] == "name=auditor permissions=read,admin"


def test_pages_and_filters(api, mine):
    jobs = [result(api.call("POST", mine.path(), mine, json=body()))["id"] for _ in range(7)]
    seen = []
    for page in (1, 2, 3):
        rows, info = audit(api, mine, "?action=pcap.submit&per_page=3&page=%d" % page)
        assert info["total_count"] == 7 and info["total_pages"] == 3 and info["count"] == len(rows)
        seen += rows
    assert [row["resource"]["id"] for row in seen] == jobs[::-1]
    assert audit(api, mine, "?action=pcap.stop")[0] == []
    middle = seen[3]["when"]
    assert audit(api, mine, "?action=pcap.submit&since=" + middle)[0] == seen[:4]
    assert audit(api, mine, "?action=pcap.submit&until=" + middle)[0] == seen[3:]
    name = seen[0]["actor"]["name"]
    assert audit(api, mine, "?actor=token:" + name)[0] == seen
    assert audit(api, mine, "?actor=token:other")[0] == []
    assert audit(api, mine, "?action=pcap.submit&per_page=100&since=0000-01-01T00:00:00Z")[0] == seen


@pytest.mark.parametrize("query", ["action=x", "actor=x", "actor=operator:root", "page=0", "since=x"])
def test_wrong_parameters(api, mine, query):
    failure(api.call("GET", where(mine, "?" + query), None, mine.auditor), 400, 1022)


def test_for_admins_of_the_account_alone(api, mine, db):
    failure(api.call("GET", where(mine), mine), 403, 10001)  # read, download, collect
    other = Account(db)
    headers = {"Authorization": "Bearer " + other.new_token("read,admin")}
    failure(api.call("GET", where(mine), None, headers), 403, 10001)
    email, key = mine.new_user("admin")
    assert api.call("GET", where(mine), None, {"X-Auth-Email": email, "X-Auth-Key": key}).status_code == 200
    rows, _ = audit(api, mine)
    assert tenants(rows) == []  # a refused look is no attempted change


def test_refused_attempts_of_members_are_there(api, mine):
    reader = {"Authorization": "Bearer " + mine.new_token("read", name="reader")}
    job = uuid7(time.time())
    refused = [
        ("POST", mine.path(), "pcap.submit", None),
        ("PUT", mine.path("/%s/stop" % job), "pcap.stop", job),
        ("GET", mine.path("/%s/download" % job), "pcap.download", job),
        ("POST", mine.path("/ownership"), "bucket.create", None),
        ("POST", mine.path("/ownership/validate"), "bucket.validate", None),
        ("DELETE", mine.path("/ownership/%s" % job), "bucket.delete", job),
    ]
    for method, path, _, _ in refused:
        failure(api.call(method, path, None, reader, json=body()), 403, 10001)
    rows = await_rows(api, mine, len(refused))
    found = {(r["action"]["type"], r["resource"].get("id")) for r in rows}
    assert found == {(action, target) for _, _, action, target in refused}
    for row in rows:
        assert row["action"]["result"] is False and row["metadata"]["outcome"] == "forbidden"
        assert row["actor"]["name"] == "reader"


def test_refused_submissions_are_there(api, db):
    account = Account(db, interval="60s")
    account.auditor = {"Authorization": "Bearer " + account.new_token("admin")}
    result(api.call("POST", account.path(), account, json=body()))
    failure(api.call("POST", account.path(), account, json=body()), 429, 1429)
    foreign = {"source_address": "9.9.9.9", "destination_address": "9.9.9.8"}
    failure(api.call("POST", account.path(), account, json=body(filter_v1=foreign)), 400, 1022)
    failure(api.call("POST", account.path(), account, json=body(time_limit=0)), 400, 1022)
    rows = await_rows(api, account, 3)
    assert sorted(r["metadata"]["outcome"] for r in rows) == ["forbidden", "ok", "rate_limited"]
    assert all(r["action"]["type"] == "pcap.submit" for r in rows)


def test_strangers_leave_nothing(api, mine, db):
    other = Account(db)
    for _ in range(5):
        failure(api.call("POST", mine.path(), other, json=body()), 403, 10001)
        failure(api.call("POST", mine.path(), None, {"Authorization": "Bearer x"}, json=body()), 401)
    time.sleep(0.5)
    rows = db.sql("SELECT count(*) FROM audit_events WHERE account_id IN ('%s', '%s')"
                  " AND actor NOT LIKE 'operator:%%'" % (mine.id, other.id))  # fmt: skip
    assert rows == [["0"]]


def test_refused_attempts_are_bounded(db, tmp_path):
    """LIMIT_AUDIT_REFUSALS rows, then one a second; whoever asks more often is in the access log only."""
    with Api(db, tmp_path) as api:
        account = Account(db)
        account.auditor = {"Authorization": "Bearer " + account.new_token("admin")}
        reader = {"Authorization": "Bearer " + account.new_token("read")}
        begun = time.monotonic()
        for _ in range(200):
            failure(api.call("POST", account.path(), None, reader, json=body()), 403, 10001)
        seconds = time.monotonic() - begun
        await_rows(api, account, 60)
        time.sleep(0.5)
        rows = tenants(audit(api, account, "?per_page=100")[0])
        assert 60 <= len(rows) <= 60 + seconds + 1
        assert len([line for line in api.requests_logged() if line.get("status") == "403"]) >= 200


def test_the_api_cannot_change_it(db):
    """Not even with its own role and connection."""
    for statement in ("UPDATE audit_events SET result = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"):
        done = subprocess.run(["psql", "-X", "-d", db.api_url, "-c",
                               "SET edgecap.scope = 'fleet'", "-c", statement], capture_output=True, text=True)  # fmt: skip
        assert "permission denied for table audit_events" in done.stderr, done.stderr
