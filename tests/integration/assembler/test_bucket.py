"""Full captures into a tenant's bucket that refuses, is full, hangs or is gone, and assemblers that die or sleep meanwhile.

What must hold: the job is tried again, then it has failed for the bucket's own reason and its chunks are kept; reassembled it is right, and
nothing else is left in the bucket.
"""

import os
import signal
import subprocess

import kit
import pytest
from bucket_kit import LARGE, MIB, SECRET, Bucket, FullJob, control, seal_keys
from chunks import BEGIN_NS, chunk, packet
from kit import await_true, sql

IN_THE_MIDDLE = 9 * MIB  # one part and the beginning of the next


@pytest.fixture
def bucket(world):
    made = Bucket(world)
    yield made
    made.gate.close()
    if made.client.request("HEAD", "/" + made.name).status_code == 200:
        made.remove()


def in_the_middle(bucket, seen=()):
    """Wait until an upload, none of those, is held by the gate; all uploads."""
    def began():
        uploads = bucket.uploads()
        return bucket.gate.holds() and set(uploads) - set(seen) and uploads

    return await_true("an upload is under way", 30, began)


def check_again(job):
    """What failed is right when the operator has it assembled again."""
    job.reassemble()
    return job.check_done()


def test_the_whole_way(world, bucket):
    job = FullJob(world, bucket)
    world.assembler(**bucket.settings())
    row = job.check_done()
    assert row["attempts"] == 1 and row["packets_in_file"] == len(job.sent) and row["expires"] is None, row


def test_a_permission_withdrawn_before(world, bucket):
    bucket.deny("PutObject")
    job = FullJob(world, bucket)
    assembler = world.assembler(**bucket.settings())
    job.check_failed("the bucket", "AccessDenied")
    assert len(assembler.events("assembly-again")) == 4 and len(assembler.events("assembly-given-up")) == 1
    assert bucket.keys() == [] and bucket.uploads() == []
    bucket.allow()
    check_again(job)


def test_a_small_file_is_refused(world, bucket):
    """One PUT, no upload."""
    bucket.deny("PutObject")
    job = FullJob(world, bucket, packets=10)
    world.assembler(**bucket.settings())
    job.check_failed("AccessDenied")
    assert bucket.keys() == [] and bucket.uploads() == []
    bucket.allow()
    check_again(job)


def test_a_permission_withdrawn_in_the_middle(world, bucket):
    """Neither may the upload be given up then: a later try finds it."""
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket)
    world.assembler(**bucket.settings())
    in_the_middle(bucket)
    bucket.deny("PutObject", "AbortMultipartUpload")
    bucket.gate.open()
    job.check_failed("AccessDenied")
    assert len(bucket.uploads()) == 1 and bucket.keys() == []
    bucket.allow()
    check_again(job)


def test_an_owner_suspended_in_the_middle(world, bucket):
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket)
    world.assembler(**bucket.settings())
    in_the_middle(bucket)
    control("user", "suspend")
    try:
        bucket.gate.open()
        job.check_failed("UserSuspended")
    finally:
        control("user", "enable")
    assert len(bucket.uploads()) == 1 and bucket.keys() == []
    check_again(job)


def test_an_upload_that_cannot_be_looked_for(world, bucket):
    """The tenant is told that there may be one."""
    bucket.gate.hold(IN_THE_MIDDLE)
    bucket.deny("ListBucketMultipartUploads")
    job = FullJob(world, bucket)
    killed = world.assembler(LEASE="1s", **bucket.settings())
    await_true("it writes", 30, bucket.gate.holds)
    killed.kill()
    bucket.gate.cut()
    world.assembler(**bucket.settings())
    row = job.await_end("done")
    bucket.allow()
    assert ["multipart uploads could not be listed" in text for text in row["warnings"]] == [True], row
    left = bucket.uploads()
    assert len(left) == 1
    assert bucket.client.request("DELETE", "/%s/%s.pcap?uploadId=%s" % (bucket.name, job.key, left[0])).status_code == 204
    job.check_bucket(row)


def test_a_quota_exceeded_in_the_middle(world, bucket):
    control("quota", str(10 * MIB))
    try:
        job = FullJob(world, bucket, packets=2 * LARGE)  # four parts at once: the first do not know of each other
        world.assembler(**bucket.settings())
        job.check_failed("QuotaExceeded")
        assert bucket.keys() == [] and bucket.uploads() == []
    finally:
        control("quota", "off")
    check_again(job)


def test_a_bucket_removed_in_the_middle(world, bucket):
    bucket.gate.hold(IN_THE_MIDDLE)
    job = FullJob(world, bucket)
    world.assembler(**bucket.settings())
    in_the_middle(bucket)
    bucket.remove()
    bucket.gate.open()
    job.check_failed("NoSuchBucket")
    bucket.make()
    check_again(job)


@pytest.mark.parametrize("refused, there", [(".pcap", []), (".json", [".pcap"])])
def test_the_file_comes_before_its_manifest(world, bucket, refused, there):
    """Who finds the manifest finds the file."""
    bucket.deny("PutObject", ending=refused)
    job = FullJob(world, bucket)
    world.assembler(**bucket.settings())
    job.check_failed("AccessDenied")
    assert bucket.keys() == [job.key + end for end in there] and bucket.uploads() == []
    bucket.allow()
    check_again(job)


# --- what an operator changes ---


def test_an_endpoint_that_is_not_allowed_any_more(world, bucket):
    job = FullJob(world, bucket)
    other = world.assembler(**bucket.settings(endpoint="https://s3.example.net"))
    job.check_failed("the bucket: the endpoint", "is not one that this deployment allows")
    assert other.stop() == 0
    world.assembler(**bucket.settings())
    check_again(job)


def test_no_buckets_any_more(world, bucket):
    job = FullJob(world, bucket)
    without = world.assembler()
    job.check_failed("the bucket: this deployment has no buckets any more")
    assert without.stop() == 0
    world.assembler(**bucket.settings())
    check_again(job)


def test_another_bucket_secret(world, bucket):
    """The tenant's keys cannot be opened: it has to add the bucket again."""
    job = FullJob(world, bucket, validated=False)
    job.add_bucket(seal_keys(job.account, bucket.destination, secret="another secret of 32 bytes or more"))
    job.ready()
    world.assembler(**bucket.settings())
    job.check_failed("its keys cannot be read any more: add the bucket again")
    assert bucket.keys() == []
    sealed = seal_keys(job.account, bucket.destination, secret=SECRET)
    sql("UPDATE buckets SET credentials = decode('%s', 'hex') WHERE account_id = '%s'" % (sealed.hex(), job.account))
    check_again(job)


def test_a_bucket_removed_from_the_account(world, bucket):
    """It is not written to, at once; added again and proved it is."""
    job = FullJob(world, bucket, validated=False)
    job.ready()
    assembler = world.assembler(**bucket.settings())
    text = "the bucket was removed from the account while the capture was under way"
    job.check_failed(text, attempts=1)
    job.add_bucket()
    sql("UPDATE buckets SET validated = NULL WHERE account_id = '%s'" % job.account)
    job.reassemble()
    job.check_failed(text, attempts=1)
    sql("UPDATE buckets SET validated = now() WHERE account_id = '%s'" % job.account)
    check_again(job)
    assert assembler.events("assembly-again") == []


# --- assemblers that hang, sleep and die ---


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
        other = world.assembler(LEASE="2s", **bucket.settings())
        small = [kit.Host("ord-c") for _ in range(6)]
        for host in small:
            host.add(chunk([(BEGIN_NS, packet(1))]), 1)
        for one in [world.job([host]) for host in small]:
            one.await_stage("done", 10)
        assert hanging.events("job-assembled"), "its other worker waits"
        kit.time.sleep(5)
        for one in world.job(small[:1]), world.job(small[:2]):
            one.await_stage("done", 10)
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


@pytest.mark.parametrize("count, per_chunk", [(4000, 2), (LARGE, 4)])
def test_a_late_one_does_not_replace_a_better_file(world, bucket, pg_ctl, count, per_chunk):
    """Frozen while it reads, before it writes; a chunk comes late, another takes over and has it. The frozen one cannot learn that when it
    wakes, because the database is away: so it must make nothing visible. With one PUT, and with an upload."""
    job = FullJob(world, bucket, packets=count, per_chunk=per_chunk)
    frozen = world.assembler(LEASE="1s", **bucket.settings())
    frozen.await_event("job-claimed")
    freeze(frozen)
    assert bucket.uploads() == bucket.keys() == []
    late = packet(65535)
    job.hosts[0].add(chunk([(BEGIN_NS + 10**9, late)]), 1)
    job.sent.append((BEGIN_NS + 10**9, late))
    job.store()
    taking = world.assembler(LEASE="1s", **bucket.settings())
    row = job.check_done()
    assert taking.stop() == 0 and row["packets_in_file"] == count + 1
    pg_ctl("-m", "immediate", "stop")
    thaw(frozen)
    kit.time.sleep(3)
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
