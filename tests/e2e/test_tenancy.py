"""A tenant cannot see, stop or download another's job."""

import pytest

NOBODY = "0123456789abcdef0123456789abcdef"


def shape(answer):
    """What a tenant can learn from an answer, without what names the request itself."""
    return answer.status_code, answer.json() if answer.content else None


@pytest.mark.lab(edges=1)
def test_others_jobs_are_like_none(lab):
    """Number 11 of what must be shown: another's id answers exactly as an id that does not exist."""
    mine, other = lab.tenant(), lab.tenant()
    job = other.post({"protocol": 17}, time_limit=300)
    other.await_running(job)
    calls = (("GET", "/%s"), ("GET", "/%s/download"), ("PUT", "/%s/stop"))
    for method, path in calls:
        theirs, none = (shape(mine.call(method, path % i)) for i in (job, NOBODY))
        assert theirs == none and theirs[0] == 404 and theirs[1]["errors"][0]["code"] == 1404, theirs
    foreign = mine.at(mine.client)
    for path in ("", "/" + job, "/%s/download" % job):
        foreign.url = other.url
        theirs = shape(foreign.call("GET", path))
        foreign.url = other.url.replace(other.account["id"], NOBODY)
        none = shape(foreign.call("GET", path))
        assert theirs == none and theirs[0] == 403, (theirs, none)
        assert theirs[1]["errors"][0]["code"] == 10001
    foreign.url = other.url
    assert foreign.call("PUT", "/%s/stop" % job).status_code == 403
    assert foreign.call("POST", json={}).status_code == 403
    assert mine.result("GET") == []
    assert other.get(job)["status"] == "pending" and "stop_requested" not in other.get(job)
    other.stop(job)
    other.wait(job, 30, expect="success")
    assert mine.call("GET", "/%s/download" % job).status_code == 404


@pytest.mark.lab(edges=1)
def test_no_packet_of_anybody_elses(lab):
    """Without a filter a job has the tenant's own packets only, whoever else's are on the link."""
    lab.traffic()
    lab.packets([{"edge": 1, "source": "198.51.100.7", "destination": "198.51.100.8", "rate_per_s": 100}])
    tenant = lab.tenant(prefixes="5.6.7.9/32,2001:db8:5678::/48")
    job = tenant.post(time_limit=2)
    tenant.wait(job, 60, expect="success")
    from pcap_read import parse, read_pcap

    packets, link_type = read_pcap(tenant.download(job))
    assert packets
    for packet in packets:
        assert packet.data[12:14] == b"\x86\xdd", "only the IPv6 prefix has traffic"
        flow = parse(packet.data, link_type)
        assert "2001:db8:5678::8" in (flow.source, flow.destination)
    refused = tenant.call("POST", json={
        "type": "simple", "system": "magic-transit", "time_limit": 1, "packet_limit": 1,
        "filter_v1": {"source_address": "198.51.100.7", "destination_address": "198.51.100.8"},
    })  # fmt: skip
    assert refused.status_code == 400 and refused.json()["errors"][0]["code"] == 1022


@pytest.mark.lab(edges=0)
def test_account_without_prefixes_captures_nothing(lab):
    """403 with a clear message."""
    refused = lab.tenant(prefixes="").call("POST", json={
        "type": "simple", "system": "magic-transit", "time_limit": 1, "packet_limit": 1,
    })  # fmt: skip
    assert refused.status_code == 403 and "prefix" in refused.json()["errors"][0]["message"]
