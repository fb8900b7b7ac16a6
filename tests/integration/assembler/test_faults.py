"""The assembler killed, stopped, frozen, without database, without disk; files that expire."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import kit
import pcap_read
from chunks import BEGIN_NS, SECOND_NS, chunk, packet
from kit import Host, await_true, sql


def slow_job(world, chunks=6000):
    """A job that takes a second or more: many small chunks."""
    hosts = [Host("ord-a"), Host("ord-b")]
    for host in hosts:
        for seq in range(chunks // 2):
            host.add(chunk([(BEGIN_NS + seq * SECOND_NS // 1000, packet(seq))]), 1)
    return world.job(hosts, limit=10000)


def files(job):
    return {e: job.path(e).read_bytes() for e in ("pcap", "pcapng")}


def leftovers(world):
    return list((world.store / ".tmp").iterdir())


def begin_anew(job):
    """As if nothing had been done."""
    shutil.rmtree(job.path("pcap").parent)
    job.again()


def reference(world, job):
    """The job's files when nothing goes wrong; then as if nothing had been done."""
    assembler = world.assembler()
    job.await_stage("done", 60)
    content = files(job)
    assert assembler.stop() == 0
    begin_anew(job)
    return content


def test_killed_at_random_moments(world):
    job = slow_job(world)
    began = time.monotonic()
    content = reference(world, job)
    took_s = time.monotonic() - began
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed, "an undisturbed run takes", took_s)
    rng = random.Random(seed)
    killed = 0
    for _ in range(20):
        assembler = world.assembler(LEASE="1s").await_event("job-claimed")
        time.sleep(rng.random() * took_s / 2)
        assembler.kill()
        if job.stage() == "assembling":
            killed += 1
        elif job.stage() == "done":  # it was faster: begin anew
            begin_anew(job)
            killed = 0
        if killed == 2:
            break
    world.assembler(LEASE="1s")
    row = job.await_stage("done", 60)
    assert killed >= 1
    assert row["fence"] > killed
    assert files(job) == content
    # what the killed ones left unfinished is nobody's object, and an hourly sweep removes it
    left = [p.name for p in leftovers(world)]
    assert all(re.fullmatch("pcaps=.*~[0-9a-f]{32}", name) for name in left), left


def test_stopped_half_way_gives_the_job_back(world):
    job = slow_job(world)
    content = reference(world, job)
    for _ in range(20):
        assembler = world.assembler(LEASE="60s").await_event("job-claimed")
        time.sleep(random.random() * 0.1)
        assert assembler.stop() == 0
        if job.stage() != "done":
            break
        begin_anew(job)  # it was faster
    assert job.stage() == "ready", assembler.log()
    assert leftovers(world) == []
    world.assembler(LEASE="60s")
    job.await_stage("done", 60)  # and not a minute later
    assert files(job) == content


def test_a_frozen_assembler_does_no_harm_when_it_wakes(world):
    job = slow_job(world)
    content = reference(world, job)
    frozen = world.assembler(LEASE="1s").await_event("job-claimed")
    frozen.process.send_signal(signal.SIGSTOP)
    world.assembler(LEASE="1s")
    row = job.await_stage("done", 60)
    frozen.process.send_signal(signal.SIGCONT)
    frozen.await_event("lease-lost")
    assert job.row() == row
    assert files(job) == content


def test_database_restarts(world):
    job = slow_job(world)
    content = reference(world, job)
    assembler = world.assembler().await_event("job-claimed")
    ctl = os.environ["EDGECAP_TEST_PG_CTL"]
    subprocess.run([ctl, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
    try:
        assembler.await_event("database-away")
    finally:
        subprocess.run([ctl, "start"], check=True, stdout=subprocess.DEVNULL)
    job.await_stage("done", 60)
    assert files(job) == content


def as_other_user():
    """Root is not bound by permissions: somebody who is."""
    return "nobody" if os.geteuid() == 0 else None


def permit(world):
    """The world of a test is the other user's too."""
    subprocess.run(["chmod", "-R", "a+rwX", world.dir], check=True)


def forbid(world):
    """Make what the files need read-only."""
    for folder in (world.store, world.store / ".tmp"):
        folder.chmod(0o555)


def small_job(world):
    host = Host("ord-a")
    host.add(chunk([(BEGIN_NS, packet(1))]), 1)
    return world.job([host])


def test_store_read_only_then_given_up(world):
    permit(world)
    assembler = world.assembler(as_user=as_other_user()).await_event("ready")
    forbid(world)
    job = small_job(world)
    row = job.await_stage("failed", 60)
    assert row["error_message"].startswith("storage: create pcaps/")
    assert row["error_message"].endswith("Permission denied")
    assert str(world.dir) not in row["error_message"]
    assert row["attempts"] == 5
    assert len(assembler.events("assembly-again")) == 4
    assert len(assembler.events("assembly-given-up")) == 1


def test_store_read_only_for_a_while(world):
    permit(world)
    assembler = world.assembler(as_user=as_other_user()).await_event("ready")
    forbid(world)
    job = small_job(world)
    assembler.await_event("assembly-again", count=2)
    permit(world)
    row = job.await_stage("done", 30)
    assert row["attempts"] == 3
    assert len(pcap_read.read_pcap(job.path("pcap"))[0]) == 1


def test_a_job_that_kills_its_assembler_ends(world):
    job = small_job(world)
    sql("UPDATE pcaps SET attempts = 5 WHERE " + job.where)
    world.assembler()
    row = job.await_stage("failed")
    assert row["error_message"] == "its assembly was begun too often and never ended"


def test_files_expire(world):
    job = small_job(world)
    world.assembler(RETENTION="1s")
    job.await_stage("done")
    assert job.path("pcap").exists()
    job.await_stage("expired", 30)
    assert not job.path("pcap").exists() and not job.path("pcapng").exists()
    assert not job.chunk_folder().exists()
    assert sorted(p.name for p in world.store.iterdir()) == [".tmp"]


def test_chunks_go_after_a_while_and_files_stay(world):
    job = small_job(world)
    assembler = world.assembler()
    job.await_stage("done")
    sql("UPDATE pcaps SET completed = now() - interval '1 hour' WHERE " + job.where)
    assembler.await_event("garbage-removed", 30)
    assert not job.chunk_folder().exists()
    assert job.path("pcap").exists() and job.path("pcapng").exists()
    assert job.stage() == "done"


def test_silent_hosts_are_given_up(world):
    host = Host("ord-a", state="running", reason="")
    job = kit.Job(world, [host]).store()
    sql("""UPDATE pcaps SET deadline = now() - interval '1 s', parts_assigned = 0, parts_running = 1
        WHERE %s;
        INSERT INTO api_replicas VALUES ('%s', now() + interval '1 minute', now() - interval '1 minute')
        """ % (job.where, kit.new_id()))  # somebody listened to the host
    world.assembler().await_event("parts-given-up")
    assert "did not end in time" in job.await_stage("failed")["error_message"]


def test_start_and_stop(world):
    began = time.monotonic()
    assembler = world.assembler().await_event("ready")
    assert time.monotonic() - began < 5
    assert assembler.stop(5) == 0
    assert len(assembler.events("ended")) == 1
    interrupted = world.assembler().await_event("ready")
    interrupted.process.send_signal(signal.SIGINT)
    assert interrupted.process.wait(5) == 0


def test_wrong_settings_stop_the_start(world):
    for settings, text in (
            ({"WORKERS": 17}, "EDGECAP_WORKERS"), ({"LEASE": "1"}, None), ({"LEASE": "1x"}, "EDGECAP_LEASE"),
            ({"STORAGE": "/x"}, "EDGECAP_STORAGE"), ({"STORAGE": "file:///no/such/dir"}, "EDGECAP_STORAGE"),
            ({"DATABASE_URL": "nonsense"}, "EDGECAP_DATABASE_URL"), ({"LOG_LEVEL": "loud"}, "EDGECAP_LOG_LEVEL")):
        assembler = world.assembler(**settings)
        if text is None:
            assembler.await_event("ready")
            assert assembler.stop() == 0
            continue
        assert assembler.process.wait(10) == 1
        assert text in assembler.log()


def test_a_database_that_was_not_migrated(world):
    sql("CREATE DATABASE empty", database="postgres")
    url = "host=%s user=edgecap_assembler dbname=empty" % kit.SOCKET
    assembler = world.assembler(DATABASE_URL=url)
    assert assembler.process.wait(10) == 1
    assert "schema" in assembler.log()
    await_true("it names the program", 1, lambda: "prog=edgecap-assembler" in assembler.log())


def test_signals_again_and_again(world):
    """An impatient supervisor: only the first one counts."""
    for _ in range(10):
        assembler = world.assembler()
        assembler.await_event("started")
        while assembler.process.poll() is None:
            assembler.process.terminate()
        assert assembler.process.returncode == 0
