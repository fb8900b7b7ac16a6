"""The sync conversation, with an API that is slow, wrong or hangs."""

import time

import pytest
from fake_api import check_whole, pcap


def test_progress_once_a_second_and_never_more_than_two_in_flight(api, make_sampler):
    make_sampler(fake_chunk_ms=20).start()
    job = api.post(pcap(), time_limit_s=4)
    api.wait_state(job, "done", seconds=10)
    running = [t for t, m in api.up if m["parts"] and m["parts"][0]["state"] == "running"]
    # 4 s with counters that change all the time: one message a second, and those that ask for more URLs
    assert 4 <= len(running) <= 40
    assert all(len([t for t in running if begin <= t < begin + 1]) <= 12 for begin in running)
    captured = [m["parts"][0]["ledger"]["captured"] for _, m in api.up if m["parts"]]
    assert captured == sorted(captured)
    seqs = [m["seq"] for _, m in api.up]
    assert seqs == sorted(set(seqs))
    assert api.most_in_flight <= 2
    check_whole(job)


def test_a_quiet_job_is_heard_of(api, make_sampler):
    """Counters that do not change: still a message every 4 s, so that the service does not take it for lost."""
    make_sampler(fake_chunk_ms=60000).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    time.sleep(9)
    times = [t for t, m in api.up]
    assert max(b - a for a, b in zip(times, times[1:])) < 4.6
    api.stop_job(job)
    api.wait_state(job, "done")


@pytest.mark.parametrize("fault", [500, 503, 302, "truncated", "oversized", "wrong_seq", "html", "reset"])
def test_sync_faults_are_survived(api, make_sampler, fault):
    """The job goes on while the conversation is broken, and everything is told afterwards."""
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=3)
    api.wait_state(job, "running")
    api.sync_fault = fault
    begin = len(api.up)
    time.sleep(2.5)
    tries = len(api.up) - begin
    assert 3 <= tries <= 12, "%d tries in 2.5 s: backed off between 50 ms and 2 s" % tries
    api.sync_fault = None
    last = api.wait_state(job, "done", seconds=8)
    assert last["reason"] == "time_limit"
    check_whole(job)
    log = sampler.log()
    assert log.count("event=api-away") == 1 and log.count("event=api-back") == 1


def test_a_hanging_api_is_noticed(api, make_sampler):
    """A held message that is never answered: news goes on a second connection, which replaces older ones."""
    make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=4)
    api.wait_state(job, "running")
    api.sync_fault = "hang"
    time.sleep(3)
    api.sync_fault = None
    api.wait_state(job, "done", seconds=8)
    check_whole(job)


def test_a_refused_token_is_tried_every_five_seconds(api, make_sampler):
    sampler = make_sampler().start(EDGECAP_SAMPLER_TOKEN="wrong")
    time.sleep(7)
    log = sampler.log()
    assert log.count("event=api-refuses-token") == 1
    assert api.up == [] and sampler.process.poll() is None
    assert "wrong" not in log.replace("wrong=", "")


def test_an_answer_to_an_older_message_changes_nothing(api, make_sampler):
    """The newer message was answered already: what comes after it for an older one is not carried out."""
    make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=3)
    api.wait_state(job, "running")
    api.stale_stop = True
    last = api.wait_state(job, "done", seconds=8)
    assert last["reason"] == "time_limit"
    check_whole(job)
