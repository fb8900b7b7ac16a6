"""What reading a file costs: packets a second of processor time, from a pcap file through the sampler's capture path into each job's file."""

import json
import os

from kit import BenchError, Row, jobs_for_flows, measured

TITLE = "reading a file, one thread"
WANTED_PPM = 1000
JOBS = 1024
NOTE = (
    "64-byte packets, 0.1 % match, file in the page cache, output files replaced; per second of processor time: both are one thread that waits for "
    "nothing, and others on the machine do not count"
)  # fmt: skip


class Input:
    """A pcap file with packets wanted by so many jobs, and where each program writes to.

    The output files are there from the run before: how long it takes to make a thousand files depends on what others have deleted on the disk (ext4 looks
    for inodes that were not used lately), more than on the program.
    """

    def __init__(self, kit, jobs, count):
        self.kit, self.path, self.out, self.written = kit, kit.folder() / "in.pcap", kit.folder(), kit.folder() / "out.pcap"
        self.jobs = kit.jobs_file(jobs_for_flows(jobs))
        self.said = kit.write_pcap(self.path, count=count, wanted_flows=jobs, wanted_ppm=WANTED_PPM)
        os.sync()
        self.ours(), self.tcpdump()  # the page cache and the output files

    def ours(self):
        """M packets a second; every wanted packet must be in the files."""
        ended = measured(self.kit.program("edgecap-sampler"), "--read", self.path, "--jobs", self.jobs, "--out", self.out)
        result = json.loads(ended.stdout)
        captured = sum(job["ledger"]["captured"] for job in result["jobs"])
        if captured != self.said["wanted"] or result["packets"] != self.said["sent"]:
            raise BenchError("%d of %d wanted packets captured, %d read" % (captured, self.said["wanted"], result["packets"]))
        return self.said["sent"] / ended.cpu_s / 1e6

    def tcpdump(self):
        """The same of tcpdump with the filter of the one job."""
        ended = measured("tcpdump", "-Z", "root", "-n", "-r", self.path, "-w", self.written, "src host 10.0.0.0")
        return self.said["sent"] / ended.cpu_s / 1e6


def run(kit):
    count = 200000 if kit.quick else 8000000
    many, one = Input(kit, JOBS, count), Input(kit, 1, count)
    figures = {"many": [], "one": [], "many_tcpdump": [], "one_tcpdump": []}
    for _ in range(kit.runs):
        figures["many"].append(many.ours())
        figures["many_tcpdump"].append(many.tcpdump())
        figures["one"].append(one.ours())
        figures["one_tcpdump"].append(one.tcpdump())
    peer, unit = "tcpdump -r -w, one filter", "M packets/s"
    return [
        Row("reading through 1,024 jobs in 8 field groups", unit, figures["many"], peer, figures["many_tcpdump"], ">= 0.5", note=NOTE),
        Row("reading through 1 job", unit, figures["one"], peer, figures["one_tcpdump"]),
    ]
