"""What assembling costs: the program edgecap-assembler on a PostgreSQL and a directory of its own, beside mergecap on the same packets."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess

from kit import TOP, BenchError, Row, command, cpu_ns, measured

TITLE = "assembling, 32 hosts"
PARTS, PACKETS = 32, 300000
AWAIT_S = 300
NOTE = (
    "64-byte packets, hosts overlap in time; wall clock from claim to stored: we check every packet and write a pcap and a pcapng, hashed (SHA-256) and "
    "synced to disk; mergecap writes one pcapng, unhashed, unsynced"
)  # fmt: skip


@contextlib.contextmanager
def postgres(kit):
    """The assembler's test kit beside a PostgreSQL while the block runs."""
    words = [TOP / "tests/support/with-postgres", "sh", "-c", "env | grep ^EDGECAP_TEST_; echo; exec cat"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    before = dict(os.environ)
    try:
        for line in iter(process.stdout.readline, "\n"):
            if not line:
                raise BenchError("PostgreSQL did not start")
            os.environ.update([line.rstrip("\n").split("=", 1)])
        os.environ["EDGECAP_BIN_DIR"] = str(kit.programs / "bin")
        spec = importlib.util.spec_from_file_location("assembler_kit", TOP / "tests/integration/assembler/kit.py")
        world_kit = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(world_kit)
        world_kit.migrate()
        yield world_kit
    finally:
        process.communicate()
        os.environ.clear()
        os.environ.update(before)


class Parts:
    """What hosts have stored, and the same packets in a file for each of them."""

    def __init__(self, kit, packets):
        self.chunks, self.files, self.each = kit.folder(), kit.folder(), packets
        parts = 4 if kit.quick else PARTS
        said = json.loads(command(kit.program("parts"), "--chunks", self.chunks, "--files", self.files,
                                  "--parts", parts, "--packets", packets))  # fmt: skip
        self.packets, self.hosts = said["packets"], sorted(os.listdir(self.chunks))
        os.sync()  # what was written here is not for others to wait for


class Assembled:
    """One run of ours: M packets a second of wall clock and of processor time, peak memory."""

    def __init__(self, world_kit, kit, parts):
        self.folder = kit.folder()
        world = world_kit.World(self.folder)
        try:
            self._run(world_kit, world, parts)
            world.close()
        except AssertionError as error:
            raise BenchError(str(error)) from error
        finally:
            for program in world.assemblers:
                if program.process.poll() is None:
                    program.kill()

    def _run(self, world_kit, world, parts):
        job = self._job(world_kit, world, parts)
        job.chunk_folder().parent.mkdir(parents=True)
        parts.chunks.rename(job.chunk_folder())
        try:
            program = world.assembler(LEASE="30s").await_event("ready")
            begin = cpu_ns(program.process.pid)
            job.ready()
            row = job.await_stage("done", AWAIT_S)
            cpu_s = (cpu_ns(program.process.pid) - begin) / 1e9
            self.peak_mib = program.peak_kib() / 1024
        finally:
            job.chunk_folder().rename(parts.chunks)
        took_ms = int(program.events("job-assembled")[0].split("took_ms=")[1].split()[0])
        self.wall, self.cpu = parts.packets / took_ms / 1e3, parts.packets / cpu_s / 1e6
        self.pcapng, self.sha256 = job.path("pcapng"), row["pcap_sha256"]  # the pcapng has the id of its job
        if row["packets_in_file"] != parts.packets or row["warnings"]:
            raise BenchError("%s packets of %d, %s" % (row["packets_in_file"], parts.packets, row["warnings"]))

    @staticmethod
    def _job(world_kit, world, parts):
        hosts = []
        for name in parts.hosts:
            stored = len(os.listdir(parts.chunks / name))
            hosts.append(world_kit.Host("host-" + name[-4:], captured=parts.each, chunks_stored=stored))
            hosts[-1].id = name
        return world_kit.Job(world, hosts, limit=2**31 - 1)


def mergecap(kit, parts, out):
    files = [parts.files / (name + ".pcapng") for name in parts.hosts]
    return measured("mergecap", "-F", "pcapng", "-w", out, *files)


def check(path, parts):
    """All packets, and in time order, as a program sees it that is not ours."""
    text = command("capinfos", "-M", "-c", "-o", path)
    if "%d" % parts.packets not in text.split() or not text.rstrip().endswith("True"):
        raise BenchError("%s: %s" % (path, text))


class Round:
    """One run of ours and one of the peer's on the same packets, each alone."""

    def __init__(self, world_kit, kit, parts, checked):
        self.ours = Assembled(world_kit, kit, parts)
        if checked:
            check(self.ours.pcapng, parts)
        shutil.rmtree(self.ours.folder)
        out = kit.folder() / "merged.pcapng"
        theirs = mergecap(kit, parts, out)
        if checked:
            check(out, parts)
        shutil.rmtree(out.parent)
        self.wall, self.cpu, self.peak_mib = parts.packets / theirs.wall_s / 1e6, parts.packets / theirs.cpu_s / 1e6, theirs.peak_mib


def run(kit):
    packets = 5000 if kit.quick else PACKETS
    small, large = Parts(kit, packets // 10), Parts(kit, packets)
    with postgres(kit) as world_kit:
        tenth = [Assembled(world_kit, kit, small).peak_mib for _ in range(kit.runs)]
        rounds = [Round(world_kit, kit, large, i == 0) for i in range(kit.runs)]
    if len({r.ours.sha256 for r in rounds}) != 1:
        raise BenchError("the same parts gave different files")
    for parts in (small, large):
        shutil.rmtree(parts.chunks)
        shutil.rmtree(parts.files)
    unit, what = "M packets/s", "assembling %d parts of %d packets" % (len(large.hosts), packets)
    peaks = [r.ours.peak_mib for r in rounds]
    return [
        Row(what, unit, [r.ours.wall for r in rounds], "mergecap, wall clock", [r.wall for r in rounds], ">= 1.5", note=NOTE),
        Row("the same, per second of processor time", unit, [r.ours.cpu for r in rounds], "mergecap", [r.cpu for r in rounds]),
        Row("peak memory of assembling", "MiB", peaks, "parts of a tenth", tenth, "<= 1.1"),
        Row("the same", "MiB", peaks, "mergecap", [r.peak_mib for r in rounds]),
    ]
