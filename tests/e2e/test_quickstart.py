"""deploy/quickstart as a user runs it, in clones of its own: run, up, down, status, Ctrl-C, kill -9, no namespaces."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from edgecap_client import job_body, request
from edgecap_lab import TOP, await_true

ENV_NAMES = {
    "EDGECAP_URL", "EDGECAP_ACCOUNT", "EDGECAP_TOKEN", "EDGECAP_EMAIL", "EDGECAP_KEY",
    "EDGECAP_LAB_ACCOUNT", "EDGECAP_LAB_TOKEN", "EDGECAP_DATABASE_URL",
}  # fmt: skip
SECOND_TIME_S = 30
pytestmark = pytest.mark.skipif(
    "build/dev/" not in os.environ.get("EDGECAP_BIN_DIR", "build/dev/") + "/",
    reason="quickstart builds a release of its own: once is enough",
)


class Clone:
    """A copy of the project's files, with its own .run and build."""

    def __init__(self, folder):
        self.dir = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=TOP, capture_output=True, check=True,
        ).stdout  # fmt: skip
        for name in listed.decode().split("\0"):
            if name and (TOP / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / name, folder / name)
        # The compiler's cache is to see the same files although their folder has another name.
        self.env = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}

    def start(self, *words, prefix=()):
        return subprocess.Popen(
            [*prefix, str(self.dir / "deploy/quickstart"), *words],
            env=self.env, cwd="/", text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *words, prefix=(), status=0):
        process = self.start(*words, prefix=prefix)
        out, _ = process.communicate(timeout=300)
        assert process.returncode == status, out
        return out

    def variables(self):
        text = (self.dir / ".run/env").read_text()
        assert (self.dir / ".run/env").stat().st_mode & 0o077 == 0
        return dict(re.findall(r"^(\w+)='([^']*)'$", text, re.M))

    def owned(self):
        """Processes and namespaces that are this clone's."""
        run, found = str(self.dir), []
        state = os.path.realpath(self.dir / ".run")
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                seen = [os.readlink(proc / "cwd"), os.readlink(proc / "exe"), (proc / "cmdline").read_text()]
                seen.append((proc / "environ").read_text(errors="replace"))
            except OSError:
                continue
            texts = [text for text in seen if re.search("(%s|%s)(/|$)" % (re.escape(run), re.escape(state)), text)]
            if texts and int(proc.name) != os.getpid():
                found.append("%s: %s" % (proc.name, texts[0][:200]))
        for claim in Path("/run/edgecap/slot").glob("[0-9]*"):
            if claim.read_text().strip() == state:
                found.append("slot " + claim.name)
        return found

    def assert_nothing_left(self, out=""):
        assert self.owned() == [], out
        assert not (self.dir / ".run").exists() or not list((self.dir / ".run").glob("[!l]*")), out
        for slot in re.findall(r"namespaces ec(\d+)-", out):
            claim = Path("/run/edgecap/slot/" + slot)
            if not claim.exists():  # otherwise somebody else has it by now
                assert not list(Path("/run/netns").glob("ec%s-*" % slot)), out
                assert not Path("/sys/class/net/ec" + slot).exists(), out
        mounts = Path("/proc/self/mounts").read_text()
        assert str(self.dir) not in mounts, out


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    made = Clone(tmp_path_factory.mktemp("clone"))
    yield made
    made.run("down")


def check_demo(out, filter_words):
    """A run's output: each command of a tenant with its answer, and the figures."""
    shown = re.findall(r"^\$ (.*)$", out, re.M)
    assert len([s for s in shown if s.startswith("curl")]) == 4, out
    assert any("-X POST" in s and '"packet_limit": 10000' in s and filter_words in s for s in shown), out
    assert any("tcpdump" in s for s in shown), out
    assert '"status": "success"' in out and '"packets_captured": 10000' in out, out
    assert re.search(r"wc -l .*\n0\n", out), out
    assert re.search(r"^10000 packets in [\d.]+ s from ", out, re.M), out


def test_run_twice(clone):
    """The whole demonstration; the second time in less than 30 s; nothing is left."""
    out = clone.run()
    check_demo(out, '"source_address": "1.2.3.4"')
    for host in ("edge-1", "edge-2", "edge-3"):
        assert re.search(r"^%s\S* +[1-9]\d* .* 0\.000 %%$" % host, out, re.M), out
    clone.assert_nothing_left(out)
    start = time.monotonic()
    out = clone.run("run")
    assert time.monotonic() - start < SECOND_TIME_S
    assert "did not end" not in out, "something had to be killed: " + out
    clone.assert_nothing_left()


def test_up_beside_another_clone(clone, tmp_path):
    """Two clones are up at once; each answers with its own credentials; down stops only its own."""
    other = Clone(tmp_path / "clone")
    try:
        starts = [one.start("up") for one in (clone, other)]
        for start in starts:
            out, _ = start.communicate(timeout=300)
            assert start.returncode == 0, out
        for one in (clone, other):
            check_up(one)
        assert "already" in clone.run("up")
        refused = clone.run("up", "--s3", status=1)  # it has a directory: says so, and leaves it alone
        assert "up without S3" in refused and "quickstart down, then" in refused, refused
        other.run("down")
        other.run("status", status=1)
        other.assert_nothing_left()
        check_up(clone)
        clone.run("down")
        clone.assert_nothing_left()
        clone.run("down")  # again: nothing to do
    finally:
        other.run("down")


def check_up(clone):
    """A job of the second account, right after each other: it has no collect interval. Returns where it is, and how to ask."""
    clone.run("status")
    variables = clone.variables()
    assert set(variables) >= ENV_NAMES and variables["EDGECAP_URL"].endswith("/client/v4")
    url = "%s/accounts/%s/pcaps" % (variables["EDGECAP_URL"], variables["EDGECAP_LAB_ACCOUNT"])
    headers = {"Authorization": "Bearer " + variables["EDGECAP_LAB_TOKEN"]}
    jobs = [
        request("POST", url, json=job_body({"protocol": 17}, time_limit=1), headers=headers, timeout=10)
        for _ in range(2)
    ]
    assert [job.status_code for job in jobs] == [200, 200], jobs[1].text
    key = {"X-Auth-Email": variables["EDGECAP_EMAIL"], "X-Auth-Key": variables["EDGECAP_KEY"]}
    mine = "%s/accounts/%s/pcaps" % (variables["EDGECAP_URL"], variables["EDGECAP_ACCOUNT"])
    assert request("GET", mine, headers=key, timeout=10).status_code == 200
    path = "%s/%s" % (url, jobs[0].json()["result"]["id"])

    def ended():
        job = request("GET", path, headers=headers, timeout=10).json()["result"]
        return job if job["status"] != "pending" else None

    job = await_true("the job ends", 30, ended)
    assert job["status"] == "success" and job["packets_captured"] > 0, job
    assert job["samplers"]["done"] == 3, job
    return path, headers


def test_up_on_s3(clone, tmp_path):
    """With --s3 chunks and files are objects of a real S3 server, and nothing of it is left."""
    try:
        out = clone.run("--s3", "up")
        path, headers = check_up(clone)
        assert "already, on S3" in clone.run("up", "--s3")
        assert set(clone.variables()) == ENV_NAMES | {"EDGECAP_DESTINATION"}
        check_full(clone.run("run"))
        job = request("GET", path, headers=headers, timeout=10).json()["result"]
        check_objects(clone, job)
        check_pcap(request("GET", path + "/download", headers=headers, timeout=30), tmp_path / "got.pcap", job)
    finally:
        ended = clone.run("down")
    assert "did not end" not in ended, ended
    clone.assert_nothing_left(out)
    assert not os.path.lexists(clone.dir / ".run")


def check_full(out):
    """The demonstration's second half: a bucket is proved, and has the whole packets of a metro afterwards."""
    shown = out.partition("a full capture")[2]
    assert len(re.findall(r"^\$ curl .*/ownership", shown, re.M)) == 2 and '"colo_name": "ORD"' in shown, out
    captured = int(re.search(r'"status": "success",\n.*\n  "packets_captured": (\d+)', shown)[1])
    manifest = json.loads(re.search(r'^\{"name":"pcap_.*\}$', shown, re.M)[0])
    assert manifest["packets"] == captured > 0 and "length 1200" in shown, out
    hosts = [json.loads(line) for line in re.findall(r'^\{"name":"edge-.*\}$', shown, re.M)]
    assert [host["colo"] for host in hosts] == ["ord01", "ord02"] and sum(host["packets"] for host in hosts) == captured


def check_pcap(answer, file, job):
    """A download is a pcap with as many packets as the job says."""
    assert answer.status_code == 200, answer.text
    file.write_bytes(answer.content)
    read = subprocess.run(["tcpdump", "-n", "-r", file], capture_output=True, text=True, check=True)
    assert len(read.stdout.splitlines()) == job["packets_captured"] > 0


def check_objects(clone, job):
    """A job's chunks and files are in the bucket and not in a directory; the bucket's key is in no log."""
    state, account = clone.dir / ".run", clone.variables()["EDGECAP_LAB_ACCOUNT"]
    rgw = [clone.dir / "deploy/lab/rgw", "admin", state / "s3"]
    listed = subprocess.run([*rgw, "bucket", "list", "--bucket=edgecap", "--max-entries=1000"], capture_output=True, check=True)
    keys = [entry["name"] for entry in json.loads(listed.stdout)]
    for form in ("pcap", "pcapng"):
        assert "pcaps/%s/%s/capture.%s" % (account, job["id"], form) in keys, keys
    assert len([key for key in keys if key.startswith("chunks/%s/%s/" % (account, job["id"]))]) >= 3, keys
    assert not (state / "store").exists()
    secret = (state / "secret/s3-secret-key").read_text().strip()
    assert not [log for log in (state / "log").iterdir() if secret in log.read_text(errors="replace")]


def test_ctrl_c_at_random_moments(clone, rng):
    """As a terminal sends it, to the group, or to quickstart alone: nothing is left. Half of them on S3."""
    for number in range(8):
        process = clone.start("run", *["--s3"] * (number // 2 % 2))
        time.sleep(rng.uniform(0, 14))
        if number % 2:
            process.send_signal(signal.SIGINT)
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode in (130, 0), out
        clone.assert_nothing_left(out)


def test_killed_at_random_moments(clone, rng):
    """kill -9 of quickstart leaves things running; down removes all of them."""
    for number in range(4):
        process = clone.start("up", *["--s3"] * (number % 2))
        time.sleep(rng.uniform(0.2, 8))
        process.kill()
        process.wait()
        clone.run("down")
        await_true("nothing is left", 20, lambda: clone.owned() == [])


def test_ctrl_c_although_started_in_the_background(clone):
    """A script's `quickstart &` has SIGINT ignored; it must end all the same."""
    script = '"$0" run & sleep 4; kill -INT $!; wait $!; echo "ended $?"'
    done = subprocess.run(
        ["bash", "-c", script, str(clone.dir / "deploy/quickstart")],
        env=clone.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "ended 130" in done.stdout, done.stdout + done.stderr
    clone.assert_nothing_left(done.stdout)


def test_without_namespaces(clone):
    """Where namespaces are not permitted it says so, and samples on lo."""
    out = clone.run(prefix=("setpriv", "--bounding-set=-sys_admin,-net_admin"))
    assert "not permitted" in out and "lo" in out
    check_demo(out, '"source_address": "127.1.2.3"')
    clone.assert_nothing_left(out)


def test_mounts_are_undone(clone):
    """With a /run/netns that is a plain folder, as a container may have it: what ip mounts there is taken away again."""
    script = (
        "! mountpoint -q /run/netns || umount -l /run/netns; mount -t tmpfs none /run && mkdir /run/netns && \"$0\" up && grep /run/netns /proc/self/mounts && \"$0\" down;"
        "echo status $?; ! grep /run/netns /proc/self/mounts"
    )
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, str(clone.dir / "deploy/quickstart")],
        env=clone.env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "status 0" in done.stdout and done.returncode == 0, done.stdout + done.stderr
    clone.assert_nothing_left(done.stdout)


def test_usage(clone):
    """A wrong word is refused with the usage."""
    assert "usage:" in clone.run("nonsense", status=2)
    assert "usage:" in clone.run("--help")
