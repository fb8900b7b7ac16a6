"""What a tenant deletes goes from the store, all of it, and is said to be gone only then; a directory."""

import time

import kit
from chunks import BEGIN_NS, chunk, packet
from kit import Host, await_true, sql
from test_faults import as_other_user, forbid, permit


def whole_job(world):
    """A job of two hosts that is done; its chunks are there as well."""
    hosts = [Host("ord-a"), Host("ord-b")]
    for host in hosts:
        for seq in range(3):
            host.add(chunk([(BEGIN_NS + seq, packet(seq))]), 1)
    return world.job(hosts)


def left(world, job):
    """Whatever in the store names the job."""
    return [str(p.relative_to(world.store)) for p in world.store.rglob("*") if job.id in str(p)]


def await_deleted(job, seconds=20):
    await_true(lambda: "deleted: %s\n%s" % (job.row(), job.world.logs()), seconds, lambda: job.row()["deleted_at"])
    return job.row()


def unfinished(world, job, name="00-00000009.pcapng"):
    """What an API that died in the middle of an upload has left."""
    key = "chunks=%s=%s=%s=%s" % (job.account, job.id, job.hosts[0].id, name)
    path = world.store / ".tmp" / ("%s~%032x" % (key, 7))
    path.write_bytes(b"half")
    return path


def test_all_of_a_job_goes(world):
    other = whole_job(world)
    job = whole_job(world)
    assembler = world.assembler()
    for one in (other, job):
        one.await_stage("done")
    kept = left(world, other)
    unfinished(world, job)
    assert len(left(world, job)) > 8
    assert job.delete() == "deleted"
    assert job.stage() == "expired"  # at once: nobody downloads it any more
    row = await_deleted(job, 5)  # by the notification, not by the next round
    assert left(world, job) == []
    assert row["chunks_removed"] and row["delete_requested_at"] <= row["deleted_at"]
    assert left(world, other) == kept and len(kept) > 8
    assert job.delete() == "deleted"  # once more changes nothing
    assert job.row() == row
    assert len([e for e in assembler.events("garbage-removed") if "what=all" in e]) == 1


def test_what_comes_late_does_not_stay(world):
    """A host that still has an upload URL: the job is looked at again when all have ended."""
    job = whole_job(world)
    assembler = world.assembler()
    job.await_stage("done")
    job.delete()
    first = await_deleted(job)
    grace = sql("SELECT extract(epoch FROM erase_at - completed)::integer FROM pcaps WHERE " + job.where)
    assert grace == [["780"]]  # URLs live 600 s, an upload takes 120 s at the most, and a minute
    job.store()
    temp = unfinished(world, job)
    sql("UPDATE pcaps SET completed = completed - interval '1 h', erase_at = erase_at - interval '1 h' WHERE " + job.where)
    assembler.await_event("garbage-late", 20)
    row = await_true("nothing more to do", 10, lambda: job.row()["erase_at"] is None and job.row())
    assert left(world, job) == [] and not temp.exists()
    assert row["deleted_at"] > first["deleted_at"]  # until then something was there


def test_a_quiet_second_look_changes_nothing(world):
    job = whole_job(world)
    assembler = world.assembler()
    job.await_stage("done")
    job.delete()
    first = await_deleted(job)
    sql("UPDATE pcaps SET completed = completed - interval '1 h', erase_at = erase_at - interval '1 h' WHERE " + job.where)
    row = await_true("nothing more to do", 20, lambda: job.row()["erase_at"] is None and job.row())
    assert row["deleted_at"] == first["deleted_at"] and not assembler.events("garbage-late")


def test_a_job_that_has_ended_long_ago_is_looked_at_once(world):
    job = whole_job(world)
    world.assembler()
    job.await_stage("done")
    sql("UPDATE pcaps SET completed = completed - interval '1 h' WHERE " + job.where)
    job.delete()
    assert await_deleted(job)["erase_at"] is None
    assert left(world, job) == []


def test_a_failed_job_loses_its_chunks(world):
    permit(world)
    world.assembler(as_user=as_other_user()).await_event("ready")
    forbid(world)
    job = whole_job(world)
    job.await_stage("failed", 60)
    permit(world)
    assert left(world, job) and job.row()["expires"]
    assert job.delete() == "deleted"
    row = await_deleted(job)
    assert row["stage"] == "failed" and left(world, job) == []
    assert sql("SELECT pcap_reassemble('%s')" % job.id) == [["removed"]]


def test_never_said_to_be_gone_before_it_is(world):
    """The store refuses for a while: tried again, for ever."""
    permit(world)
    assembler = world.assembler(as_user=as_other_user()).await_event("ready")
    job = whole_job(world)
    job.await_stage("done")
    permit(world)
    folders = [p for p in world.store.rglob("*") if p.is_dir() and job.id in str(p)]
    for folder in folders:
        folder.chmod(0o555)
    job.delete()
    assembler.await_event("garbage-failed", 20, count=2)
    row = job.row()
    assert row["deleted_at"] is None and row["erase_at"] is not None and not row["chunks_removed"]
    assert left(world, job)
    for folder in folders:
        folder.chmod(0o777)
    await_deleted(job, 30)
    assert left(world, job) == []


def test_assemblers_killed_at_it(world):
    """Whoever comes next goes on."""
    job = whole_job(world)
    first = world.assembler()
    job.await_stage("done")
    first.kill()
    job.delete()
    time.sleep(0.2)
    assert job.row()["deleted_at"] is None and left(world, job)
    for _ in range(2):
        world.assembler()
    await_deleted(job)
    assert left(world, job) == []
    first.process.returncode = 0


def test_a_job_under_way_is_not_deleted(world):
    job = kit.Job(world, [Host("ord-a")]).store()
    assert job.delete() == "under_way"
    job.ready()
    assert job.delete() == "under_way"
    assert job.row()["delete_requested_at"] is None


def test_the_accounts_retention(world):
    """It comes before the service's."""
    job = whole_job(world)
    sql("UPDATE accounts SET retention_s = 3600 WHERE id = '%s'" % job.account)
    other = whole_job(world)
    world.assembler(RETENTION="48h")
    kept = "SELECT round(extract(epoch FROM expires - completed)) FROM pcaps WHERE "
    for one in (job, other):
        one.await_stage("done")
    assert sql(kept + job.where) == [["3600"]]
    assert abs(float(sql(kept + other.where)[0][0]) - 2 * 86400) <= 2
