"""Full captures of many megabytes: packets of all sizes from three hosts, one of them cut off for a while, are in the bucket byte for byte."""

import time

import pytest
import whole_packets
from edgecap_lab import await_true
from numbered import numbers_of
from pcap_read import parse_pcap

METRO = ("ord01", "ord02", "ord03")
MIB = 1 << 20
# Peak resident memory, with the default settings of three samplers: rings, chunk buffers, chunks that four lanes read back, the program itself
SAMPLER_MIB = 32 + 64 + 4 * 8 + 24
# bodies of all lanes of three samplers, where the chunks come through the API; the program itself
API_MIB = 3 * 4 * 8 + 40
# windows into the chunks, four parts of the file on their way into the bucket, the program itself
ASSEMBLER_MIB = 24 + 4 * 8 + 40


class Capture:
    """A full capture that ends when all that is sent has come in. total: bytes of packets of all hosts together."""

    def __init__(self, lab, total):
        self.lab, self.tenant = lab, lab.tenant()
        self.each = whole_packets.shares(total, lab.edges_count)
        whole_packets.make_room(lab)
        self.destination = lab.bucket(self.tenant)
        self.job = self.tenant.post_full(self.destination, "ORD", whole_packets.FILTER, byte_limit=total)
        self.tenant.await_running(self.job, hosts=lab.edges_count)

    def send(self, rate=None):
        return whole_packets.WholeSource(self.lab, self.each, rate)

    def wait(self):
        """The job at its end; its file is then at self.path."""
        seen = self.tenant.wait(self.job, 180, expect="success")
        self.path = self.lab.dir / "whole.pcap"
        self.manifest = whole_packets.save(self.lab, self.destination, self.job, self.path)
        return seen

    def check(self, source):
        """The job ends by itself, and its file is what was sent."""
        said = source.finish()
        expected = {"packets": sum(s["packets"] for s in said), "bytes": sum(self.each), "lost": 0, "wrong": 0, "backward": 0}
        self.await_all(expected["packets"])
        seen = self.wait()
        found = whole_packets.compare(self.path, self.each)
        assert found == expected, (found, self.parts())
        assert seen["stop_reason"]["code"] == "byte_limit" and not seen.get("messages"), seen
        for part in self.parts():
            dropped = [part["dropped_" + where] for where in ("kernel", "interface", "spool", "limit")]
            assert dropped == [0, 0, 0, 0] and part["chunks_stored"] >= 2, part

    def await_all(self, packets):
        """Until the hosts have as many; when they do not, their books say where the others are."""
        end = time.monotonic() + 60
        while self.tenant.get(self.job)["packets_captured"] < packets:
            assert time.monotonic() < end, self.parts()
            time.sleep(0.2)

    def parts(self):
        """The hosts' books, edge 1 first."""
        return self.lab.sql_json("SELECT p.* FROM pcap_parts p JOIN samplers s ON s.id = p.sampler_id ORDER BY s.name")


def check_memory(lab):
    """No process has ever had more than what its limits add up to."""
    bounds = {"edge": SAMPLER_MIB, "api": API_MIB, "assembler": ASSEMBLER_MIB}
    peaks = whole_packets.peaks_mib(lab)
    print("peak MiB:", {name: round(peak) for name, peak in peaks.items()})
    if not lab.sanitizer():
        assert {name: peak for name, peak in peaks.items() if peak > bounds[name.split("-")[0]]} == {}


@pytest.mark.lab(edges=3, buckets=True, colos=METRO)
def test_a_host_is_cut_off_meanwhile(lab):
    """Through the API's own store. Edge 1 goes on capturing without its API, which is its store as well, and uploads what it has spooled afterwards."""
    capture = Capture(lab, 60 * MIB)
    source = capture.send(rate=4 * MIB)
    lab.edge_link(1, up=False)
    await_true("it spools", 15, lambda: len(list((lab.dir / "spool/edge-1").glob("*/*.pcapng"))) >= 2)
    lab.edge_link(1, up=True)
    capture.check(source)
    check_memory(lab)
    await_true("the spools are empty", 15, lambda: not list((lab.dir / "spool").glob("*/*/*")))


@pytest.mark.lab(edges=3, storage="s3", buckets=True, colos=METRO)
def test_bursts_make_whole_chunks(lab):
    """By presigned URLs. As fast as the source is; what a host gets fits into its ring, so that nothing depends on how fast the host is."""
    capture = Capture(lab, 60 * 10**6)
    capture.check(capture.send())
    check_memory(lab)


@pytest.mark.lab(edges=3, buckets=True, colos=METRO, env={"EDGECAP_SPOOL_BYTES": "10MiB"})
def test_a_store_that_is_away_all_the_time(lab):
    """What edge 1 captures is more than its spool takes: the oldest packets stay, the others are counted, and the job ends as any other."""
    capture = Capture(lab, 45 * MIB)
    lab.edge_link(1, up=False)
    source = capture.send(rate=8 * MIB)
    source.finish()
    log = lab.samplers[0].log_text
    await_true("edge 1 drops", 20, lambda: "event=chunks-dropped" in log())
    time.sleep(1.5)  # the age of the last chunk
    lab.edge_link(1, up=True)
    lab.await_samplers(3)
    capture.tenant.stop(capture.job)
    seen = capture.wait()
    assert seen["stop_reason"]["code"] == "stop_requested" and seen["samplers"]["done"] == 3, seen
    dropped = [part["dropped_spool"] for part in capture.parts()]
    assert "edge host edge-1 had no room for %d packets of this capture" % dropped[0] in " ".join(capture.manifest["messages"])
    told = [host["ledger"]["dropped_spool"] for host in capture.manifest["hosts"]]
    assert dropped[0] > 0 and sorted(told) == sorted(dropped), (told, dropped)
    busy = sum(part["dropped_kernel"] for part in capture.parts())  # a machine that let a sampler wait
    found = whole_packets.compare(capture.path, capture.each)
    assert found["lost"] == sum(dropped) + busy and found["wrong"] == found["backward"] == 0, (found, dropped)
    kept = numbers_of(parse_pcap(capture.path.read_bytes())[0])[0]
    assert kept[:1000] == list(range(1000))  # a shorter chunk, later, may fit as well
