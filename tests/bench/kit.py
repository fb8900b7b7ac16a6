"""What benchmark modules share: programs, a veth pair in namespaces, the traffic generator, rows of the table.

A module is bench_NAME.py with TITLE (a line) and run(kit), which returns a list of Row. Each Row compares what we do with a
named peer measured in the same run, interleaved with it: run k of ours stands beside run k of the peer's. kit.quick asks for a run of a
second or two that checks that everything works and whose figures mean nothing.
"""

import contextlib
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SENDER_CPU, RECEIVER_CPU = 0, 1
STARTED_S, ENDED_S = 60, 60
_numbers = itertools.count()


class BenchError(Exception):
    """A benchmark could not be carried out (a figure that is bad is no error)."""


class Row:
    """A line of the table: ours and theirs are lists of figures of the same length, in `unit`; theirs may be empty when there is no peer.

    better: "lower" or "higher". target: "<= X", ">= X" or "== X", which judges the ratio ours / theirs (theirs / ours with
    inverse=True, for "x times cheaper"), or with judge="difference" ours - theirs, or with judge="ours" our figure alone.
    """

    def __init__(self, what, unit, ours, peer="-", theirs=(), target="", judge="ratio", inverse=False, note=""):
        assert ours and (not theirs or len(ours) == len(theirs)), what
        assert judge in ("ratio", "difference", "ours") and (theirs or judge == "ours"), what
        self.what, self.unit, self.peer, self.target, self.judge, self.note = what, unit, peer, target, judge, note
        self.ours, self.theirs = [float(v) for v in ours], [float(v) for v in theirs]
        pairs = zip(self.ours, self.theirs)
        if judge == "ours":
            self.judged = self.ours
        elif judge == "difference":
            self.judged = [o - t for o, t in pairs]
        elif inverse:
            self.judged = [t / o if o else float("inf") for o, t in pairs]
        else:
            self.judged = [o / t if t else float("inf") for o, t in pairs]

    @property
    def value(self):
        return statistics.median(self.judged)

    def reached(self):
        """True or False; None without a target."""
        if not self.target:
            return None
        relation, bound = self.target.split()
        bound = float(bound)
        return {"<=": self.value <= bound, ">=": self.value >= bound, "==": self.value == bound}[relation]

    def to_json(self):
        return {
            "what": self.what, "unit": self.unit, "ours": self.ours, "peer": self.peer, "theirs": self.theirs,
            "judged": self.judge, "median": self.value, "min": min(self.judged), "max": max(self.judged),
            "target": self.target, "reached": self.reached(), "note": self.note,
        }  # fmt: skip


class Cable:
    """A veth pair, each end in a namespace of its own: send here, receive there.

    The kernel's receive path runs in the sender's system call, on SENDER_CPU; the programs that receive are on RECEIVER_CPU.
    """

    def __init__(self):
        tag = "ecb%d-%d" % (os.getpid(), next(_numbers))
        self.source, self.sink = tag + "s", tag + "r"
        self.out, self.into = "out0", "in0"

    def __enter__(self):
        try:
            for ns in (self.source, self.sink):
                command("ip", "netns", "add", ns)
                command("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            command("ip", "link", "add", self.out, "netns", self.source, "type", "veth",
                    "peer", "name", self.into, "netns", self.sink)  # fmt: skip
            command("ip", "-n", self.source, "link", "set", self.out, "up")
            command("ip", "-n", self.sink, "link", "set", self.into, "up")
            for ns, name in ((self.source, self.out), (self.sink, self.into)):
                self.await_running(ns, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for ns in (self.source, self.sink):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL, check=False)

    @staticmethod
    def await_running(ns, name):
        """The kernel gives an end whose peer came up later a queue only after a while, and throws away silently what is sent before."""
        limit = time.monotonic() + STARTED_S
        while json.loads(command("ip", "-n", ns, "-j", "link", "show", name))[0]["operstate"] != "UP":
            if time.monotonic() > limit:
                raise BenchError("%s does not come up" % name)
            time.sleep(0.01)
        command("ip", "-n", ns, "link", "set", name, "up")  # waits for the lock under which the queue is given

    def counters(self):
        """The receiving end's: packets received, and dropped before anybody saw them."""
        text = command("ip", "-n", self.sink, "-j", "-s", "link", "show", self.into)
        rx = json.loads(text)[0]["stats64"]["rx"]
        return {"received": rx["packets"], "dropped": rx["dropped"] + rx.get("missed", 0)}

    def at_sink(self, *words):
        return ["ip", "netns", "exec", self.sink, *words]

    def at_source(self, *words):
        return ["ip", "netns", "exec", self.source, *words]


def command(*words, **more):
    """Run to the end; its output. BenchError when it fails."""
    words = [str(w) for w in words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise BenchError("%s: status %d: %s" % (" ".join(words), done.returncode, done.stderr.strip()[-1000:]))
    return done.stdout


def pinned(cpu, words):
    """A command line that runs on one processor."""
    return ["taskset", "-c", str(cpu), *[str(w) for w in words]]


class Ended:
    """How a program ended that was run alone: what it printed, seconds of wall clock and of processor time, peak resident memory in MiB."""

    def __init__(self, stdout, wall_s, cpu_s, peak_mib):
        self.stdout, self.wall_s, self.cpu_s, self.peak_mib = stdout, wall_s, cpu_s, peak_mib


def measured(*words):
    """Run to the end as `command` does, and measure. Its peak memory is looked up while it runs, so that of its last 20 ms is not seen."""
    words, peak = [str(w) for w in words], 0.0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.monotonic()
        process = subprocess.Popen(words, stdout=out, stderr=err)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(min(0.02, (time.monotonic() - begin) / 20 + 0.0005))
        _, status, usage = os.wait4(process.pid, 0)
        wall_s, process.returncode = time.monotonic() - begin, os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            raise BenchError("%s: status %d: %s" % (" ".join(words), process.returncode, err.read().strip()[-1000:]))
        return Ended(out.read(), wall_s, usage.ru_utime + usage.ru_stime, peak)


def peak_mib(pid):
    """Peak resident memory of a process so far, MiB; 0 when it has ended."""
    text = Path("/proc/%d/status" % pid).read_text()
    return max((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:")), default=0) / 1024


@contextlib.contextmanager
def running(words, until=None, log=None, end=signal.SIGINT, **more):
    """A process while the block runs; then it gets the signal and must end. until(text of log): True when it is ready."""
    with tempfile.NamedTemporaryFile() as own:
        log = log or own.name
        with open(log, "w") as err:
            process = subprocess.Popen([str(w) for w in words], stderr=err, **more)
        try:
            limit = time.monotonic() + STARTED_S
            while until and not until(Path(log).read_text()):
                if process.poll() is not None or time.monotonic() > limit:
                    raise BenchError("%s did not start: %s" % (words, Path(log).read_text()[-1000:]))
                time.sleep(0.01)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(end)
            try:
                process.wait(ENDED_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise BenchError("%s did not end" % (words,)) from None


class Kit:
    """runs: how often everything is measured. programs: the folder of a build (bin/, tests/bench/). tmp: a folder that goes away afterwards."""

    def __init__(self, programs, runs, quick, tmp):
        self.programs, self.runs, self.quick, self.tmp = Path(programs), runs, quick, Path(tmp)

    def program(self, name):
        path = self.programs / ("bin" if name.startswith("edgecap-") else "tests/bench") / name
        if not path.exists():
            raise BenchError("%s is not built" % path)
        return str(path)

    def folder(self):
        """A new empty folder that a process without privileges may enter."""
        made = tempfile.mkdtemp(dir=self.tmp)
        os.chmod(made, 0o755)
        return Path(made)

    def jobs_file(self, jobs):
        """A file for edgecap-sampler --jobs."""
        path = self.folder() / "jobs.json"
        path.write_text(json.dumps(jobs))
        return path

    def generate(self, cable, **options):
        """Send traffic and wait until all of it was sent; what the generator says. Options as the generator's, _ for -."""
        words = [self.program("generator"), "--interface", cable.out, *option_words(options)]
        return json.loads(command(*pinned(SENDER_CPU, cable.at_source(*words))))

    def write_pcap(self, path, **options):
        return json.loads(command(self.program("generator"), "--write", path, *option_words(options)))

    @contextlib.contextmanager
    def sampler(self, cable, jobs, cpu=RECEIVER_CPU, **settings):
        """edgecap-sampler --jobs on the cable while the block runs. Yields a dict that is the result afterwards."""
        out, result = self.folder(), {}
        env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
        env.update({k: str(v) for k, v in settings.items()})
        words = cable.at_sink(self.program("edgecap-sampler"), "--jobs", self.jobs_file(jobs), "--out", out,
                              "--interfaces", cable.into)  # fmt: skip
        words = pinned(cpu, words) if cpu is not None else words
        with open(out / "result.json", "w") as stdout:
            with running(words, lambda log: "event=armed" in log, out / "log", stdout=stdout, env=env) as process:
                result["pid"] = process.pid
                yield result
        if process.returncode != 0:
            raise BenchError("edgecap-sampler: " + (out / "log").read_text()[-1000:])
        result.update(json.loads((out / "result.json").read_text()), out=out)

    @contextlib.contextmanager
    def idle_sampler(self, cable, **settings):
        """edgecap-sampler with no job, as it waits on an edge host: nobody answers at the API's address."""
        folder = self.folder()
        env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
        env.update(EDGECAP_EDGE_URL="unix:%s/nobody" % folder, EDGECAP_SAMPLER_TOKEN="none", EDGECAP_SPOOL_DIR=str(folder / "spool"),
                   EDGECAP_INTERFACES=cable.into, **{k: str(v) for k, v in settings.items()})  # fmt: skip
        words = pinned(RECEIVER_CPU, cable.at_sink(self.program("edgecap-sampler")))
        with running(words, lambda log: "event=started" in log, env=env, cwd=folder) as process:
            yield process

    @staticmethod
    def memory_mib(pid):
        """Resident memory of a process, its libraries included, without the rings, which are mappings of sockets, MiB."""
        kib, in_ring = 0, False
        for line in Path("/proc/%d/smaps" % pid).read_text().splitlines():
            if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
                in_ring = "socket:[" in line
            elif line.startswith("Rss:") and not in_ring:
                kib += int(line.split()[1])
        return kib / 1024

    def cost_ns(self, cable, pids, count, **traffic):
        """What a packet of this traffic costs, ns of processor time, with the processes `pids` receiving on the cable. Returns it and what the generator says.

        That is the sender's time, in which the kernel's receive path runs up to the sockets and their filters, less the making of the packets; and the receivers'.
        Time is the processes' own, so that others on a shared machine do not count.
        """
        dry = self.generate(cable, dry=True, count=count, **traffic)["cpu_ns"]
        begin = [cpu_ns(pid) for pid in pids]
        said = self.generate(cable, count=count, **traffic)
        time.sleep(0.3)  # what is still in a ring
        used = sum(cpu_ns(pid) - b for pid, b in zip(pids, begin))
        return (said["cpu_ns"] - dry + used) / said["sent"], said


def cpu_ns(pid):
    """Processor time of a process with all its threads (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def packets_in(path):
    """How many packets a capture file has."""
    for line in command("capinfos", "-Mc", path).splitlines():
        if line.startswith("Number of packets:"):
            return int(line.split(":")[1])
    raise BenchError("capinfos does not say how many packets are in %s" % path)


def option_words(options):
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, str(value)]
    return words


def flow_filter(number, *fields):
    """A filter_v1 for flow `number` of the generator (traffic.h): all of its fields, or those named."""
    x, y, z = number >> 16 & 255, number >> 8 & 255, number & 255
    whole = {
        "source_address": "10.%d.%d.%d" % (x, y, z), "destination_address": "198.18.%d.%d" % (y, z),
        "source_port": 1024 + number % 60000, "destination_port": 5000 + number % 1000,
        "protocol": 6 if number & 1 else 17,
    }  # fmt: skip
    return {k: v for k, v in whole.items() if not fields or k in fields}


GROUPS = (
    ("source_address",), ("destination_address",), ("source_address", "destination_address"),
    ("source_address", "destination_port"), ("source_address", "protocol"),
    ("source_address", "source_port", "protocol"),
    ("source_address", "destination_address", "protocol"),
    ("source_address", "destination_address", "source_port", "destination_port", "protocol"),
)  # fmt: skip


def jobs_for_flows(count, groups=8, **more):
    """One job for each of the generator's first `count` flows, in `groups` groups of different fields."""
    return [dict(more, unrestricted=True, filter_v1=flow_filter(n, *GROUPS[n % groups])) for n in range(count)]
