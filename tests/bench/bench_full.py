"""A gigabyte of whole packets from three hosts through one full capture into the tenant's bucket; tcpdump on each host and mergecap beside it."""

import contextlib
import importlib
import os
import shutil
import time

from kit import BenchError, Row, cpu_ns, measured, peak_mib, running

TITLE = "a full capture, three hosts, into a bucket on Ceph"
EDGES, TOTAL = 3, 10**9
COLOS = ("ord01", "ord02", "ord03")
STEADY = 20  # MB a second and host
LADDER = (100, 80, 60, 50, 40, 30, 20)  # the same, the highest at which nothing is lost is looked for
STORES = (("file", "a directory"), ("s3", "Ceph"))
RING_MIB = 32  # the default, and what tcpdump is given
END_S, SETTLE_S = 300, 3
PEER = "tcpdump -w on each host, mergecap"
NOTE = (
    "%d MB of packets of 60 bytes to 60 KB, mean 1,281; every packet in the file compared with what was sent, in order of time; ours from the last packet to the file in "
    "the bucket, hashed, its chunks stored before; mergecap's file is local, and that the three files are on three hosts is not counted"
)  # fmt: skip
SAMPLER_MIB = 32 + 64 + 4 * 8 + 24  # ring, chunk buffers, what four lanes read back, the program
PROCESSES = (("edge-1", "sampler, one capture thread"), ("edge-2", "sampler, two"), ("api-1", "API"), ("assembler-1", "assembler"))


def modules(kit):
    """The lab of the end-to-end tests, with these programs."""
    os.environ["EDGECAP_BIN_DIR"] = str(kit.programs / "bin")
    return importlib.import_module("edgecap_lab"), importlib.import_module("whole_packets")


class Load:
    """What is sent: total bytes of packets of all hosts together, mbps MB a second and host."""

    def __init__(self, whole, total, mbps):
        self.whole, self.total, self.rate = whole, total, mbps * 1e6
        self.each = whole.shares(total, EDGES)

    def send(self, lab):
        """Send all; the rate that was reached, MB a second and host."""
        said = self.whole.WholeSource(lab, self.each, self.rate).finish()
        return self.total / EDGES / max(s["seconds"] for s in said) / 1e6

    def judge(self, what, path):
        """Packets that are not in a file. Wrong ones are no figure."""
        verdict = self.whole.compare(path, self.each)
        if verdict["wrong"] or verdict["backward"]:
            raise BenchError("%s: the file is not what was sent: %s" % (what, verdict))
        return verdict["lost"]


class Ours:
    """One full capture. dropped: packets lost on the way, by cause; the rest is there after `finish`."""

    def __init__(self, lab, load):
        self.lab, self.load, self.tenant = lab, load, lab.tenant()
        self.destination = lab.bucket(self.tenant)
        self.job = self.tenant.post_full(self.destination, "ORD", load.whole.FILTER, byte_limit=load.total)
        lab.checked.add(self.job)  # here, by other means
        self.tenant.await_running(self.job, hosts=EDGES)
        cpu, begin = self.cpu_s(), time.monotonic()
        self.mbps = load.send(lab)
        sent = time.monotonic()
        self.capture_s, stored = sent - begin, self.await_stored(sent)
        self.upload_s = stored - sent
        self.parts = lab.sql_json("SELECT * FROM pcap_parts")
        self.dropped = {where: sum(part["dropped_" + where] for part in self.parts) for where in ("kernel", "interface", "spool")}
        self.begin_cpu_s, self.sent, self.stored = cpu, sent, stored

    def cpu_s(self):
        return sum(cpu_ns(program.pid) for program in self.lab.programs.values()) / 1e9

    def await_status(self, *statuses, until):
        while time.monotonic() < until:
            seen = self.tenant.get(self.job)
            if seen["status"] in statuses:
                return seen
            time.sleep(0.05)
        return None

    def await_stored(self, sent):
        """Until every host has ended and stored its chunks: by itself when nothing was lost. When that was."""
        ended = ("conversion_pending", "conversion_running", "success", "failed")
        if not self.await_status(*ended, until=sent + SETTLE_S):
            self.tenant.stop(self.job)
            if not self.await_status(*ended, until=sent + END_S):
                raise BenchError("the capture does not end: %s" % self.tenant.get(self.job))
        return time.monotonic()

    def finish(self, kit):
        """Wait for the file, and judge it."""
        seen = self.await_status("success", "failed", until=self.sent + END_S)
        if not seen or seen["status"] != "success":
            raise BenchError("the job has not succeeded: %s" % seen)
        self.assembly_s = time.monotonic() - self.stored
        self.tail_s, self.cpu = time.monotonic() - self.sent, self.cpu_s() - self.begin_cpu_s
        self.peaks = self.load.whole.peaks_mib(self.lab)
        path = kit.folder() / "ours.pcap"
        self.load.whole.save(self.lab, self.destination, self.job, path)
        self.lost = self.load.judge("edgecap", path)
        shutil.rmtree(path.parent)
        if self.lost != sum(self.dropped.values()):
            raise BenchError("%d packets are not in the file, the books say %s" % (self.lost, self.dropped))


class Theirs:
    """tcpdump -w on each host, then mergecap of the three files."""

    def __init__(self, kit, lab, load):
        folder = kit.folder()
        files = [folder / ("edge-%d.pcap" % (i + 1)) for i in range(EDGES)]
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(self.tcpdump(lab, i + 1, path)).pid for i, path in enumerate(files)]
            self.mbps = load.send(lab)
            sent = time.monotonic()
            time.sleep(1.1)  # tcpdump lets packets wait in the ring for a second
            self.cpu = sum(cpu_ns(pid) for pid in pids) / 1e9
            self.peak_mib = max(peak_mib(pid) for pid in pids)
        merging = measured("mergecap", "-F", "nsecpcap", "-w", folder / "merged.pcap", *files)
        self.tail_s, self.cpu = time.monotonic() - sent, self.cpu + merging.cpu_s
        self.lost = load.judge("tcpdump", folder / "merged.pcap")
        shutil.rmtree(folder)

    @staticmethod
    def tcpdump(lab, edge, path):
        words = ["ip", "netns", "exec", "ec%d-e%d" % (lab.slot, edge), "tcpdump", "-Z", "root", "-n", "-i", "up0", "-Q", "in", "-s", "262144",
                 "-B", RING_MIB << 10, "-w", path, "udp and src host 1.2.3.4 and dst host 5.6.7.8"]  # fmt: skip
        return running(words, lambda text: "listening on" in text, path.with_suffix(".log"))


@contextlib.contextmanager
def lab_of(kit, storage):
    """A lab of its own: peaks of memory are of one capture."""
    lab_module, whole = modules(kit)
    with lab_module.Lab(edges=EDGES, storage=storage, buckets=True, colos=COLOS) as lab:
        whole.make_room(lab)
        yield lab, whole


def steady(kit, storage, total):
    """One run of ours and one of theirs at the same rate."""
    with lab_of(kit, storage) as (lab, whole):
        load = Load(whole, total, STEADY)
        ours = Ours(lab, load)
        ours.finish(kit)
        for program in lab.samplers:
            program.stop()
        return ours, Theirs(kit, lab, load)


class Fastest:
    """The highest of the ladder's rates at which nothing was lost, MB a second of all hosts together: ours and theirs; 0 for none. peaks: of memory, at any rate."""

    def __init__(self, kit, storage, total):
        self.ours = self.theirs = 0
        self.peaks = {}
        for mbps in LADDER[-1:] if kit.quick else LADDER:
            with lab_of(kit, storage) as (lab, whole):
                self.try_rate(kit, lab, Load(whole, total, mbps))
            if self.ours and self.theirs:
                break

    def try_rate(self, kit, lab, load):
        if not self.ours:
            ours = Ours(lab, load)
            self.ours = 0 if any(ours.dropped.values()) else EDGES * ours.mbps
            self.peaks = {key: max(self.peaks.get(key, 0), peak) for key, peak in load.whole.peaks_mib(lab).items()}
        for program in lab.samplers:
            program.stop()
        if not self.theirs:
            theirs = Theirs(kit, lab, load)
            self.theirs = 0 if theirs.lost else EDGES * theirs.mbps


def peak_rows(name, us, processes):
    """Memory of our processes. us: what has peaks."""
    rows = []
    for key, process in processes:
        target = "<= %d" % SAMPLER_MIB if key.startswith("edge") else ""
        rows.append(Row("peak memory, %s, %s" % (process, name), "MiB", [o.peaks[key] for o in us], target=target, judge="ours"))
    return rows


def rows_of(name, total, runs):
    """The table of one store. runs: pairs of steady's."""
    us, them = [pair[0] for pair in runs], [pair[1] for pair in runs]
    what = "%d MB from 3 hosts at %d MB/s, chunks in %s" % (total / 1e6, EDGES * STEADY, name)
    rows = [
        Row(what + ": packets lost", "packets", [o.lost for o in us], PEER, [t.lost for t in them], "<= 0", judge="difference", note=NOTE % (total / 1e6)),
        Row("the same: from the last packet to the file", "s", [o.tail_s for o in us], PEER, [t.tail_s for t in them]),
        Row("of that, until all is uploaded", "s", [o.upload_s for o in us], judge="ours"),
        Row("of that, assembling", "s", [o.assembly_s for o in us], judge="ours"),
        Row("processor time, ours of all processes", "s", [o.cpu for o in us], PEER, [t.cpu for t in them]),
    ]  # fmt: skip
    return rows + peak_rows("chunks in " + name, us, PROCESSES)


def run(kit):
    total = 3 * 10**7 if kit.quick else TOTAL
    rows = []
    for storage, name in STORES:
        rows += rows_of(name, total, [steady(kit, storage, total) for _ in range(kit.runs)])
        found = [Fastest(kit, storage, total) for _ in range(kit.runs)]
        rows.append(Row("highest rate without loss, chunks in " + name, "MB/s", [f.ours for f in found], "tcpdump -w", [f.theirs for f in found]))
        rows += peak_rows("at up to %d MB/s, chunks in %s" % (EDGES * LADDER[0], name), found, PROCESSES[:-1])  # nobody waits for the assembler
    return rows
