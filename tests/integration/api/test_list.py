"""GET /pcaps: order, pages, filters."""

import datetime

import pytest
from api_rig import Account, Api, body, finished_job, rfc3339
from contract import failure, result


@pytest.fixture(scope="module")
def full(api, db):
    """An account with 60 captures, oldest first."""
    account = Account(db, running_max=1000)
    jobs = [result(api.call("POST", account.path(), account, json=body()))["id"] for _ in range(60)]
    return account, jobs


def page(api, account, query=""):
    answer = api.call("GET", account.path(query), account)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    return [job["id"] for job in value["result"]], value["result_info"]


def test_the_newest_fifty(api, full):
    account, jobs = full
    ids, info = page(api, account)
    assert ids == jobs[:9:-1]
    assert info == {"page": 1, "per_page": 50, "count": 50, "total_count": 60, "total_pages": 2}


def test_pages_are_without_gaps(api, full):
    account, jobs = full
    seen = []
    for number in range(1, 5):
        ids, info = page(api, account, "?per_page=17&page=%d" % number)
        assert info["total_count"] == 60 and info["total_pages"] == 4 and info["count"] == len(ids)
        seen += ids
    assert seen == jobs[::-1]
    ids, info = page(api, account, "?page=9")
    assert ids == [] and info["count"] == 0 and info["total_count"] == 60


def test_filters(api, db):
    account = Account(db)
    first = finished_job(api, account, b"p" * 24, age_s=30)
    second = finished_job(api, account, b"p" * 24, age_s=20, stage="failed", error_message="it did")
    third = finished_job(api, account, b"p" * 24, age_s=10, stage="expired")
    time = result(api.call("GET", account.path("/" + second), account))["submitted"]
    offset = time.replace("Z", "%2B00:00")
    later = rfc3339(datetime.datetime.now().timestamp() + 60)
    assert page(api, account)[0] == [third, second, first]
    assert page(api, account, "?status=success")[0] == [third, first]
    assert page(api, account, "?status=failed")[0] == [second]
    assert page(api, account, "?status=running")[0] == []
    assert page(api, account, "?type=simple")[0] == [third, second, first]
    assert page(api, account, "?type=full")[0] == []
    assert page(api, account, "?since=" + time)[0] == [third, second]
    assert page(api, account, "?until=" + time)[0] == [second, first]
    assert page(api, account, "?since=%s&until=%s" % (offset, time))[0] == [second]
    assert page(api, account, "?since=" + later)[0] == []
    assert page(api, account, "?status=success&until=" + time)[0] == [first]


def test_no_time_is_too_old(api, full):
    """Neither what the database cannot write (the year 0000, by offset as well) nor the beginning of the count of seconds."""
    account = full[0]
    for time in ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
        assert page(api, account, "?since=" + time)[1]["total_count"] > 0, time
        assert page(api, account, "?until=" + time)[1]["total_count"] == 0, time


def test_an_account_without_captures(api, db):
    ids, info = page(api, Account(db))
    assert ids == [] and info["total_pages"] == 0


@pytest.mark.parametrize("query", [
    "page=0", "page=-1", "page=x", "page=1&page=2", "per_page=101", "per_page=0", "per_page=1e1",
    "status=done", "type=x", "since=yesterday", "until=2026-11-21", "page=%zz", "page=1%00",
    "since=2026-11-21T10:00:00Z&until=2026-11-21T09:00:00Z", "page=99999999999999999999",
])  # fmt: skip
def test_wrong_parameters(api, account, query):
    failure(api.call("GET", account.path("?" + query), account), 400, 1022)


def test_a_finished_job_shows_all(api, db):
    account = Account(db)
    job = finished_job(api, account, b"p" * 24, warnings='["no packet matched"]', packets_in_file=0)
    answer = api.call("GET", account.path("/" + job), account)
    shown = result(answer)
    assert shown["status"] == "success" and shown["bytes"] == 24
    assert shown["stop_reason"] == {"code": "time_limit", "limit": 1, "value": 1}
    assert answer.json()["messages"] == [{"code": 1000, "message": "no packet matched"}]


def test_sampling_is_shown_without_its_secret(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path, EDGECAP_SELECTION="hash:0.25") as api:
        one, two = (api.call("POST", account.path(), account, json=body()) for _ in range(2))
        assert result(one)["sampling"] == {"method": "hash", "probability_ppb": 250000000}
        secrets = db.sql("SELECT selection_secret FROM pcaps WHERE account_id = '%s'" % account.id)
        assert secrets[0] != secrets[1]
        assert secrets[0][0][2:] not in one.text + two.text
