"""Nothing to capture, nobody to capture, a wrong clock, a stop half way, two jobs with one filter."""

import subprocess
import time

import pytest
from numbered import check_all, numbers
from pcap_read import read_pcap, read_pcapng

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
FAST = [{"edge": i, "rate_per_s": 100} for i in (1, 2, 3)]


@pytest.mark.lab(edges=2)
def test_no_packet_matches(lab):
    """`success`, a valid empty file, and a message that says so."""
    tenant = lab.tenant()
    job = tenant.post({"destination_address": "5.6.7.8", "protocol": 132}, time_limit=1)
    tenant.wait(job, 30, expect="success")
    envelope = tenant.call("GET", "/" + job).json()
    assert envelope["result"]["packets_captured"] == 0 and envelope["messages"], envelope
    path = tenant.download(job)
    assert read_pcap(path)[0] == [] and path.stat().st_size == 24
    info = subprocess.run(["capinfos", "-c", path], capture_output=True, text=True, check=True)
    assert info.stderr == "" and "0" in info.stdout


@pytest.mark.lab(edges=0)
def test_no_edge_host(lab):
    """The job is accepted and fails with that reason."""
    tenant = lab.tenant()
    start = time.monotonic()
    seen = tenant.wait(tenant.post(UDP, time_limit=1), 31, expect="failed")
    assert "edge host" in seen["error_message"], seen
    assert seen["stop_reason"]["code"] == "no_edge_host", seen
    assert seen["samplers"]["total"] == 0 and time.monotonic() - start < 31
    refused = tenant.call("GET", "/%s/download" % seen["id"])
    assert refused.status_code == 409 and refused.json()["errors"][0]["code"] == 1409


@pytest.mark.lab(edges=2)
def test_every_edge_host_died(lab):
    """Hosts that were there a moment ago and never answer: `failed`, 30 s after the window at the latest."""
    tenant = lab.tenant()
    for sampler in lab.samplers:
        sampler.kill()
    seen = tenant.wait(tenant.post(UDP, time_limit=1), 40, expect="failed")
    assert seen["samplers"]["lost"] == 2 and seen["error_message"], seen
    for sampler in lab.samplers:
        sampler.start()


@pytest.mark.lab(edges=3)
def test_stopped_half_way(lab):
    """What was captured until then is kept, all of it."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=300)
    tenant.await_running(job, hosts=3)
    sent = lab.packets([{**stream, "count": 150} for stream in FAST]).finish()
    time.sleep(0.2)
    tenant.stop(job)
    seen = tenant.wait(job, 30, expect="success")
    assert seen["stop_reason"]["code"] == "stop_requested" and seen["stop_requested"], seen
    check_all(numbers(tenant.download(job, "pcapng")), sent)
    tenant.stop(job)  # again: 204, and nothing changes
    assert tenant.get(job) == seen


@pytest.mark.lab(edges=3)
def test_two_jobs_with_the_same_filter(lab):
    """Each gets everything."""
    first, second = lab.tenant(), lab.tenant()
    jobs = [(tenant, tenant.post(UDP, time_limit=8)) for tenant in (first, second, first)]
    for tenant, job in jobs:
        tenant.await_running(job, hosts=3)
    sent = lab.packets([{**stream, "count": 200} for stream in FAST]).finish()
    for tenant, job in jobs:
        tenant.stop(job)
    for tenant, job in jobs:
        tenant.wait(job, 30, expect="success")
        check_all(numbers(tenant.download(job, "pcapng")), sent)


def shifted(lab, number, seconds):
    """Restart sampler edge-<number> as a host whose clock is wrong: its system time and its packets' time stamps."""
    sampler = lab.samplers[number - 1]
    sampler.env.update(lab.wrong_clock(seconds))
    sampler.restart()


@pytest.mark.lab(edges=3)
@pytest.mark.parametrize("seconds", [3600, -86400])
def test_one_host_with_a_wrong_clock(lab, seconds):
    """Its window is as long as everybody's, nothing is lost, the offset is recorded and said."""
    shifted(lab, 2, seconds)
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=300)
    tenant.await_running(job, hosts=3)
    sent = lab.packets([{**stream, "count": 150} for stream in FAST]).finish()
    time.sleep(0.2)
    tenant.stop(job)
    seen = tenant.wait(job, 30, expect="success")
    assert seen["samplers"]["done"] == 3
    path = tenant.download(job, "pcapng")
    check_all(numbers(path), sent)
    packets, interfaces = read_pcapng(path)
    for packet in packets:
        wrong = interfaces[packet.interface].name.startswith("edge-2")
        offset_s = packet.time_ns / 1e9 - time.time() - (seconds if wrong else 0)
        assert -60 < offset_s < 1, offset_s
    rows = lab.sql_json("SELECT sampler_name, clock_offset_us FROM pcap_parts")
    offsets = {row["sampler_name"]: row["clock_offset_us"] / 1e6 for row in rows}
    assert abs(offsets["edge-2"] - seconds) < 1 and abs(offsets["edge-1"]) < 1, offsets
    messages = tenant.call("GET", "/" + job).json()["messages"]
    assert any("edge-2" in str(m) and "clock" in str(m) for m in messages), messages
