"""Killed, terminated and started again: what was in the spool is delivered, and the part tells the truth."""

import os
import random
import time

from fake_api import check_whole, pcap


def test_killed_and_restarted(api, make_sampler):
    """kill -9 while chunks wait: the next process stores them and reports the part failed, sampler_restarted."""
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    time.sleep(0.5)
    api.put_fault = 503
    api.wait(lambda: len(sampler.spooled()) > 10)
    closed = job.last["streams"][0]["closed"]
    sampler.kill()
    api.put_fault = None
    sampler.start()
    last = api.wait_state(job, "failed", seconds=30)
    assert last["reason"] == "sampler_restarted"
    numbers = job.numbers()[0]
    assert numbers == list(range(len(numbers)))
    assert last["streams"][0]["stored"] == last["streams"][0]["closed"] == len(job.chunks) >= closed
    api.wait(lambda: sampler.parts() == [])
    assert len(api.boots) == 2


def test_killed_at_random_moments(api, make_sampler):
    """However often it is killed: each job's packets are in the store without a hole, up to the moment of the kill."""
    seed = int(os.environ.get("EDGECAP_SEED", time.time_ns() % 1000000))
    print("EDGECAP_SEED=%d" % seed)
    chance = random.Random(seed)
    sampler = make_sampler(fake_chunk_ms=10)
    for n in range(10):
        sampler.start()
        job = api.post(pcap(n), time_limit_s=300)
        api.wait_state(job, "running")
        time.sleep(chance.random() * 0.4)
        api.put_fault = chance.choice([None, None, 503, "reset"])
        time.sleep(chance.random() * 0.3)
        closed = sum(stream["closed"] for stream in job.last["streams"])  # what is captured may not be written yet
        sampler.kill()
        api.put_fault = None
        sampler.start()
        last = api.wait_state(job, "failed", seconds=30)
        assert last["reason"] == "sampler_restarted"
        numbers = job.numbers().get(0, [])
        assert numbers == list(range(len(numbers))) and len(job.chunks) >= closed
        sampler.kill()
    sampler.start()
    api.wait(lambda: api.up[-1][1]["parts"] == [] and sampler.parts() == [])


def test_killed_when_only_uploads_were_left(api, make_sampler):
    """The window was over and every chunk in the spool: the next process ends the part as if nothing had happened."""
    sampler = make_sampler(fake_chunk_ms=50).start()
    api.put_fault = 503
    job = api.post(pcap(), time_limit_s=1)
    api.wait_state(job, "ended")
    time.sleep(0.3)
    sampler.kill()
    captured = job.last["ledger"]["captured"]
    api.put_fault = None
    sampler.start()
    last = api.wait_state(job, "done", seconds=10)
    assert last["reason"] == "time_limit" and last["ledger"]["captured"] == captured
    check_whole(job)


def test_terminated_with_the_api_there(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    time.sleep(0.5)
    status, took = sampler.terminate()
    assert status == 0 and took < 2
    assert job.last["state"] == "failed" and job.last["reason"] == "sampler_restarted"
    check_whole(job)


def test_terminated_with_the_api_away(api, make_sampler):
    """Up to 5 s of trying, then the spool keeps it for the next process."""
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    time.sleep(0.5)
    api.stop()
    time.sleep(0.5)
    status, took = sampler.terminate()
    assert status == 0 and 4.5 < took < 6.5
    assert sampler.spooled()
    api.start()
    sampler.start()
    last = api.wait_state(job, "failed", seconds=10)
    assert last["reason"] == "sampler_restarted"
    check_whole(job)


def test_idle_and_terminated(api, make_sampler):
    sampler = make_sampler().start()
    api.wait(lambda: api.up)
    status, took = sampler.terminate()
    assert status == 0 and took < 0.5


def test_garbage_in_the_spool(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=50).start()
    api.wait(lambda: api.up)
    sampler.terminate()
    (sampler.spool / "notes.txt").write_text("mine")
    broken = sampler.spool / pcap(7)
    broken.mkdir()
    (broken / "part.json").write_bytes(b"\0" * 300)
    (broken / "00-00000000.pcapng").write_bytes(b"x" * 100)
    os.chown(broken, 65534, 65534)
    for path in broken.iterdir():
        os.chown(path, 65534, 65534)
    sampler.start()
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")
    assert not broken.exists() and (sampler.spool / "notes.txt").exists()
    assert sampler.log().count("event=spool-garbage") == 3


def test_two_samplers_do_not_share_a_spool(api, make_sampler):
    sampler = make_sampler().start()
    api.wait(lambda: api.up)
    second = make_sampler()
    second.logs.append(second.folder / "unused")
    (second.folder / "unused").write_text("")
    second.start()
    assert second.process.wait(5) == 1
    assert "EDGECAP_SPOOL_DIR: another sampler uses it" in second.log()
    assert sampler.process.poll() is None


def test_signals_again_and_again(api, make_sampler):
    """An impatient supervisor: only the first one counts."""
    for _ in range(10):
        sampler = make_sampler().start()
        api.wait(lambda started=sampler: "event=started" in started.log())
        while sampler.process.poll() is None:
            sampler.process.terminate()
        assert sampler.process.returncode == 0
