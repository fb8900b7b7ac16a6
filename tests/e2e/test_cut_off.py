"""A sampler that is cut off from the API goes on capturing, and loses nothing."""

import time

import pytest
from numbered import check_all, numbers

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
CUT_S = 10


def streams(rate):
    return [{"edge": i, "rate_per_s": rate} for i in (1, 2, 3)]


@pytest.mark.lab(edges=3)
@pytest.mark.parametrize("window_s", [14, 6], ids=["cut within the window", "window ends in the cut"])
def test_ten_seconds_cut_lose_nothing(lab, window_s):
    """Number 8 of what must be shown."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=window_s, packet_limit=10000)
    tenant.await_running(job, hosts=3)
    source = lab.packets(streams(150))
    time.sleep(1)
    lab.edge_link(2, up=False)
    cut = time.monotonic()
    if window_s < CUT_S:
        time.sleep(window_s - 2)
        sent = source.stop()  # before the window ends
        time.sleep(max(0, cut + CUT_S - time.monotonic()))
        lab.edge_link(2, up=True)
    else:
        time.sleep(CUT_S)
        lab.edge_link(2, up=True)
        time.sleep(1)
        sent = source.stop()
    seen = tenant.wait(job, 60, expect="success")
    assert seen["samplers"]["done"] == 3 and seen["samplers"]["lost"] == 0, seen
    check_all(numbers(tenant.download(job, "pcapng")), sent)


@pytest.mark.lab(edges=3)
def test_cut_for_good_is_lost_and_named(lab):
    """A host that does not come back: lost after 15 s of silence; the job succeeds and names it."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=4, packet_limit=10000)
    tenant.await_running(job, hosts=3)
    source = lab.packets(streams(50))
    time.sleep(1.5)
    lab.edge_link(3, up=False)
    cut = time.monotonic()
    tenant.wait(job, 4 + 30, expect="success")
    assert 14 <= time.monotonic() - cut <= 22, "given up after %.1f s" % (time.monotonic() - cut)
    source.stop()
    envelope = tenant.call("GET", "/" + job).json()
    assert envelope["result"]["samplers"]["lost"] == 1, envelope
    assert any("edge-3" in str(message) for message in envelope["messages"]), envelope
    found = numbers(tenant.download(job, "pcapng"))
    assert found[0] and found[1]
    lab.edge_link(3, up=True)


@pytest.mark.lab(edges=2)
def test_budget_reached_behind_a_cut(lab):
    """A host that is cut off stops at the job's limit by itself; the file is the earliest all the same."""
    from numbered import check_earliest

    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=30, packet_limit=500)
    tenant.await_running(job, hosts=2)
    lab.edge_link(2, up=False)
    source = lab.packets([{"edge": 1, "rate_per_s": 100}, {"edge": 2, "rate_per_s": 300}])
    time.sleep(6)
    lab.edge_link(2, up=True)
    tenant.wait(job, 60, expect="success")
    check_earliest(numbers(tenant.download(job, "pcapng")), source.stop(), 500)
