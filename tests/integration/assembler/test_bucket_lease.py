"""Full captures into a tenant's bucket that hangs, and assemblers that sleep or die in the middle of it.

What must hold: one right file in the end, and nothing else in the bucket, whoever has written what before.
"""

import os
import signal
import subprocess
import time

import kit
import pytest
from bucket_kit import IN_THE_MIDDLE, LARGE, FullJob, check_again, control, in_the_middle
from chunks import BEGIN_NS, chunk, packet
from kit import sql


def test_a_bucket_that_hangs(world, bucket):
    """The lease is kept, other jobs are assembled meanwhile, and it is given up in the end."""
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket, validated=False)
    job.add_bucket()
    sql("UPDATE pcaps SET attempts = 4 WHERE " + job.where)
    job.ready()
    hanging = world.assembler(LEASE="2s", WORKERS=2, **bucket.settings())
    in_the_middle(bucket)
    control("gateway", "stop")
    try:
        bucket.gate.open()
        small = [kit.Host("ord-c") for _ in range(2)]
        for host in small:
            host.add(chunk([(BEGIN_NS, packet(1))]), 1)
        world.job(small[:1]).await_stage("done", 30)
        assert hanging.events("job-assembled")  # by its other worker
        other = world.assembler(LEASE="2s", **bucket.settings())
        time.sleep(5)
        for one in world.job(small[:1]), world.job(small):
            one.await_stage("done", 30)
        assert job.row()["fence"] == 1 and job.stage() == "assembling"
        job.check_failed("the bucket", seconds=120)
        assert job.row()["fence"] == 1 and not [line for line in other.events("job-claimed") if job.id in line]
    finally:
        control("gateway", "cont")
    check_again(job)


def freeze(assembler):
    assembler.process.send_signal(signal.SIGSTOP)


def thaw(assembler):
    assembler.process.send_signal(signal.SIGCONT)


def test_frozen_in_the_middle_of_an_upload(world, bucket):
    """Who takes over gives that upload up; whoever wakes up can end it no more, and begins no other."""
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket)
    frozen = world.assembler(LEASE="1s", **bucket.settings())
    first = in_the_middle(bucket)
    freeze(frozen)
    bucket.gate.open()
    world.assembler(LEASE="1s", **bucket.settings())
    row = job.check_done()
    assert row["attempts"] == 2
    thaw(frozen)
    frozen.await_event("lease-lost")
    assert frozen.stop() == 0 and job.row() == row
    job.check_bucket(row)
    assert first


def test_two_write_at_once(world, bucket):
    """The frozen one wakes while the other one writes: neither harms the other's upload."""
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket)
    frozen = world.assembler(LEASE="1s", **bucket.settings())
    first = in_the_middle(bucket)
    freeze(frozen)
    bucket.gate.hold(IN_THE_MIDDLE)
    world.assembler(LEASE="1s", **bucket.settings())
    assert not set(in_the_middle(bucket, seen=first)) & set(first)
    thaw(frozen)
    bucket.gate.open()
    frozen.await_event("lease-lost")
    row = job.check_done()
    assert row["attempts"] == 2 and job.row()["fence"] == 2


@pytest.fixture
def pg_ctl():
    """pg_ctl; the database runs when the test is over."""
    def control_database(*words):
        subprocess.run([os.environ["EDGECAP_TEST_PG_CTL"], *words], check=True, stdout=subprocess.DEVNULL)

    yield control_database
    if subprocess.run([os.environ["EDGECAP_TEST_PG_CTL"], "status"], stdout=subprocess.DEVNULL, check=False).returncode:
        control_database("start")


def frozen_early(world, bucket, job):
    """An assembler that has claimed the job, and sleeps before it has sent anything to the bucket."""
    for _ in range(20):
        bucket.gate.hold()
        assembler = world.assembler(LEASE="1s", **bucket.settings())
        assembler.await_event("job-claimed")
        freeze(assembler)
        time.sleep(0.2)
        held = bucket.gate.holds()
        if not held:
            bucket.gate.open()
            return assembler
        assembler.kill()
        bucket.gate.cut()
        job.again()
    raise AssertionError("it is always faster")


def away_in_the_end(world, bucket, job, pg_ctl):
    """An assembler that has read everything, and for which the database was away for longer than its lease."""
    assembler = frozen_early(world, bucket, job)
    pg_ctl("-m", "immediate", "stop")
    time.sleep(1.5)
    thaw(assembler)
    time.sleep(3)
    assert bucket.keys() == [], "it cannot know that it may"
    return assembler


def test_the_database_is_away_in_the_end(world, bucket, pg_ctl):
    """It waits with what it has, and ends when it knows that the job is still its own."""
    job = FullJob(world, bucket)
    away_in_the_end(world, bucket, job, pg_ctl)
    pg_ctl("start")
    assert job.check_done()["attempts"] == 1


def test_stopped_while_the_database_is_away(world, bucket, pg_ctl):
    """Nothing of its upload is left, and the job is another's when its lease is over."""
    job = FullJob(world, bucket)
    assembler = away_in_the_end(world, bucket, job, pg_ctl)
    assert assembler.stop(10) == 0
    assert bucket.uploads() == bucket.keys() == []
    pg_ctl("start")
    world.assembler(**bucket.settings())
    assert job.check_done()["attempts"] == 2


@pytest.mark.parametrize("count, per_chunk", [(4000, 2), (LARGE, 4)])
def test_a_late_one_does_not_replace_a_better_file(world, bucket, pg_ctl, count, per_chunk):
    """Frozen while it reads, before it writes; a chunk comes late, another takes over and has it. The frozen one cannot learn that when it
    wakes, because the database is away: so it must make nothing visible. With one PUT, and with an upload."""
    job = FullJob(world, bucket, packets=count, per_chunk=per_chunk)
    frozen = frozen_early(world, bucket, job)
    late = packet(65535)
    job.hosts[0].add(chunk([(BEGIN_NS + 10**9, late)]), 1)
    job.sent.append((BEGIN_NS + 10**9, late))
    job.store()
    taking = world.assembler(LEASE="1s", **bucket.settings())
    row = job.check_done()
    assert taking.stop() == 0 and row["packets_in_file"] == count + 1
    pg_ctl("-m", "immediate", "stop")
    thaw(frozen)
    time.sleep(3)
    pg_ctl("start")
    frozen.await_event("lease-lost", 60)
    assert job.row() == row
    job.check_bucket(row)


def test_assemblers_that_die_of_a_job(world, bucket):
    """Five, each in the middle of its upload; the sixth only cleans up."""
    job = FullJob(world, bucket)
    seen = []
    for _ in range(5):
        bucket.gate.hold(IN_THE_MIDDLE)
        dying = world.assembler(LEASE="1s", **bucket.settings())
        seen = in_the_middle(bucket, seen)
        assert len(seen) == 1, "an upload of one that died before is still there"
        dying.kill()
        bucket.gate.cut()
    world.assembler(**bucket.settings())
    job.check_failed("its assembly was begun too often and never ended", attempts=6)
    assert bucket.keys() == [] and bucket.uploads() == []
    check_again(job)
