"""The collect interval is exact over all replicas, and refused requests do not use it up."""

import concurrent.futures
import threading

import pytest
from api_rig import Account, Api, body
from contract import failure, result


@pytest.fixture(scope="module")
def pair(db, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    with Api(db, folder, "one") as one, Api(db, folder, "two") as two:
        yield one, two


def together(count, call):
    """Results of call(0..count-1), begun at the same moment."""
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait()
        return call(i)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("attempt", range(3))
def test_fifty_at_once_over_two_processes(pair, db, attempt):
    account = Account(db, interval="600s")
    before = db.counts()
    for api in pair:  # invalid ones first: they take no slot
        failure(api.call("POST", account.path(), account, json=body(time_limit=0)), 400, 1022)
    answers = together(50, lambda i: pair[i % 2].call("POST", account.path(), account, json=body()))
    good = [a for a in answers if a.status_code == 200]
    assert len(good) == 1
    for answer in answers:
        if answer is not good[0]:
            failure(answer, 429, 1429)
            assert 540 <= int(answer.headers["Retry-After"]) <= 600
    result(good[0])
    after = db.counts()
    assert after[0] == before[0] + 1 and after[3] == before[3] + 1
    # invalid ones are refused as invalid while the slot is taken
    failure(pair[0].call("POST", account.path(), account, json=body(time_limit=0)), 400, 1022)


def test_one_key_fifty_times_is_one_job(pair, db):
    account = Account(db, interval="600s")
    answers = together(50, lambda i: pair[i % 2].call("POST", account.path(), account,
                                                      {"Idempotency-Key": "k"}, json=body()))  # fmt: skip
    assert {a.status_code for a in answers} == {200}
    assert len({a.text for a in answers}) == 1
    assert db.sql("SELECT count(*) FROM pcaps WHERE account_id = '%s'" % account.id) == [["1"]]


def test_accounts_do_not_share_their_slots(pair, db):
    accounts = [Account(db, interval="600s") for _ in range(8)]
    answers = together(16, lambda i: pair[i % 2].call("POST", accounts[i // 2].path(), accounts[i // 2], json=body()))
    assert sorted(a.status_code for a in answers) == [200] * 8 + [429] * 8


def test_running_jobs_are_counted_over_both(pair, db):
    account = Account(db, interval="0s", running_max=7)
    answers = together(30, lambda i: pair[i % 2].call("POST", account.path(), account, json=body()))
    assert sum(a.status_code == 200 for a in answers) == 7
