"""Full captures into a tenant's bucket that refuses, is full or is gone.

What must hold: the job is tried again, then it has failed for the bucket's own reason and its chunks are kept; reassembled it is right, and
nothing else is left in the bucket.
"""

import pytest
from bucket_kit import IN_THE_MIDDLE, LARGE, MIB, SECRET, FullJob, check_again, control, in_the_middle, seal_keys
from kit import await_true, sql


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
