"""All programs in the cages of deploy/systemd's units (tests/support/under_unit.py), behind nginx: a whole job, and what the cages hold."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from edgecap_lab import TOP
from front import FrontLab

USER = 65534
UNITS = {"api": "edgecap-api@.service", "assembler": "edgecap-assembler.service", "sampler": "edgecap-sampler.service"}


class UnitLab(FrontLab):
    """The programs are nobody's, begin with what their units leave them, and may write to their own folders only."""

    def _wrapper(self, kind):
        folders = {"api": ("front", "store"), "assembler": ("store",), "sampler": ("spool",)}[kind]
        # what LoadCredential and tmpfiles.d do
        for path in [*self.dir.glob("token-*"), self.dir / "signing", *(self.dir / "certificates").glob("samplers-*.key"),
                     *(self.dir / f for f in folders)]:  # fmt: skip
            subprocess.run(["chown", "-h", str(USER), str(path)], check=True)
        words = ["/usr/bin/python3", "-B", TOP / "tests/support/under_unit.py", TOP / "deploy/systemd" / UNITS[kind]]
        for folder in folders:
            words += ["--write", self.dir / folder]
        return [*words, "--"]

    def _sampler_identity(self, name):
        settings = super()._sampler_identity(name)
        subprocess.run(["chown", str(USER), settings["EDGECAP_CLIENT_KEY"]], check=True)
        return settings


@pytest.fixture(scope="module")
def lab():
    with UnitLab(edges=1, apis=2) as running:
        yield running


def status(program):
    lines = Path("/proc/%d/status" % program.pid).read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_a_job_from_end_to_end(lab):
    tenant = lab.tenant()
    job = tenant.post({"protocol": 17}, time_limit=60, packet_limit=100)
    tenant.await_running(job)
    source = lab.packets([{"edge": 1, "rate_per_s": 200, "count": 200}])
    assert tenant.wait(job, 60, expect="success")["packets_captured"] == 100
    source.finish()
    assert tenant.download(job).stat().st_size > 24 + 100 * 16


def test_the_programs_are_caged(lab):
    """No capability is left to any, the sampler's two included."""
    for program in (*lab.apis, *lab.assemblers, *lab.samplers):
        seen = status(program)
        assert seen["Uid"].split() == [str(USER)] * 4, program.name
        assert seen["NoNewPrivs"] == "1" and seen["Seccomp"] == "2", program.name
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(seen[name], 16) == 0, (program.name, name)
    dropped = [line for line in lab.samplers[0].log_text().splitlines() if "event=privileges-dropped" in line]
    assert len(dropped) == 1 and "bounding_set=empty" in dropped[0]


def test_nobody_had_to_do_without(lab):
    """No log tells of something that was refused."""
    for program in (*lab.apis, *lab.assemblers, *lab.samplers):
        found = re.search(r"(?i)operation not permitted|read-only file system|permission denied|address family", program.log_text())
        assert not found, "%s: %s" % (program.name, found and found[0])


PROBE = """
import json, mmap, os, socket
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return error.strerror
print(json.dumps({
    "write": tried(lambda: open("/etc/edgecap-probe", "w")),
    "packet": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "bluetooth": tried(lambda: socket.socket(31, socket.SOCK_RAW)),
    "inet": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
    "executable": tried(lambda: mmap.mmap(-1, 4096, prot=7)),
    "setuid": tried(lambda: os.setuid(0)),
    "setuid file": tried(lambda: os.open("%s/probe", os.O_CREAT | os.O_WRONLY, 0o4755)),
    "own folder": tried(lambda: os.open("%s/probe", os.O_CREAT | os.O_WRONLY, 0o755)),
    "chroot": tried(lambda: os.chroot("/")),
    "affinity": tried(lambda: os.sched_setaffinity(0, {0})),
    "init": tried(lambda: os.stat("/proc/1/status")),
    "mode": None,
}))
"""


@pytest.fixture
def open_folder():
    """A folder that anybody may reach and write to, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="edgecap-test-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.mark.parametrize("kind", UNITS)
def test_the_cage_is_there(open_folder, kind):
    """What under_unit.py says it builds: without this, the tests above would show nothing."""
    own = open_folder
    command = ["/usr/bin/python3", "-B", TOP / "tests/support/under_unit.py", TOP / "deploy/systemd" / UNITS[kind],
               "--write", own, "--", "/usr/bin/python3", "-c", PROBE % (own, own)]  # fmt: skip
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    sampler = kind == "sampler"
    assert seen["write"] == "Read-only file system"
    assert seen["packet"] == ("done" if sampler else "Address family not supported by protocol")
    assert seen["bluetooth"] == "Address family not supported by protocol" and seen["inet"] == "done"
    for refused in ("executable", "setuid", "setuid file", "chroot", "affinity"):
        assert seen[refused] == "Operation not permitted", refused
    assert seen["own folder"] == "done" and oct((own / "probe").stat().st_mode)[-3:] == "700"
    assert seen["init"] == "No such file or directory"
