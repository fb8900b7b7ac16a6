"""The cage of the running sampler, tried from within: a library that is preloaded does what somebody would who had taken the process over."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FAKE, REAL
from fake_api import check_accounted, check_whole, pcap
from test_process import status_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

import preload  # noqa: E402

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up"),
    pytest.mark.skipif(bool({"asan", "tsan"} & set(Path(FAKE).parts)), reason="a sanitizer's build has no cage"),
]

MIB = 1024 * 1024
NO_CAGE = re.compile("event=not-confined")


def limits_of(pid):
    """Soft and hard limits by name, from /proc/<pid>/limits."""
    found = re.findall(r"^(Max [\w ]+?)  +(\S+) +(\S+)", Path("/proc/%d/limits" % pid).read_text(), re.M)
    return {name[4:]: (soft, hard) for name, soft, hard in found}


def seen_by(sampler, what, seconds=10):
    """What the library said of what it tried, once it has tried all."""
    end = time.monotonic() + seconds
    while "violation: %s done:" % what not in sampler.log() and time.monotonic() < end:
        assert sampler.process.poll() is None, sampler.log()
        time.sleep(0.05)
    return dict(re.findall(r"^violation: (\w+ \S+): (\w+)$", sampler.log(), re.M))


def test_every_thread_is_caged(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")
    tasks = list(Path("/proc/%d/task" % sampler.process.pid).iterdir())
    assert len(tasks) >= 6
    for task in tasks:
        status = status_of(task / "status")
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", task.name
    limits = limits_of(sampler.process.pid)
    assert limits["core file size"] == ("0", "0")
    assert limits["open files"] == ("512", "512")
    memory = int(re.search(r"memory_max=(\d+)", sampler.log())[1])
    assert limits["data size"] == (str(memory),) * 2 and 200 * MIB < memory < 1000 * MIB
    assert not NO_CAGE.search(sampler.log())


@pytest.mark.parametrize("what", ["execve", "fork", "ptrace", "packet-socket", "signal", "executable"])
def test_a_forbidden_call_kills(api, make_sampler, what):
    """From within the process, while a job runs; the next process ends the part, and what had been kept is there."""
    sampler = make_sampler(fake_chunk_ms=50)
    extra = preload.violation(sampler.folder, what, 1500)
    sampler.start(**extra)
    job = api.post(pcap(), time_limit_s=20)
    api.wait_state(job, "running")
    assert sampler.process.wait(10) == -signal.SIGSYS, sampler.log()
    assert "violation:" not in sampler.log()
    for name in extra:
        del sampler.settings[name]
    sampler.start()
    assert api.wait_state(job, "failed")["reason"] == "sampler_restarted"
    assert job.numbers()[0] == list(range(len(job.numbers()[0])))


def test_a_real_sampler_dies_as_well(link, api, make_sampler):
    sampler = make_sampler(link.command(REAL))
    sampler.start(EDGECAP_INTERFACES="up0", **preload.violation(sampler.folder, "execve", 1500))
    assert sampler.process.wait(10) == -signal.SIGSYS
    assert "event=started" in sampler.log()


@pytest.mark.parametrize("landlock", [True, False], ids=["landlock", "mounts"])
def test_nothing_but_the_spool_can_be_written(api, make_sampler, landlock):
    """Folders that everybody may write are as shut as the others, and where everybody may read only a few are open. On a kernel without Landlock a
    mount namespace does that, but for the reading."""
    sampler = make_sampler()
    spool, outside, secret = (sampler.folder / name for name in ("spool", "outside", "secret"))
    for folder in (outside, secret):
        folder.mkdir()
        folder.chmod(0o777)
        (folder / "file").write_text("x")
        (folder / "file").chmod(0o666)
    paths = [outside / "file", secret / "file", "/etc/hostname", "/etc/shadow", "/root", "/proc/self/mem",
             "/dev/shm/file", "/dev/null", "/usr/bin/env", spool / "file"]  # fmt: skip
    extra = preload.violation(sampler.folder, "files", 1500, paths)
    if not landlock:
        old = preload.old_kernel(sampler.folder, "landlock")
        extra.update(old, LD_PRELOAD=extra["LD_PRELOAD"] + ":" + old["LD_PRELOAD"])
    sampler.start(**extra)
    time.sleep(0.5)
    (spool / "file").write_text("x")
    os.chown(spool / "file", 65534, 65534)
    seen = seen_by(sampler, "files")
    for path in paths[:-1]:
        for what in ("write", "truncate", "rename"):
            assert seen["%s %s" % (what, path)] != "ok", (what, path, seen)
        for what in ("create", "mkdir", "remove"):
            assert seen["%s %s.new" % (what, path)] != "ok", (what, path, seen)
        if landlock and str(path) != "/etc/hostname":  # name look-ups read in /etc what everybody may
            assert seen["read %s" % path] in ("EACCES", "ENOENT"), (path, seen)
    assert (outside / "file").read_text() == "x" and sorted(os.listdir(outside)) == ["file"]
    assert ("read-only mounts" in sampler.log()) != landlock
    if landlock:  # a mount namespace opens it by its descriptor alone
        for what in ("read", "write", "truncate", "rename"):
            assert seen["%s %s" % (what, spool / "file")] == "ok", seen
        for what in ("create", "mkdir", "remove", "rmdir"):
            assert seen["%s %s.new" % (what, spool / "file")] == "ok", seen
    assert seen["read /etc/hostname"] == "ok" and seen["read /etc/shadow"] == "EACCES"
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")
    check_whole(job)


def test_a_limit_that_is_too_low_stops_the_start(make_sampler):
    sampler = make_sampler().start(EDGECAP_MEMORY_MAX="16MiB")
    assert sampler.process.wait(10) == 1
    assert re.search(r"EDGECAP_MEMORY_MAX: it takes \d{8,9} bytes to start with these settings, not 16777216", sampler.log())


def test_without_memory_packets_are_dropped_and_counted(api, make_sampler):
    """Something within the process takes all that the limit leaves, for 3 s: it gets no more than that, the capture goes on, what needs memory is refused
    or tried again, and afterwards all is well."""
    sampler = make_sampler(fake_chunk_ms=20, fake_chunk_packets=400, fake_packet_bytes=1500)
    sampler.start(EDGECAP_MEMORY_MAX="300MiB", **preload.violation(sampler.folder, "memory", 2500, hold_ms=3000))
    jobs = [api.post(pcap(n), time_limit_s=8) for n in range(3)]
    for job in jobs:
        api.wait_state(job, "running")
    seen_by(sampler, "memory")
    got = int(re.search(r"violation: memory (\d+): ok", sampler.log())[1])
    assert 30 * MIB < got < 300 * MIB
    time.sleep(0.5)
    refused = api.post(pcap(50), time_limit_s=1)
    for job in jobs:
        api.wait_state(job, "done", seconds=60)
        check_accounted(job)
    assert sum(job.last["ledger"]["dropped_spool"] for job in jobs) > 0
    assert "memory given-back" in sampler.log()
    api.wait_state(refused, "done", "failed", seconds=20)
    later = api.post(pcap(99), time_limit_s=0.5)
    api.wait_state(later, "done")
    check_whole(later)
    assert sampler.terminate()[0] == 0


@pytest.mark.parametrize("lacks, said, off", [("landlock,mounts", "this kernel has no Landlock", "landlock"),
                                              ("seccomp", "seccomp filter", "seccomp")])  # fmt: skip
def test_a_kernel_without_a_cage(api, make_sampler, lacks, said, off):
    """Nobody is to rely on a cage that is not there: the start is refused, unless somebody wrote down that it is wanted."""
    sampler = make_sampler(fake_chunk_ms=50)
    sampler.start(**preload.old_kernel(sampler.folder, lacks))
    assert sampler.process.wait(10) == 1
    assert said in sampler.log() and "EDGECAP_UNCONFINED=yes" in sampler.log()
    sampler.start(EDGECAP_UNCONFINED="yes")
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")
    assert NO_CAGE.search(sampler.log()) and "%s=off" % off in sampler.log()
    status = status_of(Path("/proc/%d/status" % sampler.process.pid))
    assert status["Seccomp"] == ("0" if off == "seccomp" else "2")
    assert sampler.terminate()[0] == 0


def test_a_capture_file_is_read_within_the_cage(tmp_path):
    """--read: a fifo holds the program up after the file's head, so that it can be looked at; then all of it is read and written."""
    fifo, out, jobs = tmp_path / "fifo", tmp_path / "out", tmp_path / "jobs.json"
    os.mkfifo(fifo)
    out.mkdir()
    jobs.write_text('[{"unrestricted": true}]')
    words = [REAL, "--read", fifo, "--jobs", jobs, "--out", out]
    process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    frame = bytes(12) + b"\x08\x00" + bytes([0x45]) + bytes(45)
    with open(fifo, "r+b", buffering=0) as f:  # which does not wait for the reader
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        end = time.monotonic() + 10
        while status_of(Path("/proc/%d/status" % process.pid))["Seccomp"] != "2":
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.02)
        status = status_of(Path("/proc/%d/status" % process.pid))
        assert status["NoNewPrivs"] == "1"
        assert limits_of(process.pid)["core file size"] == ("0", "0")
        f.write(struct.pack("<IIII", 1700000000, 0, len(frame), len(frame)) + frame)
    said, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    result = json.loads(said)
    assert result["packets"] == 1
    assert Path(result["jobs"][0]["file"]).parent == out and len(list(out.iterdir())) == 1


def test_jobs_are_captured_within_the_cage(tmp_path):
    """--jobs without a service: its first line in the log is written when no file can be opened any more."""
    out, jobs, log = tmp_path / "out", tmp_path / "jobs.json", tmp_path / "log"
    out.mkdir()
    jobs.write_text('[{"unrestricted": true}]')
    env = {k: v for k, v in os.environ.items() if k != "TZ" and not k.startswith("EDGECAP_")}
    words = [REAL, "--jobs", jobs, "--out", out, "--interfaces", "lo"]
    with open(log, "w") as file:
        process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=file, text=True, env=env)
    end = time.monotonic() + 10
    while "event=armed" not in log.read_text():
        assert process.poll() is None and time.monotonic() < end, (process.returncode, log.read_text())
        time.sleep(0.02)
    assert status_of(Path("/proc/%d/status" % process.pid))["Seccomp"] == "2"
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, log.read_text()
    assert len(json.loads(said)["jobs"]) == 1
