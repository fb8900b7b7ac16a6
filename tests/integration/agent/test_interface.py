"""The whole sampler with its real engine, on a veth pair that carries its own connections as well."""

import signal
import socket
import time
from pathlib import Path

import pytest
from conftest import REAL
from edge_link import ip
from fake_api import FakeApi, packets, pcap

PORT = 4444


def send(link, count, pause_s=0.002):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(count):
            s.sendto(b"number %6d" % i, (link.there, PORT))
            time.sleep(pause_s)


def ip_protocol(frame):
    return frame[23]


@pytest.mark.parametrize("direction", ["in", "inout"])
def test_own_connections_are_not_captured(link, make_sampler, direction):
    """Everything of the link's prefix is wanted, and sync and uploads go over the link: only the others' packets are
    in the chunks, not even a SYN-ACK of ours."""
    with FakeApi(address=link.here) as api:
        sampler = make_sampler(link.command(REAL))
        sampler.api = api
        sampler.start(EDGECAP_INTERFACES="up0", EDGECAP_DIRECTION=direction)
        api.wait(lambda: api.up, 20)
        jobs = []
        for n in range(3):  # the first connections are made before the first job, further ones while it runs
            jobs.append(api.post(pcap(n), time_limit_s=4))
            jobs[-1].prefixes = [link.prefix]
            api.wait_state(jobs[-1], "running")
        send(link, 300)
        api.stop()  # connections are made again while all three run
        time.sleep(0.3)
        api.start()
        for job in jobs:
            last = api.wait_state(job, "done", seconds=20)
            frames = [p for _, chunk in sorted(job.chunks.items()) for p in packets(chunk)]
            tcp = [f for f in frames if ip_protocol(f) == 6]
            assert tcp == [], "%d packets of our own connections, flags %s" % (len(tcp), [hex(f[47]) for f in tcp[:9]])
            udp = [f for f in frames if ip_protocol(f) == 17]
            assert len(udp) == 300
            assert last["ledger"]["captured"] == len(frames)
        assert api.most_in_flight >= 2  # more than one connection was there
        assert sampler.terminate()[0] == 0


def test_privileges_of_the_capture_threads(link, make_sampler):
    with FakeApi(address=link.here) as api:
        sampler = make_sampler(link.command(REAL))
        sampler.api = api
        sampler.start(EDGECAP_INTERFACES="up0")
        job = api.post(pcap(), time_limit_s=1)
        job.prefixes = [link.prefix]
        api.wait_state(job, "running", seconds=20)
        send(link, 50)
        api.wait_state(job, "done")
        tasks = list(Path("/proc/%d/task" % sampler.process.pid).iterdir())
        assert len(tasks) >= 3
        for task in tasks:
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[name], 16) == 0, (task.name, name)
            assert status["NoNewPrivs"] == "1" and "0" not in status["Uid"].split()
        assert sampler.terminate()[0] == 0


def test_an_interface_that_does_not_exist(link, make_sampler):
    sampler = make_sampler(link.command(REAL))
    sampler.start(EDGECAP_INTERFACES="up0,nothere0")
    assert sampler.process.wait(20) == 1
    assert "EDGECAP_INTERFACES" in sampler.log() and "nothere0" in sampler.log()


def test_an_interface_that_goes_away_ends_the_process(link, make_sampler):
    """Its ring cannot be opened again without privileges: the part fails and says why, and a supervisor starts us anew."""
    with FakeApi(address=link.here) as api:
        sampler = make_sampler(link.command(REAL))
        sampler.api = api
        ip("-n", link.name, "link", "add", "gone0", "type", "veth", "peer", "name", "gone1")
        ip("-n", link.name, "link", "set", "gone0", "up")
        sampler.start(EDGECAP_INTERFACES="up0,gone0")
        job = api.post(pcap(), time_limit_s=3)
        job.prefixes = [link.prefix]
        api.wait_state(job, "running", seconds=20)
        time.sleep(0.05)
        send(link, 20)
        ip("-n", link.name, "link", "del", "gone0")
        last = api.wait_state(job, "failed", seconds=10)
        assert last["reason"] == "error" and "gone0" in last["error"]
        payloads = [p[42:] for _, chunk in sorted(job.chunks.items()) for p in packets(chunk)]
        assert payloads == [b"number %6d" % i for i in range(20)]
        assert sampler.process.wait(10) == 1
        assert "event=ring-died" in sampler.log() and "event=giving-up" in sampler.log()
        sampler.process = None


def test_an_interface_that_is_down_is_waited_for(link, make_sampler):
    """Several threads each, one interface down for a while, the process stopped and continued: the cage lets all of that happen."""
    with FakeApi(address=link.here) as api:
        ip("-n", link.name, "link", "add", "other0", "type", "veth", "peer", "name", "other1")
        ip("-n", link.name, "link", "set", "other0", "up")
        sampler = make_sampler(link.command(REAL))
        sampler.api = api
        sampler.start(EDGECAP_INTERFACES="up0,other0", EDGECAP_WORKERS="5")  # the ninth thread asks for the processors
        job = api.post(pcap(), time_limit_s=4)
        job.prefixes = [link.prefix]
        api.wait_state(job, "running", seconds=20)
        ip("-n", link.name, "link", "set", "other0", "down")
        send(link, 50)
        time.sleep(0.5)
        sampler.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        sampler.process.send_signal(signal.SIGCONT)
        ip("-n", link.name, "link", "set", "other0", "up")
        send(link, 50)
        api.wait_state(job, "done", seconds=20)
        assert len([p for chunk in job.chunks.values() for p in packets(chunk)]) == 100
        assert sampler.terminate()[0] == 0
