"""The packet limit is the job's: the file is the earliest packets of everything that was sent."""

import pytest
from numbered import check_earliest, numbers
from pcap_read import read_pcapng

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}


@pytest.mark.lab(edges=3)
@pytest.mark.parametrize("rates", [(900, 300, 60), (40, 1500, 40), (200, 200, 200)])
def test_earliest_thousand_of_three_hosts(lab, rates):
    """Number 4 of what must be shown."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=60, packet_limit=1000)
    tenant.await_running(job, hosts=3)
    source = lab.packets([{"edge": i, "rate_per_s": rate, "flows": 16} for i, rate in enumerate(rates, 1)])
    seen = tenant.wait(job, 60, expect="success")
    sent = source.stop()
    assert seen["packets_captured"] == 1000
    assert seen["stop_reason"] == {"code": "packet_limit", "limit": 1000, "value": 1000}, seen
    capture = tenant.download(job, "pcapng")
    check_earliest(numbers(capture), sent, 1000)
    # edge-2's two capture threads are nobody's business
    assert len(read_pcapng(capture)[1]) == 3


@pytest.mark.lab(edges=3)
def test_limit_of_one_packet(lab):
    """The smallest budget: one packet, the first."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=60, packet_limit=1)
    tenant.await_running(job, hosts=3)
    source = lab.packets([{"edge": i, "rate_per_s": 20} for i in (1, 2, 3)])
    tenant.wait(job, 60, expect="success")
    check_earliest(numbers(tenant.download(job, "pcapng")), source.stop(), 1)
