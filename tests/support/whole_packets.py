"""Whole packets of mixed sizes, up to 60 KB, sent to the hosts of a lab as fast as wanted, and what became of them.

The program tests/bench/whole (build/<preset>/tests/bench) makes and judges them: a packet's number gives all its bytes.
"""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import edgecap_lab

FILTER = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
PROGRAM = edgecap_lab.BIN.parent / "tests/bench/whole"
MTU = 65535


def shares(total, edges):
    """total bytes over so many hosts."""
    return [total // edges + (i < total % edges) for i in range(edges)]


def make_room(lab):
    """The links take packets of any size."""
    for i in range(1, lab.edges_count + 1):
        lab.shell("ip -n ec%d-e%d link set up0 mtu %d" % (lab.slot, i, MTU))
        lab.shell("ip -n ec%d-src link set e%d mtu %d" % (lab.slot, i, MTU))


class WholeSource:
    """Sends bytes_each[i] bytes of packets to edge i + 1, all at the same time. rate: bytes a second and host; None: as fast as it goes."""

    def __init__(self, lab, bytes_each, rate=None):
        self.processes, cpus = [], sorted(os.sched_getaffinity(0))
        for i, count in enumerate(bytes_each):
            words = [PROGRAM, "--interface", "e%d" % (i + 1), "--stream", i, "--bytes", count]
            words += ["--rate", int(rate)] if rate else []
            # On one processor: on two the kernel may hand on the second packet before the first.
            words = ["setpriv", "--pdeathsig=KILL", "ip", "netns", "exec", lab.source_namespace, "taskset", "-c", cpus[i % len(cpus)], *words]
            self.processes.append(subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True))
        lab.sources += [SimpleNamespace(process=process) for process in self.processes]  # for Lab.close

    def finish(self, seconds=300):
        """Wait until all is sent; what each sender says: packets, bytes, seconds."""
        said = []
        for process in self.processes:
            out, _ = process.communicate(timeout=seconds)
            assert process.returncode == 0, out
            said.append(json.loads(out))
        return said


def compare(path, bytes_each):
    """A pcap file beside all that was sent: packets, bytes, lost, wrong, backward."""
    words = [PROGRAM, "--compare", path]
    for count in bytes_each:
        words += ["--bytes", count]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def save(lab, destination, job, path):
    """Write the file of a full capture from its bucket to path; the manifest."""
    pcap, manifest = lab.full_files(destination, job)
    Path(path).write_bytes(pcap)
    return manifest


def peak_mib(pid):
    """Peak resident memory of a process so far."""
    text = Path("/proc/%d/status" % pid).read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:")) / 1024


def peaks_mib(lab):
    """That of each process of ours, by name."""
    return {name: peak_mib(program.pid) for name, program in lab.programs.items()}
