"""The whole system on S3: samplers PUT chunks straight to a real Ceph RGW, which they know no key of."""

import time

import pytest
from edgecap_lab import await_true
from numbered import check_all, numbers

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}


def final_keys(account, job):
    return ["edgecap/lab/pcaps/%s/%s/capture.%s" % (account, job, form) for form in ("pcap", "pcapng")]


@pytest.mark.lab(edges=3, storage="s3")
def test_a_job_with_three_hosts(lab):
    """The file is what was sent; in the bucket only the job's files are left."""
    account = lab.account()
    tenant = lab.clients[0].tenant(account, lab)
    job = tenant.post(UDP, time_limit=300)
    tenant.await_running(job, hosts=3)
    sent = lab.packets([{"edge": i, "rate_per_s": 100, "count": 300} for i in (1, 2, 3)]).finish()
    time.sleep(1.2)
    # no chunk came by way of the API
    chunks = [key for key in lab.s3.keys() if "/chunks/" in key]
    assert len(chunks) >= 3, lab.s3.keys()
    tenant.stop(job)
    seen = tenant.wait(job, 30, expect="success")
    assert seen["samplers"]["done"] == 3, seen
    path = tenant.download(job, "pcapng")
    check_all(numbers(path), sent)
    whole = path.read_bytes()
    part = tenant.call("GET", "/%s/download?format=pcapng" % job, headers={"Range": "bytes=100-299"})
    assert part.status_code == 206 and part.content == whole[100:300]
    # they are kept until no upload URL is good any more: let that time have passed
    lab.sql("UPDATE pcaps SET completed = completed - interval '1 hour'")
    await_true("the chunks are removed", 30, lambda: lab.s3.keys() == final_keys(account["id"], job), 0.3)
    for program in (*lab.samplers, *lab.apis, *lab.assemblers):
        text = program.log_text()
        assert lab.s3.variables["secret_key"] not in text and "X-Amz-Signature" not in text
        if program in lab.samplers:
            assert lab.s3.variables["access_key"] not in text


@pytest.mark.lab(edges=3, storage="s3")
def test_the_store_is_away_for_a_while(lab):
    """Chunks wait on the edge while the gateway is dead, /readyz says so, and nothing is lost."""
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=300)
    tenant.await_running(job, hosts=3)
    source = lab.packets([{"edge": i, "rate_per_s": 100, "count": 600} for i in (1, 2, 3)])
    time.sleep(1.5)
    lab.s3.control("gateway", "kill")
    await_true("/readyz fails", 10, lambda: not lab.clients[0].ready())
    sent = source.finish()
    lab.s3.control("gateway", "start")
    await_true("/readyz is well", 10, lab.clients[0].ready)
    tenant.stop(job)
    seen = tenant.wait(job, 60, expect="success")
    assert seen["samplers"]["done"] == 3, seen
    check_all(numbers(tenant.download(job, "pcapng")), sent)
