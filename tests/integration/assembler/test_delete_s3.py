"""What a tenant deletes goes from the store, all of it, and is said to be gone only then; on S3."""

import re

import pytest
from bucket_kit import variable
from chunks import BEGIN_NS, chunk, packet
from kit import Host, await_true
from s3_client import S3Client
from tcp_gate import Gate
from test_delete import await_deleted

PREFIX = "edgecap/delete"


class S3Store:
    """The service's store at the private server, behind a gate."""

    def __init__(self):
        self.client = S3Client(variable("ENDPOINT"), variable("ACCESS_KEY"), variable("SECRET_KEY"))
        self.gate = Gate(variable("ENDPOINT"))

    def settings(self):
        return {
            "STORAGE": "s3://%s/%s?endpoint=%s&plaintext=yes&stall=2s" % (variable("BUCKET"), PREFIX, self.gate.endpoint),
            "S3_ACCESS_KEY_ID": variable("ACCESS_KEY"),
            "S3_SECRET_ACCESS_KEY": variable("SECRET_KEY"),
        }

    def path(self, key):
        return "/%s/%s/%s" % (variable("BUCKET"), PREFIX, key)

    def put(self, key, content):
        assert self.client.request("PUT", self.path(key), content).status_code == 200

    def begin_upload(self, key):
        """Of many parts, with one there, that nobody ends."""
        text = self.client.request("POST", self.path(key) + "?uploads=").text
        upload = re.search("<UploadId>(.*?)</UploadId>", text)[1]
        answer = self.client.request("PUT", self.path(key) + "?partNumber=1&uploadId=" + upload, b"x" * 5 * 1024 * 1024)
        assert answer.status_code == 200

    def left(self, job):
        """Keys of objects and of unfinished uploads that name the job."""
        bucket = "/%s?" % variable("BUCKET")
        found = []
        for query in ("list-type=2&prefix=edgecap", "prefix=edgecap&uploads="):
            answer = self.client.request("GET", bucket + query)
            assert answer.status_code == 200 and "<IsTruncated>false" in answer.text, answer.text
            found += [key for key in re.findall("<Key>(.*?)</Key>", answer.text) if job.id in key]
        return found


@pytest.fixture
def store():
    made = S3Store()
    yield made
    made.gate.close()


def chunk_key(job, seq):
    return "chunks/%s/%s/%s/00-%08d.pcapng" % (job.account, job.id, job.hosts[0].id, seq)


def done_job(world, store):
    from kit import Job

    job = Job(world, [Host("ord-a")])
    for seq in range(5):
        content = chunk([(BEGIN_NS + seq, packet(seq))])
        store.put(chunk_key(job, seq), content)
    job.ready()
    job.await_stage("done")
    assert len(store.left(job)) == 7
    return job


def test_all_of_a_job_goes(world, store):
    world.assembler(**store.settings())
    other, job = done_job(world, store), done_job(world, store)
    store.begin_upload("pcaps/%s/%s/capture.pcap" % (job.account, job.id))
    store.begin_upload(chunk_key(job, 9))
    store.begin_upload("pcaps/%s/%s/capture.pcap" % (other.account, other.id))
    assert len(store.left(job)) == 9
    job.delete()
    await_deleted(job)
    assert store.left(job) == []
    assert len(store.left(other)) == 8


def test_what_comes_late_does_not_stay(world, store):
    from kit import sql

    assembler = world.assembler(**store.settings())
    job = done_job(world, store)
    job.delete()
    first = await_deleted(job)
    store.put(chunk_key(job, 2), b"late")
    sql("UPDATE pcaps SET completed = completed - interval '1 h', erase_at = erase_at - interval '1 h' WHERE " + job.where)
    assembler.await_event("garbage-late", 20)
    row = await_true("nothing more to do", 10, lambda: job.row()["erase_at"] is None and job.row())
    assert store.left(job) == [] and row["deleted_at"] > first["deleted_at"]


def test_the_store_is_away(world, store):
    """Tried again until it is back; nothing is said to be gone meanwhile."""
    assembler = world.assembler(**store.settings())
    job = done_job(world, store)
    store.gate.hold()
    job.delete()
    assembler.await_event("garbage-failed", 90)
    assert job.row()["deleted_at"] is None and len(store.left(job)) == 7
    store.gate.open()
    await_deleted(job, 60)
    assert store.left(job) == []
