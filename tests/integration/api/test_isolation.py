"""A tenant sees, stops and downloads nothing of another: 403, or the same 404 as for what does not exist."""

import pytest
from api_rig import Account, body, finished_job, uuid7
from contract import failure, result

CALLS = [("GET", "/%s"), ("HEAD", "/%s"), ("GET", "/%s/download"), ("HEAD", "/%s/download"), ("PUT", "/%s/stop")]


@pytest.fixture(scope="module")
def theirs(api, other):
    running = result(api.call("POST", other.path(), other, json=body()))["id"]
    return running, finished_job(api, other, b"secret" * 10)


def bare(answer):
    """An answer without what is new in each."""
    headers = {k: v for k, v in answer.headers.items()
               if k.lower() not in ("x-request-id", "ratelimit", "date", "connection")}  # fmt: skip
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize("method, tail", CALLS)
def test_in_my_account_their_job_does_not_exist(api, account, theirs, method, tail):
    missing = uuid7(1795255200.0)
    for job in theirs:
        got = api.call(method, account.path(tail % job), account)
        assert got.status_code == 404
        failure(got, 404, None if method == "HEAD" else 1404)
        assert bare(got) == bare(api.call(method, account.path(tail % missing), account))


@pytest.mark.parametrize("method, tail", CALLS + [("GET", ""), ("POST", ""), ("GET", "/limits"), ("GET", "/ownership")])
def test_their_account_looks_like_one_that_does_not_exist(api, account, other, theirs, method, tail):
    missing = "0123456789abcdef0123456789abcdef"
    for job in theirs if "%s" in tail else ("",):
        path = tail % job if job else tail
        data = body() if method == "POST" else None
        got = api.call(method, other.path(path), account, json=data)
        failure(got, 403, None if method == "HEAD" else 10001)
        same = api.call(method, "/client/v4/accounts/%s/pcaps%s" % (missing, path), account, json=data)
        assert bare(got) == bare(same)


def test_lists_do_not_mix(api, account, other, theirs):
    mine = result(api.call("POST", account.path(), account, json=body()))["id"]
    ids = [job["id"] for job in result(api.call("GET", account.path("?per_page=100"), account))]
    assert mine in ids and not set(theirs) & set(ids)


def test_nothing_of_theirs_was_changed(api, other, theirs, db):
    running, _ = theirs
    assert "stop_requested" not in result(api.call("GET", other.path("/" + running), other))
    rows = db.sql("SELECT count(*) FROM audit_events WHERE account_id = '%s' AND action <> 'pcap.submit' "
                  "AND actor NOT LIKE 'operator:%%'" % other.id)
    assert rows == [["0"]]


def test_a_user_of_two_accounts(api, db):
    one, two, three = Account(db), Account(db), Account(db)
    email, key = one.new_user("reader")
    db.sql("INSERT INTO memberships (account_id, user_id, role) SELECT '%s', id, 'collector' FROM users "
           "WHERE email = '%s'" % (two.id, email))  # fmt: skip
    headers = {"X-Auth-Email": email, "X-Auth-Key": key}
    result(api.call("GET", one.path(), None, headers))
    failure(api.call("POST", one.path(), None, headers, json=body()), 403, 10001)
    result(api.call("POST", two.path(), None, headers, json=body()))
    failure(api.call("GET", three.path(), None, headers), 403, 10001)
