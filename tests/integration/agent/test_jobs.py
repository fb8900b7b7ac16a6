"""Jobs from their order to their end, with an API that behaves."""

import time

from fake_api import check_whole, pcap


def test_life_of_a_job(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=50).start(EDGECAP_INTERFACES="fake0,fake1")
    api.wait(lambda: api.up)
    job = api.post(pcap(), time_limit_s=1)
    posted = time.monotonic()
    last = api.wait_state(job, "running")
    assert time.monotonic() - posted < 0.1
    assert last["started_us"] > 0 and last["reason"] == ""
    last = api.wait_state(job, "done", seconds=5)
    took = time.monotonic() - posted
    assert 1.0 <= took < 1.4
    assert last["reason"] == "time_limit" and last["ended_us"] > last["started_us"]
    assert [s["stored"] for s in last["streams"]] == [s["closed"] for s in last["streams"]]
    assert len(job.chunks) == sum(s["closed"] for s in last["streams"])
    check_whole(job)
    # forgotten, and nothing left on the disk
    api.wait(lambda: api.up[-1][1]["parts"] == [] and sampler.parts() == [])
    message = api.up[-1][1]
    assert message["host"] == "edge-test" and message["software"].startswith("edgecap-sampler/")
    assert abs(message["clock_us"] / 1e6 - time.time()) < 15
    assert api.most_in_flight <= 2


def test_arming_is_reported_at_once(api, make_sampler):
    """From the post of a job to the report that it runs: the engine's time and little more, also one after the other."""
    make_sampler(fake_arm_ms=2).start()
    api.wait(lambda: api.up)
    times = []
    for n in range(20):
        time.sleep(0.12)
        job = api.post(pcap(n), time_limit_s=30)
        times.append(api.wait(lambda j=job: j.last is not None, 5))
    times.sort()
    print("armed and reported: median %.1f ms, worst %.1f ms" % (times[10] * 1e3, times[-1] * 1e3))
    assert times[10] < 0.09  # a message more would be 100 ms
    for job in list(api.jobs.values()):
        api.stop_job(job)
    for job in api.jobs.values():
        api.wait_state(job, "done")


def test_stop(api, make_sampler):
    make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    time.sleep(0.3)
    api.stop_job(job)
    assert api.wait_state(job, "done", seconds=2)["reason"] == "stopped"
    check_whole(job)


def test_stopped_before_it_was_begun(api, make_sampler):
    job = api.post(pcap())
    job.stop = True
    make_sampler().start()
    last = api.wait_state(job, "done")
    assert last["reason"] == "stopped" and last["ledger"]["captured"] == 0 and last["started_us"] == 0


def test_packet_limit(api, make_sampler):
    make_sampler(fake_chunk_ms=20).start()
    job = api.post(pcap(), packet_limit=137)
    last = api.wait_state(job, "done")
    assert last["reason"] == "packet_limit" and last["ledger"]["captured"] == 137
    check_whole(job)


def test_more_jobs_than_fit_fail_and_say_why(api, make_sampler):
    make_sampler().start(EDGECAP_JOBS_MAX="2")
    jobs = [api.post(pcap(n), time_limit_s=60) for n in range(3)]
    api.wait(lambda: all(j.last for j in jobs))
    failed = [j for j in jobs if j.last["state"] == "failed"]
    assert len(failed) == 1
    assert failed[0].last["reason"] == "error" and "EDGECAP_JOBS_MAX" in failed[0].last["error"]


def test_unknown_parts_are_forgotten(api, make_sampler):
    """The API lost its memory of a job that runs: the sampler drops it with everything that it has."""
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=300)
    api.wait_state(job, "running")
    api.put_fault = 503
    time.sleep(0.5)
    assert sampler.spooled()
    with api.lock:
        del api.jobs[job.pcap]
    api.wait(lambda: api.up[-1][1]["parts"] == [] and sampler.parts() == [])
    # and is not run again when an API that knows less asks for it
    api.put_fault = None
    again = api.post(job.pcap, time_limit_s=300)
    time.sleep(1.5)
    assert again.last is None


def test_many_jobs_share_the_uploads(api, make_sampler):
    make_sampler(fake_chunk_ms=30).start(EDGECAP_INTERFACES="fake0,fake1")
    jobs = [api.post(pcap(n), time_limit_s=1.5) for n in range(24)]
    for job in jobs:
        api.wait_state(job, "done", seconds=20)
    for job in jobs:
        check_whole(job)
    assert api.most_puts <= 4


def test_relative_urls(api, make_sampler):
    api.relative_urls = True
    make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")
    check_whole(job)
