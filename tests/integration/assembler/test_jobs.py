"""Jobs through the real program: files, what the database is told, and what the tenant is told."""

import hashlib
import json
import random
import subprocess

import kit
import pcap_read
import pytest
from chunks import BEGIN_NS, SECOND_NS, chunk, number_of, packet
from kit import Host


def numbered(start_ns, first, count, step_ns=1000):
    return [(start_ns + i * step_ns, packet(first + i)) for i in range(count)]


def three_hosts():
    hosts = [Host("ord-a"), Host("ord-b", colo="ord02"), Host("ams-a", colo="ams01")]
    for i, host in enumerate(hosts):
        for seq in range(3):
            host.add(chunk(numbered(BEGIN_NS + seq * SECOND_NS + i, 1000 * i + 100 * seq, 50)), 50)
    return hosts


def numbers(job):
    packets, _ = pcap_read.read_pcap(job.path("pcap"))
    return [number_of(p.data) for p in packets]


def test_a_job_of_three_hosts(world):
    job = world.job(three_hosts())
    world.assembler()
    row = job.await_stage("done")
    assert (row["packets_in_file"], row["packets_cut"], row["packets_rejected"]) == (450, 0, 0)
    assert row["stop_reason"] == "time_limit"
    assert row["warnings"] == []
    assert [(p["packets_stored"], p["chunks_found"]) for p in job.parts()] == [(150, 3)] * 3
    for extension in ("pcap", "pcapng"):
        content = job.path(extension).read_bytes()
        assert row[extension + "_bytes"] == len(content)
        assert row[extension + "_sha256"] == hashlib.sha256(content).hexdigest()
        assert world.store / row[extension + "_key"] == job.path(extension)
    packets, link_type = pcap_read.read_pcap(job.path("pcap"))
    assert link_type == pcap_read.LINK_ETHERNET
    assert [p.time_ns for p in packets] == sorted(p.time_ns for p in packets)
    packets, interfaces = pcap_read.read_pcapng(job.path("pcapng"))
    assert [i.name for i in interfaces] == ["ord-a:eth0", "ord-b:eth0", "ams-a:eth0"]
    assert [i.statistic(8) for i in interfaces] == [150, 150, 150]
    assert len(packets) == 450


@pytest.mark.parametrize("extension", ["pcap", "pcapng"])
def test_tools_read_the_files_without_a_warning(world, extension):
    job = world.job(three_hosts())
    world.assembler()
    job.await_stage("done")
    for argv in (["capinfos", "-M"], ["tshark", "-n", "-r"], ["tcpdump", "-n", "-r"]):
        done = subprocess.run(argv + [job.path(extension)], capture_output=True, text=True, check=True)
        noise = [line for line in done.stderr.splitlines()
                 if line and not line.startswith(("Running as user", "reading from file"))]
        assert noise == []
        if argv[0] == "capinfos":
            assert "Number of packets:   450" in done.stdout
            assert "Strict time order:   True" in done.stdout
        else:
            assert len(done.stdout.splitlines()) == 450


def test_the_same_parts_give_the_same_bytes(world):
    hosts = three_hosts()
    job = world.job(hosts)
    world.assembler()
    job.await_stage("done")
    first = {e: job.path(e).read_bytes() for e in ("pcap", "pcapng")}
    for seed in range(3):
        subprocess.run(["rm", "-r", job.chunk_folder(), job.path("pcap"), job.path("pcapng")], check=True)
        job.store(order=random.Random(seed)).again()
        job.await_stage("done")
        for extension, content in first.items():
            assert job.path(extension).read_bytes() == content


def test_the_merge_is_that_of_a_reference_sort(world):
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(5):
        hosts, expected = [], []
        for h in range(rng.randrange(1, 6)):
            host = Host("host-%d" % h)
            clock = BEGIN_NS + rng.randrange(-5, 5) * SECOND_NS
            for seq in range(rng.randrange(0, 12)):
                # neighbouring chunks overlap, and clocks may be far off
                at, packets = clock + rng.randrange(3 * SECOND_NS), []
                for position in range(rng.randrange(0, 40)):
                    at += rng.choice((0, 0, 1, 1000, SECOND_NS // 10))
                    number = len(expected)
                    packets.append((at, packet(number)))
                    expected.append((at, h, seq, position, number))
                host.add(chunk(packets), len(packets))
            hosts.append(host)
        hosts.sort(key=lambda host: host.id)  # as they were made: ids rise with time
        limit = rng.randrange(1, len(expected) + 10)
        job = world.job(hosts, limit=limit)
        if not world.assemblers:
            world.assembler()
        row = job.await_stage("done")
        expected.sort()
        assert numbers(job) == [e[-1] for e in expected[:limit]]
        assert row["packets_in_file"] + row["packets_cut"] == len(expected)


def test_no_host(world):
    job = world.job([])
    world.assembler()
    row = job.await_stage("failed")
    assert row["error_message"] == "no edge host was connected when the job was submitted"
    assert row["stop_reason"] == "no_edge_host"


def test_all_hosts_lost(world):
    job = world.job([Host("ord-a", state="lost", reason="silent"), Host("ord-b", state="lost", reason="deadline")])
    world.assembler()
    row = job.await_stage("failed")
    assert row["stop_reason"] == "edge_hosts_lost"
    assert "ord-a" in row["error_message"] and "ord-b" in row["error_message"]
    assert not job.path("pcap").exists()


def test_one_host_lost_and_one_with_a_wrong_clock(world):
    hosts = three_hosts()
    hosts[0].state, hosts[0].reason = "lost", "silent"
    hosts[1].columns["clock_offset_us"] = -3_500_000
    job = world.job(hosts)
    world.assembler()
    row = job.await_stage("done")
    assert row["packets_in_file"] == 450
    assert len(row["warnings"]) == 2
    assert row["warnings"][0].startswith("edge host ord-a was lost: ")
    assert row["warnings"][1].startswith("the clock of edge host ord-b is 3.500 s behind")


def test_no_packet_matched(world):
    job = world.job([Host("ord-a")])
    world.assembler()
    row = job.await_stage("done")
    assert row["packets_in_file"] == 0
    assert row["warnings"] == ["no packet matched the filter during the capture window"]
    assert pcap_read.read_pcap(job.path("pcap")) == ([], pcap_read.LINK_ETHERNET)


def test_what_is_outside_the_scope_is_left_out_and_alarmed(world):
    host = Host("ord-a")
    host.add(chunk(numbered(BEGIN_NS, 1, 10)), 10)
    job = world.job([host], unrestricted=False, prefixes=["198.51.100.0/24"])
    assembler = world.assembler()
    row = job.await_stage("done")
    assert (row["packets_in_file"], row["packets_rejected"]) == (0, 10)
    assert numbers(job) == []
    line, = assembler.events("scope-violation")
    assert "level=error" in line and job.id in line and "packets=10" in line
    other = world.job([host], filter_v1=json.dumps({"source_port": 3}))
    row = other.await_stage("done")
    assert numbers(other) == [3]
    assert row["packets_rejected"] == 9


def test_hostile_chunks_harm_their_own_host_only(world):
    rng = random.Random(7)
    good, bad = Host("good"), Host("bad")
    good.add(chunk(numbered(BEGIN_NS, 1, 100)), 100)
    template = chunk(numbered(BEGIN_NS, 2000, 20))
    for i in range(200):
        content = bytearray(template)
        for _ in range(rng.randrange(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        bad.add(bytes(content[: rng.randrange(len(content))] if i % 4 == 0 else content), 0)
    job = world.job([good, bad])
    world.assembler()
    row = job.await_stage("done")
    assert sorted(n for n in numbers(job) if n <= 100) == list(range(1, 101))
    assert any(w.startswith("edge host bad: chunk ") for w in row["warnings"])
    assert not any("good" in w for w in row["warnings"])
    stored = sum(p["packets_stored"] for p in job.parts())
    assert stored == row["packets_in_file"] + row["packets_cut"] + row["packets_rejected"]


def test_many_jobs_at_once(world):
    jobs = []
    for i in range(24):
        host = Host("host")
        host.add(chunk(numbered(BEGIN_NS, i, 20)), 20)
        jobs.append(world.job([host]))
    for _ in range(2):
        world.assembler(WORKERS=4)
    for i, job in enumerate(jobs):
        assert job.await_stage("done")["attempts"] == 1
        assert numbers(job) == list(range(i, i + 20))


def test_memory_does_not_grow_with_the_parts(world):
    peaks = []
    body = [packet(n, payload=1400) for n in range(160)]  # a quarter of a MiB
    for chunks in (1, 16):
        hosts = [Host("host-%d" % h) for h in range(32)]
        for host in hosts:
            for seq in range(chunks):
                at = BEGIN_NS + seq * SECOND_NS
                host.add(chunk([(at + i * 1000, data) for i, data in enumerate(body)]), len(body))
        job = world.job(hosts)
        assembler = world.assembler()
        row = job.await_stage("done", 120)
        assert row["packets_in_file"] + row["packets_cut"] == 32 * chunks * 160
        peaks.append(assembler.peak_kib())
        assert assembler.stop() == 0
        for host in hosts:
            host.chunks.clear()
    print("peak KiB of 8 and 128 MiB in 32 parts:", peaks)
    if not kit.sanitized():
        assert peaks[1] < 1.3 * peaks[0]
