"""The whole sampler when it cannot get rid of what it captures: packets are dropped and counted, the ring is read all the same, and a small job beside it loses
nothing. All of the burst fits into the ring: there is no loss but that of a ring that nobody reads."""

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest
from conftest import HANGING_DISK, REAL
from fake_api import FakeApi, packets, pcap

BIG_PORT, SMALL_PORT = 4444, 4445
BIG, SMALL = 30000, 300
PAYLOAD_AT, NUMBER_BYTES = 42, 6


class Host:
    """A sampler with a big and a small job, both running."""

    def __init__(self, link, api, make_sampler, program, **settings):
        self.link, self.api = link, api
        self.sampler = make_sampler(link.command(program))
        self.sampler.api = api
        self.sampler.start(EDGECAP_INTERFACES="up0", EDGECAP_RING_BYTES="64MiB", **settings)
        self.big, self.small = self.job(0, BIG_PORT), self.job(1, SMALL_PORT)

    def job(self, number, port):
        job = self.api.post(pcap(number), time_limit_s=120)
        job.prefixes = [self.link.prefix]
        job.filter = {"destination_port": port, "protocol": 17}
        self.api.wait_state(job, "running")
        return job

    def send(self, port, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for i in range(count):
                s.sendto(b"%06d" % i + b"." * 300, (self.link.there, port))
                if i % 100 == 0:
                    time.sleep(0.001)

    def burst(self):
        """Send both jobs' packets; while nothing has got better, all of them have been seen."""
        self.send(BIG_PORT, BIG)
        self.send(SMALL_PORT, SMALL)
        for job, count in ((self.big, BIG), (self.small, SMALL)):
            self.api.wait(lambda job=job, count=count: job.last["ledger"]["matched"] == count, 30,
                          "the ring is not read: %r" % job.last)  # fmt: skip

    def stop(self):
        for job in (self.big, self.small):
            self.api.stop_job(job)

    def finish(self):
        for job in (self.big, self.small):
            self.api.wait_state(job, "done", seconds=30)
        check(self.big, BIG)
        check(self.small, SMALL)
        assert self.small.last["ledger"]["captured"] == SMALL
        return self.big.last["ledger"]


def check(job, sent):
    """Every packet was captured, and is in the chunks once and in order, or was dropped and counted."""
    ledger = job.last["ledger"]
    numbers = [int(p[PAYLOAD_AT : PAYLOAD_AT + NUMBER_BYTES]) for _, chunk in sorted(job.chunks.items()) for p in packets(chunk)]
    assert ledger["dropped_kernel"] == ledger["dropped_interface"] == 0
    assert ledger["matched"] == ledger["selected"] == ledger["captured"] + ledger["dropped_spool"] == sent
    assert numbers == sorted(set(numbers)) and len(numbers) == ledger["captured"]


@pytest.fixture
def far_api(link):
    with FakeApi(address=link.here) as it:
        yield it
        it.put_fault = None


@pytest.mark.parametrize("fault", [503, "hang"])
def test_a_full_spool_drops_and_counts(link, far_api, make_sampler, fault):
    host = Host(link, far_api, make_sampler, REAL, EDGECAP_SPOOL_BYTES="1MiB", EDGECAP_BUFFER_BYTES="4MiB")
    far_api.put_fault = fault
    host.burst()
    host.stop()
    for job in (host.big, host.small):
        far_api.wait_state(job, "ended")
    far_api.put_fault = None
    ledger = host.finish()
    assert ledger["captured"] > 1000 and ledger["dropped_spool"] > 1000
    assert "EDGECAP_SPOOL_BYTES" in host.sampler.log()
    assert host.sampler.terminate()[0] == 0


def test_a_stalled_upload_loses_nothing_while_there_is_room(link, far_api, make_sampler):
    host = Host(link, far_api, make_sampler, REAL)
    far_api.put_fault = "hang"
    host.burst()
    host.stop()
    for job in (host.big, host.small):
        far_api.wait_state(job, "ended")
    assert far_api.most_puts == 4 and not host.big.chunks
    far_api.put_fault = None
    assert host.finish()["dropped_spool"] == 0
    assert host.sampler.terminate()[0] == 0


@pytest.fixture
def folder():
    """One that the sampler, which becomes nobody, can look into: not pytest's, which any other pytest closes to others."""
    with tempfile.TemporaryDirectory(prefix="edgecap-test-") as it:
        os.chmod(it, 0o711)
        yield Path(it)


@contextlib.contextmanager
def hanging(file):
    file.touch()
    try:
        yield
    finally:
        file.unlink()


def test_a_disk_that_hangs_drops_and_counts(link, far_api, make_sampler, folder):
    """Nothing is written any more: the chunk buffers fill, and what finds none is dropped. The conversation with the API goes on."""
    file = folder / "hang"
    host = Host(link, far_api, make_sampler, HANGING_DISK, EDGECAP_BUFFER_BYTES="4MiB", HANGING_DISK_FILE=str(file))
    with hanging(file):
        host.burst()
        time.sleep(1.5)  # the chunks are old enough to be closed
        assert not host.big.chunks and not host.sampler.spooled()
        host.stop()
        assert host.big.last["ledger"]["dropped_spool"] > 1000
    ledger = host.finish()
    assert ledger["captured"] > 1000
    assert host.sampler.terminate()[0] == 0
