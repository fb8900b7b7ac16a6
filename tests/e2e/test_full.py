"""Full captures: whole packets of a colo or a metro, one file in order in the tenant's bucket."""

import time

import pytest
from edgecap_lab import await_true
from numbered import check_all, check_whole, numbers_of
from pcap_read import parse_pcap

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
BIG = {"rate_per_s": 200, "count": 400, "bytes": 1400}


def refusal(tenant, **changes):
    """The error of a POST that is refused, as (status, code, pointer, message)."""
    body = {"type": "full", "system": "magic-transit", "time_limit": 300, "colo_name": "ord02", **changes}
    answer = tenant.call("POST", json=body)
    error = answer.json()["errors"][0]
    return answer.status_code, error["code"], error.get("source", {}).get("pointer"), error["message"]


def sent_by(lab, edges, **changes):
    """Packets to these hosts, all sent."""
    source = lab.packets([{**BIG, "edge": edge, **changes} for edge in edges])
    source.finish()
    return source


@pytest.mark.lab(edges=3, buckets=True)
def test_a_metro_is_one_file_with_every_byte(lab):
    """ORD is ord01 and ord02: both hosts' packets, whole, in one file in order; ams01 has no part in it."""
    tenant = lab.tenant()
    destination = lab.bucket(tenant)
    job = tenant.post_full(destination, "ORD", UDP)
    seen = tenant.get(job)
    assert seen["type"] == "full" and seen["colo_name"] == "ORD" and seen["destination_conf"] == destination
    assert seen["packet_limit"] is None and seen["byte_limit"] == 10**9 and seen["samplers"]["total"] == 2
    tenant.await_running(job, hosts=2)
    assert tenant.get(job)["status"] == "running" and tenant.get(job)["packets_remaining"] is None
    source = sent_by(lab, (1, 2))
    lab.packets([{"edge": 3, "count": 10}]).finish()  # not of this metro
    tenant.stop(job)
    seen = tenant.wait(job, 30, expect="success")
    assert seen["packets_captured"] == 800 and seen["stop_reason"]["code"] == "stop_requested", seen
    pcap, manifest = lab.full_files(destination, job)
    check_whole(pcap, source)
    assert [host["colo"] for host in manifest["hosts"]] == ["ord01", "ord02"], manifest
    assert manifest["job"]["colo_name"] == "ORD" and manifest["file"]["packet_bytes"] == 800 * 1442
    # it is the tenant's file: nothing of it is to expire, and there is nothing else in the bucket
    assert "expires" not in seen
    names = ["dir/" + name for name in sorted(["pcap_%s.json" % job, "pcap_%s.pcap" % job])]
    assert [key for key in lab.s3.bucket_keys("tenant-bucket") if "ownership" not in key] == names


@pytest.mark.lab(edges=3, storage="s3", buckets=True)
def test_chunks_are_stored_as_they_come(lab):
    """One colo, the service's own store on S3 as well. While it runs, what was captured is stored already; a host that dies then
    costs nothing of it."""
    tenant = lab.tenant()
    destination = lab.bucket(tenant, directory="")
    job = tenant.post_full(destination, "ord02", UDP, time_limit=86400)
    tenant.await_running(job, hosts=1)
    source = sent_by(lab, (2,))

    def stored():
        return [key for key in lab.s3.keys() if job in key and "/chunks/" in key]

    # 8.64 s: of a day's capture, the age of a chunk
    await_true("chunks are stored", 15, lambda: stored() and tenant.get(job)["packets_captured"] == 400, 0.2)
    time.sleep(10)
    lab.samplers[1].kill()
    seen = tenant.wait(job, 60, expect="success")
    assert seen["samplers"]["lost"] == 1, seen
    pcap, manifest = lab.full_files(destination, job)
    check_whole(pcap, source)
    assert manifest["hosts"][0]["state"] == "lost" and "edge-2 was lost" in manifest["messages"][0]


@pytest.mark.lab(edges=3, buckets=True)
def test_the_limits_are_exact(lab):
    """byte_limit and packet_limit are the job's, over all hosts: the earliest packets that fit, and not one byte more."""
    tenant = lab.tenant(full_running_max=2)
    destination = lab.bucket(tenant)
    jobs = {
        tenant.post_full(destination, "ORD", UDP, byte_limit=100 * 1442 + 1441): (100, "byte_limit", 100 * 1442),
        tenant.post_full(destination, "ORD", UDP, packet_limit=77): (77, "packet_limit", 77),
    }
    for job in jobs:
        tenant.await_running(job, hosts=2)
    source = sent_by(lab, (1, 2))
    for job, (packets, code, value) in jobs.items():
        seen = tenant.wait(job, 30, expect="success")
        assert seen["packets_captured"] == packets, seen
        assert seen["stop_reason"]["code"] == code and seen["stop_reason"]["value"] == value, seen
        pcap, _ = lab.full_files(destination, job)
        found = numbers_of(parse_pcap(pcap)[0])
        for stream, taken in found.items():
            assert taken == list(range(len(taken))), stream
        first_left = min(source.sent[s][len(found.get(s, []))][1] for s in range(2))
        last_taken = max(source.sent[s][len(taken) - 1][0] for s, taken in found.items())
        assert first_left >= last_taken, "an earlier packet is missing"


@pytest.mark.lab(edges=2, buckets=True)
def test_what_is_refused(lab):
    """One full capture at a time, buckets that are the tenant's own and proved, colos that there are."""
    tenant, other = lab.tenant(interval="1h"), lab.tenant()
    pending = lab.destination("pending", lab.s3.make_bucket("pending-bucket"))
    tenant.result("POST", "/ownership", json={"destination_conf": pending})
    mine, theirs = lab.bucket(tenant, "mine-bucket"), lab.bucket(other, "other-bucket")
    assert refusal(tenant, destination_conf=pending)[:3] == (400, 1022, "/destination_conf")
    assert "not validated" in refusal(tenant, destination_conf=pending)[3]
    for conf in (theirs, lab.destination("sibling", "mine-bucket"), lab.destination("dir", "no-such-bucket")):
        assert refusal(tenant, destination_conf=conf)[:3] == (400, 1022, "/destination_conf")
        assert "no bucket of this destination" in refusal(tenant, destination_conf=conf)[3]
    outside = "s3://mine-bucket/dir?region=us-east-1&endpoint=http://169.254.169.254"
    assert refusal(tenant, destination_conf=outside)[:3] == (400, 1022, "/destination_conf")
    for colo in ("ord99", "ORDX", "ord", "ORD0"):
        status, code, pointer, message = refusal(tenant, destination_conf=mine, colo_name=colo)
        assert (status, code, pointer) == (400, 1022, "/colo_name") and "operator" in message
        assert "ord01" not in message and "ord02" not in message
    job = tenant.post_full(mine, "Ord02", UDP)  # nothing above has used up anything; the collect interval is not for full
    answer = tenant.call("POST", json={"type": "full", "system": "magic-transit", "time_limit": 1, "colo": "ord02",
                                       "destination_conf": mine})  # fmt: skip
    assert answer.status_code == 429 and answer.json()["errors"][0]["code"] == 1429
    assert 1 <= int(answer.headers["Retry-After"]) <= 301 and answer.headers["x-should-retry"] == "false"
    assert tenant.call("DELETE", "/ownership/" + bucket_id(tenant, mine)).status_code == 409
    limits = tenant.result("GET", "/limits")["full"]
    assert limits["running"] == {"limit": 1, "used": 1, "remaining": 0, "unit": "jobs"} and limits["buckets"]["used"] == 2
    tenant.await_running(job, hosts=1)
    listed = [tenant.call("GET", "", params={"status": status}).json()["result"] for status in ("running", "pending")]
    assert [len(jobs) for jobs in listed] == [1, 0], listed
    tenant.stop(job)
    seen = tenant.wait(job, 30, expect="success")
    assert seen["packets_captured"] == 0
    pcap, manifest = lab.full_files(mine, job)
    assert len(pcap) == 24 and "no packet matched" in manifest["messages"][0]
    assert tenant.call("DELETE", "/ownership/" + bucket_id(tenant, mine)).status_code == 204


def bucket_id(tenant, destination):
    return next(b["id"] for b in tenant.result("GET", "/ownership") if b["destination_conf"] == destination)


@pytest.mark.lab(edges=2, buckets=True)
def test_the_bucket_is_gone_at_the_end(lab):
    """Tried again, then failed with the store's own reason; the parts are kept, and the operator has it assembled again."""
    tenant = lab.tenant()
    destination = lab.bucket(tenant, "lost-bucket")
    job = tenant.post_full(destination, "ord02", UDP)
    tenant.await_running(job, hosts=1)
    source = sent_by(lab, (2,))
    for key in lab.s3.bucket_keys("lost-bucket"):
        lab.s3.client.request("DELETE", "/lost-bucket/" + key)
    assert lab.s3.client.request("DELETE", "/lost-bucket").status_code == 204
    tenant.stop(job)
    seen = tenant.wait(job, 90, expect="failed")
    assert "NoSuchBucket" in seen["error_message"] and lab.address not in seen["error_message"], seen
    assert int(lab.sql("SELECT attempts FROM pcaps")) == 5
    # long after the grace of the chunks of other jobs
    lab.sql("UPDATE pcaps SET completed = completed - interval '1 hour'")
    time.sleep(11)
    lab.s3.make_bucket("lost-bucket")
    assert lab.admin("pcap", "reassemble", job) == {"id": job, "stage": "ready"}
    lab.checked.discard(job)
    seen = tenant.wait(job, 30, expect="success")
    assert "error_message" not in seen, seen
    check_whole(lab.full_files(destination, job)[0], source)
    with pytest.raises(AssertionError, match="has not failed"):
        lab.admin("pcap", "reassemble", job)
    check_all(numbers_of(parse_pcap(lab.full_files(destination, job)[0])[0]), source.sent)
