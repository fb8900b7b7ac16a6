"""A sampler process, most times with the fake engine, and the API that it talks to."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from edge_link import Link
from fake_api import TOKEN, FakeApi

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import secret_check  # noqa: E402

secret_check.note("sampler token", TOKEN)

FAKE = os.environ.get("EDGECAP_SAMPLER_FAKE", "")
HANGING_DISK = os.environ.get("EDGECAP_SAMPLER_HANGING_DISK", "")
REAL = os.path.join(os.environ.get("EDGECAP_BIN_DIR", ""), "edgecap-sampler")


class Sampler:
    """A sampler with its spool; started and killed any number of times. command: what to run."""

    def __init__(self, api, folder, command, **fake):
        self.api = api
        self.command = command
        self.folder = Path(folder)
        self.spool = self.folder / "spool"
        self.fake = fake
        self.process = None
        self.settings = {}
        self.logs = []

    def start(self, **settings):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("EDGECAP_", "FAKE_"))}
        env.update(EDGECAP_EDGE_URL=self.api.url, EDGECAP_SAMPLER_TOKEN=TOKEN, EDGECAP_INTERFACES="fake0",
                   EDGECAP_SPOOL_DIR=str(self.spool), EDGECAP_HOST="edge-test", EDGECAP_PLAINTEXT="yes")
        self.settings.update(settings)
        env.update(self.settings)
        env.update({k: str(v) for k, v in self.fake.items()})
        log = self.folder / ("log-%d" % len(self.logs))
        self.logs.append(log)
        self.process = subprocess.Popen(self.command, env=env, stderr=open(log, "w"))
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, seconds=10):
        """SIGTERM; returns the exit status and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds), time.monotonic() - begin

    def log(self, run=-1):
        return self.logs[run].read_text()

    def spooled(self):
        """The chunk files in the spool."""
        return sorted(str(p.relative_to(self.spool)) for p in self.spool.glob("*/*.pcapng"))

    def parts(self):
        return sorted(p.name for p in self.spool.glob("*") if p.is_dir())

    def clean_up(self):
        if self.process and self.process.poll() is None:
            status, _ = self.terminate(15)
            assert status == 0, self.log()
        secret_check.check_logs(self.logs)


@pytest.fixture
def api():
    with FakeApi() as it:
        yield it


@pytest.fixture
def make_sampler(api, request):
    """Makes a sampler with the fake engine, whose FAKE_... settings are keyword arguments, or (command) with another."""
    folder = tempfile.mkdtemp(prefix="edgecap-test-")
    # The sampler becomes nobody: its spool's parents must be open to it only to pass.
    os.chmod(folder, 0o711)
    made = []

    def make(command=None, **fake):
        sampler = Sampler(api, folder, command or [FAKE], **{k.upper(): v for k, v in fake.items()})
        made.append(sampler)
        return sampler

    yield make
    api.sync_fault = api.put_fault = None
    failed = request.node.rep_call.failed if hasattr(request.node, "rep_call") else False
    try:
        for sampler in made:
            sampler.clean_up()
    finally:
        if failed:
            for sampler in made:
                for log in sampler.logs:
                    print("==", log, "\n" + log.read_text())
        for sampler in made:
            if sampler.process and sampler.process.poll() is None:
                sampler.kill()
        shutil.rmtree(folder)


@pytest.fixture
def link():
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    try:
        with Link() as it:
            yield it
    except subprocess.CalledProcessError as e:
        pytest.skip("no network namespaces here: %s" % e.stderr)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "rep_" + outcome.get_result().when, outcome.get_result())
