"""Nobody's packets but your own: a job's scope beside others' traffic, with a sampler that ignores it, and while it changes."""

import re
import time

import pytest
from edgecap_lab import await_true
from pcap_read import read_pcapng

A, B = "5.6.7.0/24,2001:db8:a::/48", "5.6.8.0/24,2001:db8:b::/48"
COUNT = 200

# name, the tenant that it is of, the stream
STREAMS = (
    ("to A", "a", {"source": "198.51.100.1", "destination": "5.6.7.8"}),
    ("from A", "a", {"source": "5.6.7.9", "destination": "198.51.100.2"}),
    ("to A, IPv6", "a", {"source": "2001:db8:1::1", "destination": "2001:db8:a::8"}),
    ("from A, IPv6", "a", {"source": "2001:db8:a::9", "destination": "2001:db8:1::2"}),
    ("to A, VLAN", "a", {"source": "198.51.100.1", "destination": "5.6.7.8", "vlan": 42}),
    ("from A, IPv6, VLAN", "a", {"source": "2001:db8:a::9", "destination": "2001:db8:1::2", "vlan": 42}),
    ("B to A", "a", {"source": "5.6.8.8", "destination": "5.6.7.8"}),
    ("to B", "b", {"source": "198.51.100.1", "destination": "5.6.8.8"}),
    ("from B", "b", {"source": "5.6.8.9", "destination": "198.51.100.2"}),
    ("to B, IPv6", "b", {"source": "2001:db8:1::1", "destination": "2001:db8:b::8"}),
    ("to B, VLAN", "b", {"source": "198.51.100.1", "destination": "5.6.8.8", "vlan": 42}),
    ("nobody's", None, {"source": "198.51.100.1", "destination": "198.51.100.2"}),
    ("nobody's, beside A", None, {"source": "198.51.100.1", "destination": "5.6.6.255"}),
    ("nobody's, IPv6", None, {"source": "2001:db8:1::1", "destination": "2001:db8:1::2"}),
    ("nobody's, VLAN", None, {"source": "198.51.100.1", "destination": "198.51.100.2", "vlan": 7}),
)


def two_tenants(lab):
    """Their prefixes do not overlap, and are not shared."""
    a, b = lab.tenant(prefixes=""), lab.tenant(prefixes="")
    for tenant, prefixes in ((a, A), (b, B)):
        lab.admin("prefix", "add", "--account", tenant.account["id"], "--prefixes", prefixes)
    return a, b


def found(capture):
    """The numbers of the packets in a file, by stream."""
    streams = {}
    for packet in read_pcapng(capture)[0]:
        at = packet.data.index(b"ECSQ")  # every packet is one of ours
        stream, number = (int.from_bytes(packet.data[at + p : at + q], "big") for p, q in ((4, 6), (6, 10)))
        streams.setdefault(stream, []).append(number)
    return streams


def send_all(lab, edge):
    """Every stream to its end."""
    lab.packets([{"edge": edge, "rate_per_s": 100, "count": COUNT, "bytes": 64, **s} for _, _, s in STREAMS]).finish()


def capture_all(lab, edge=1):
    """Jobs without a filter of both tenants, beside everybody's traffic; the jobs and their files."""
    a, b = two_tenants(lab)
    jobs = [tenant.post(time_limit=60) for tenant in (a, b)]
    for tenant, job in zip((a, b), jobs):
        tenant.await_running(job, hosts=lab.edges_count)
    send_all(lab, edge)
    time.sleep(0.5)
    for tenant, job in zip((a, b), jobs):
        tenant.stop(job)
    for tenant, job in zip((a, b), jobs):
        tenant.wait(job, 60, expect="success")
    said = [messages(tenant, job) for tenant, job in zip((a, b), jobs)]
    return jobs, said, [found(tenant.download(job, "pcapng")) for tenant, job in zip((a, b), jobs)]


def check_files(files):
    for file, owner in zip(files, "ab"):
        own = {i for i, (name, of, _) in enumerate(STREAMS) if of == owner or (owner == "b" and name == "B to A")}
        assert set(file) == own, ([STREAMS[i][0] for i in set(file) ^ own], owner)
        for i in own:
            assert file[i] == list(range(COUNT)), (STREAMS[i][0], len(file[i]))


def rejected(lab, job):
    return int(lab.sql("SELECT packets_rejected FROM pcaps WHERE id = '%s'" % job))


def messages(tenant, job):
    """What the tenant is told of it."""
    return [m["message"] if isinstance(m, dict) else m for m in tenant.call("GET", "/" + job).json()["messages"]]


def metric(lab, name, sampler):
    text = lab.clients[0].metrics()
    match = re.search(r'^%s\{sampler="%s"\} (\d+)$' % (name, sampler), text, re.M)
    return int(match.group(1)) if match else 0


@pytest.mark.lab(edges=1)
def test_a_job_has_its_tenants_packets_and_no_others(lab):
    """Number 2 of what must be shown: IPv4, IPv6, both directions, VLAN; beside another tenant's traffic and nobody's."""
    _, said, files = capture_all(lab)
    check_files(files)
    assert said == [[], []]
    assert metric(lab, "edgecap_packets_out_of_scope_total", "edge-1") == 0


@pytest.mark.lab(edges=1, hostile={1: {"HOSTILE_SCOPE": "1"}})
def test_a_sampler_that_ignores_the_scope(lab):
    """Number 2, with a patched sampler: the files are the same, and it is counted, alarmed and named."""
    lab.alarms_expected = lab.rejected_expected = True
    jobs, said, files = capture_all(lab)
    check_files(files)
    counts = [rejected(lab, job) for job in jobs]
    for job, texts, file, count in zip(jobs, said, files, counts):
        foreign = COUNT * (len(STREAMS) - len(file))
        assert foreign <= count < foreign + 20  # the kernel's own neighbour discovery
        assert texts == ["edge host edge-1: %d packets were outside the filter or the account's prefixes "
                                     "and are not included" % count]
        line = re.search(r"event=scope-violation .*pcap=%s .*host=edge-1 packets=%d" % (job, count),
                         lab.assemblers[0].log_text())
        assert line and "level=error" in lab.assemblers[0].log_text(), lab.assemblers[0].log_text()[-2000:]
    assert metric(lab, "edgecap_packets_out_of_scope_total", "edge-1") == sum(counts)
    assert metric(lab, "edgecap_sampler_trusted", "edge-1") == 0
    (listed,) = lab.admin("sampler", "list")
    assert listed["alarms"]["packets_out_of_scope"] == sum(counts) and not listed["trusted"], listed


def prefix(lab, verb, tenant, text):
    """Change a tenant's prefixes; when it was done, ns since 1970, before and after."""
    before = time.time_ns()
    lab.admin("prefix", verb, "--account", tenant.account["id"], "--prefixes", text)
    return before, time.time_ns()


SYNC_NS = 10**9  # "within one sync": a change is had on the edge within a second of the command


@pytest.mark.lab(edges=1)
def test_prefixes_change_under_a_running_job(lab):
    """What is added is captured and what is removed is not, within one sync; nothing else is lost, and no part begins anew."""
    tenant = lab.tenant(prefixes="")
    prefix(lab, "add", tenant, "5.6.7.0/24,5.6.10.0/24")
    job = tenant.post(time_limit=60)
    tenant.await_running(job)
    streams = ("5.6.7.8", "5.6.9.8", "5.6.10.8")  # comes and goes; comes; stays
    source = lab.packets([{"edge": 1, "rate_per_s": 300, "destination": d} for d in streams])
    time.sleep(1)
    added = prefix(lab, "add", tenant, "5.6.9.0/24")
    time.sleep(1.5)
    removed = prefix(lab, "remove", tenant, "5.6.7.0/24")
    time.sleep(2.5)
    again = prefix(lab, "add", tenant, "5.6.7.0/24")
    time.sleep(1.5)
    sent = source.stop()
    time.sleep(0.3)
    boots = lab.sql("SELECT count(DISTINCT boot) FROM pcap_parts WHERE pcap_id = '%s'" % job)
    tenant.stop(job)
    seen = tenant.wait(job, 60, expect="success")
    file = found(tenant.download(job, "pcapng"))
    assert boots == "1" and seen["samplers"]["done"] == 1 and not messages(tenant, job), seen
    # the one that stayed: each packet, through three changes
    assert file[2] == list(range(len(sent[2])))
    # the one that came: none from before, all from a second after
    for number, (before, after) in enumerate(sent[1]):
        if after < added[0]:
            assert number not in file[1]
        if before > added[1] + SYNC_NS:
            assert number in file[1], (number, before - added[1])
    # the one that went and came again
    had = set(file[0])
    for number, (before, after) in enumerate(sent[0]):
        if after < removed[0] or before > again[1] + SYNC_NS:
            assert number in had, number
        if before > removed[1] + SYNC_NS and after < again[0]:
            assert number not in had, (number, before - removed[1])
    assert len(had) < len(sent[0]) - 300


@pytest.mark.lab(edges=1)
def test_what_left_the_scope_is_in_no_file(lab):
    """A prefix that is the tenant's no more at assembly: none of its packets, also of those from before; and nobody is blamed."""
    lab.rejected_expected = True
    tenant = lab.tenant(prefixes="")
    prefix(lab, "add", tenant, "5.6.7.0/24,5.6.10.0/24")
    job = tenant.post(time_limit=60)
    tenant.await_running(job)
    source = lab.packets([{"edge": 1, "rate_per_s": 200, "destination": d} for d in ("5.6.7.8", "5.6.10.8")])
    time.sleep(1)
    prefix(lab, "remove", tenant, "5.6.7.0/24")
    time.sleep(1.5)
    sent = source.stop()
    tenant.stop(job)
    seen = tenant.wait(job, 60, expect="success")
    file = found(tenant.download(job, "pcapng"))
    assert set(file) == {1} and file[1] == list(range(len(sent[1])))
    count = rejected(lab, job)
    assert 100 < count < 450, seen
    assert messages(tenant, job) == ["edge host edge-1: %d packets are outside the account's prefixes, which were changed "
                                "meanwhile: they are not included" % count]
    assert metric(lab, "edgecap_packets_out_of_scope_total", "edge-1") == 0
    assert lab.admin("sampler", "list")[0]["trusted"]


@pytest.mark.lab(edges=1)
def test_all_prefixes_are_removed(lab):
    """The job captures nothing more, ends as ever, and has nothing; a new one is refused."""
    lab.rejected_expected = True
    tenant = lab.tenant(prefixes="")
    prefix(lab, "add", tenant, "5.6.7.0/24")
    job = tenant.post(time_limit=6)
    tenant.await_running(job)
    source = lab.packets([{"edge": 1, "rate_per_s": 200, "destination": "5.6.7.8"}])
    time.sleep(1)
    prefix(lab, "remove", tenant, "5.6.7.0/24")
    time.sleep(1.5)
    captured = lab.sql("SELECT captured FROM pcap_parts WHERE pcap_id = '%s'" % job)
    seen = tenant.wait(job, 60, expect="success")
    sent = source.stop()
    count = rejected(lab, job)
    assert seen["packets_captured"] == 0 and count < 450 < len(sent[0]), seen
    assert int(captured) == count, "nothing was captured after a sync"
    refused = tenant.call("POST", json={"type": "simple", "system": "magic-transit", "time_limit": 1, "packet_limit": 1})
    assert refused.status_code == 403


@pytest.mark.lab(edges=2, hostile={2: {"HOSTILE_CAPTURED": "10000"}})
def test_a_sampler_that_lies_about_its_count(lab):
    """It ends one job too early, once: it is caught when that is assembled, shown, and its numbers end no other job."""
    lab.alarms_expected, lab.books_are_kept = True, False
    tenant = lab.tenant()
    lab.packets([{"edge": 1, "rate_per_s": 300, "destination": "5.6.7.8"}])
    first = tenant.post(time_limit=60, packet_limit=600)
    seen = tenant.wait(first, 60, expect="success")
    assert seen["packets_captured"] < 600
    assert "edge host edge-2: it captured 10000 packets, 0 were found in its chunks" in messages(tenant, first)
    await_true("it is caught", 5, lambda: metric(lab, "edgecap_parts_miscounted_total", "edge-2") == 1)
    assert metric(lab, "edgecap_sampler_trusted", "edge-2") == 0
    assert metric(lab, "edgecap_parts_miscounted_total", "edge-1") == 0
    listed = {s["name"]: s for s in lab.admin("sampler", "list")}
    assert listed["edge-1"]["trusted"] and not listed["edge-2"]["trusted"]
    assert "event=sampler-miscounted" in lab.assemblers[0].log_text()
    # the next job is what the honest host makes of it
    second = tenant.post(time_limit=60, packet_limit=600)
    seen = tenant.wait(second, 60, expect="success")
    assert seen["packets_captured"] == 600 and seen["stop_reason"]["code"] == "packet_limit", seen
    # trusted again, it lies again
    lab.admin("sampler", "trust", "--name", "edge-2")
    third = tenant.post(time_limit=60, packet_limit=600)
    assert tenant.wait(third, 60, expect="success")["packets_captured"] < 600
