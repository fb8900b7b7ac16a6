"""Secrets are in no log, and what a tenant deletes is in no store."""

import time

import pytest
from edgecap_lab import Lab

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}


def names(lab, job):
    """Whatever in the service's store names the job: objects, folders, unfinished writes."""
    if lab.s3:
        return [key for key in lab.s3.keys() if job in key]
    return [str(p.relative_to(lab.dir)) for p in (lab.dir / "store").rglob("*") if job in str(p)]


def finished(lab, tenant, count=200):
    """A job with packets of all hosts, checked and done."""
    job = tenant.post(UDP, time_limit=300)
    tenant.await_running(job, hosts=2)
    lab.packets([{"edge": i, "rate_per_s": 200, "count": count} for i in (1, 2)]).finish()
    tenant.stop(job)
    tenant.wait(job, 30, expect="success")
    return job


@pytest.mark.parametrize("storage", [
    pytest.param("file", marks=pytest.mark.lab(edges=2, apis=2)),
    pytest.param("s3", marks=pytest.mark.lab(edges=2, apis=2, storage="s3")),
])  # fmt: skip
def test_a_deleted_job_is_nowhere(lab, storage):
    """From the answer on at no API, within seconds in no store; the tenant's other job stays."""
    tenant = lab.tenant()
    other, job = finished(lab, tenant), finished(lab, tenant)
    kept = names(lab, other)
    assert len(names(lab, job)) >= 4 and len(kept) >= 4
    begun = time.monotonic()
    tenant.delete(job)
    for client in lab.clients:
        assert tenant.at(client).call("GET", "/%s/download" % job).status_code == 410
    seen = tenant.await_job(job, 20, lambda j: "deleted" in j, "deleted")
    assert names(lab, job) == [] and time.monotonic() - begun < 20
    assert seen["status"] == "success" and seen["packets_captured"] == 400
    assert names(lab, other) == kept
    tenant.delete(job)
    assert tenant.get(job)["deleted"] == seen["deleted"]
    tenant.download(other)


def test_a_lab_finds_a_secret_in_a_log():
    """The check at the end of every test here can fail."""
    lab = Lab(edges=0)
    try:
        token = lab.account()["token"]
    except BaseException:
        lab.failed = True
        lab.close()
        raise
    with open(lab.apis[0].log, "a", encoding="utf-8") as log:
        log.write("event=mistake text=%s\n" % token)
    with pytest.raises(AssertionError, match="secrets in logs: api-1.log: token"):
        lab.close()
