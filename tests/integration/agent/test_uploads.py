"""Uploads and the spool, with a store that fails or is away: nothing that was kept is lost."""

import time
from pathlib import Path

import pytest
from conftest import FAKE
from fake_api import check_accounted, check_whole, pcap


def memory_mib(pid, what):
    """A line of /proc/pid/status: VmRSS is resident memory now, VmHWM the most there was."""
    text = Path("/proc/%d/status" % pid).read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(what + ":")) / 1024


def sanitized():
    """Is it a sanitizer's build, whose memory is another?"""
    return {"asan", "tsan"} & set(Path(FAKE).parts)


@pytest.mark.parametrize("fault", [500, 503, 403, 410, "reset"])
def test_put_faults_are_tried_again(api, make_sampler, fault):
    sampler = make_sampler(fake_chunk_ms=50).start()
    api.put_fault = fault
    job = api.post(pcap(), time_limit_s=1)
    posted = time.monotonic()
    api.wait_state(job, "ended")
    assert time.monotonic() - posted < 1.5, "an end is said at once, not with the next counters"
    tries = len(api.puts)
    assert tries >= 2
    assert job.chunks == {} and sampler.spooled()
    api.put_fault = None
    with api.lock:
        job.granted.clear()  # as after a refusal: fresh URLs
        api.lock.notify_all()
    api.wait_state(job, "done", seconds=10)
    check_whole(job)
    log = sampler.log()
    assert log.count("level=warn prog=edgecap-sampler event=upload-failed") == 1 and "event=upload-back" in log


def test_a_taken_key_fails_the_part(api, make_sampler):
    make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=0.5)
    job.chunks[(0, 2)] = b"somebody else's"
    last = api.wait_state(job, "failed")
    assert last["reason"] == "error" and "chunk 2 of stream 0" in last["error"]
    assert last["streams"][0]["stored"] == last["streams"][0]["closed"]


@pytest.mark.parametrize("window_s", [14, 4], ids=["cut within the window", "window ends in the cut"])
def test_ten_seconds_without_api_lose_nothing(api, make_sampler, window_s):
    sampler = make_sampler(fake_chunk_ms=100).start()
    job = api.post(pcap(), time_limit_s=window_s)
    api.wait_state(job, "running")
    time.sleep(1)
    api.stop()
    time.sleep(10)
    assert len(sampler.spooled()) > 20
    api.start()
    back = time.monotonic()
    api.wait(lambda: api.up[-1][0] > back, 4)
    api.wait_state(job, "done", seconds=15)
    check_whole(job)
    assert job.last["ledger"]["dropped_spool"] == 0
    if window_s == 14:
        # 100 a second, if the machine is not busy; without those of the cut there are 400
        assert job.last["ledger"]["captured"] >= 1000


def test_at_the_spool_limit_the_oldest_is_kept_and_drops_are_counted(api, make_sampler):
    """1 MiB of spool, a store that is away: what came first stays, the rest is counted."""
    sampler = make_sampler(fake_chunk_ms=20, fake_chunk_packets=400, fake_packet_bytes=100)
    api.put_fault = 503
    sampler.start(EDGECAP_SPOOL_BYTES="1MiB")
    job = api.post(pcap(), time_limit_s=2)
    api.wait_state(job, "ended")
    # the last counters come with the next message
    api.wait(lambda: job.last["ledger"]["dropped_spool"] > 0)
    used = sum((p.stat().st_size + 4095) // 4096 * 4096 for p in sampler.spool.rglob("*") if p.is_file())
    # one job alone: four times what it leaves free, less a chunk
    assert 780 * 1024 < used <= 830 * 1024
    kept = len(sampler.spooled())
    assert 10 < kept < 60
    api.put_fault = None
    last = api.wait_state(job, "done", seconds=10)
    check_whole(job)  # from the first packet on, without a hole
    ledger = last["ledger"]
    assert ledger["captured"] == kept * 400
    assert ledger["captured"] + ledger["dropped_spool"] == ledger["selected"]
    assert sampler.log().count("event=chunks-dropped") == 1 and "EDGECAP_SPOOL_BYTES" in sampler.log()


def test_space_that_uploads_free_is_used_again(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=20, fake_chunk_packets=400)
    api.put_fault = 503
    sampler.start(EDGECAP_SPOOL_BYTES="1MiB")
    job = api.post(pcap(), time_limit_s=6)
    api.wait(lambda: "chunks-dropped" in sampler.log())
    api.put_fault = None
    last = api.wait_state(job, "done", seconds=20)
    assert last["streams"][0]["stored"] == last["streams"][0]["closed"] == len(job.chunks)
    assert sorted(seq for _, seq in job.chunks) == list(range(len(job.chunks)))  # numbered without gaps
    check_accounted(job)


def test_a_backlog_is_read_back_in_little_memory(api, make_sampler):
    """100 MiB in the spool: what is in memory of it at any moment is what the lanes upload, and afterwards nothing."""
    buffers_mib, lanes_mib, program_mib = 16, 4 * 4, 16
    sampler = make_sampler(fake_chunk_ms=30, fake_chunk_packets=1900, fake_packet_bytes=2000)
    sampler.start(EDGECAP_BUFFER_BYTES="%dMiB" % buffers_mib)
    api.put_fault = 503
    job = api.post(pcap(), time_limit_s=60)
    api.wait_state(job, "running")
    api.wait(lambda: len(sampler.spooled()) >= 26, 30, "the spool does not fill")
    api.stop_job(job)
    api.wait_state(job, "ended")
    api.put_fault = None
    api.wait_state(job, "done", seconds=30)
    check_accounted(job)  # a busy disk may not keep up with the engine
    if not sanitized():
        assert memory_mib(sampler.process.pid, "VmHWM") <= buffers_mib + lanes_mib + program_mib
        assert memory_mib(sampler.process.pid, "VmRSS") <= program_mib
