"""One collect request per account and interval, exactly, over all API processes."""

import threading
import time

import pytest
from edgecap_client import DOCUMENTED_FILTER, job_body


def volley(tenants, count, body):
    """POST `count` times at once, round robin over the tenants' APIs; the answers."""
    answers, barrier = [None] * count, threading.Barrier(count)

    def post(i):
        tenant = tenants[i % len(tenants)]
        barrier.wait()
        answers[i] = tenant.call("POST", json=body)

    threads = [threading.Thread(target=post, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.lab(edges=0, apis=2)
def test_fifty_at_once_over_two_apis(lab):
    """Number 5 of what must be shown: one 200, 49 times 429; invalid ones before do not use the slot."""
    account = lab.account(interval="60s")
    tenants = [client.tenant(account, lab) for client in lab.clients]
    for answer in volley(tenants, 10, job_body(DOCUMENTED_FILTER, packet_limit=10001)):
        assert answer.status_code == 400 and answer.json()["errors"][0]["code"] == 1022, answer.text
    assert lab.sql("SELECT count(*) FROM pcaps") == "0"

    start = time.monotonic()
    answers = volley(tenants, 50, job_body(DOCUMENTED_FILTER, time_limit=1))
    spent = time.monotonic() - start
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [429] * 49, codes
    for answer in answers:
        if answer.status_code == 429:
            envelope = answer.json()
            assert envelope["success"] is False and envelope["result"] is None
            assert envelope["errors"][0]["code"] == 1429
            assert answer.headers["x-should-retry"] == "false"
            assert 60 - spent - 1 <= int(answer.headers["Retry-After"]) <= 60, answer.headers
    assert lab.sql("SELECT count(*) FROM pcaps") == "1"


@pytest.mark.lab(edges=0, apis=2)
def test_slot_is_free_again_after_retry_after(lab):
    """The advertised wait is enough, and not much more than needed."""
    account = lab.account(interval="3s")
    first, second = (client.tenant(account, lab) for client in lab.clients)
    first.post(time_limit=1)
    refused = second.call("POST", json=job_body(time_limit=1))
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 3
    time.sleep(wait)
    second.post(time_limit=1)


@pytest.mark.lab(edges=0)
def test_accounts_have_slots_of_their_own(lab):
    """One account's job does not use another's slot."""
    for _ in range(3):
        lab.tenant(interval="60s").post(time_limit=1)
