"""What an API process has given up once it listens."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from api_rig import BIN, Account, Api, body
from contract import result

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
SANITIZED = bool({"asan", "tsan"} & set(BIN.parts))
EMPTY = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@pytest.fixture
def folder():
    """One that another user may enter."""
    made = Path(tempfile.mkdtemp(prefix="edgecap-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def free_low_port():
    for port in range(900, 1024):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port below 1024 is free")


def check_given_up(pid, uid):
    for task in Path("/proc/%d/task" % pid).iterdir():
        status = dict(re.findall(r"^(\w+):\t(.*)$", (task / "status").read_text(), re.M))
        for name in EMPTY:
            assert int(status[name], 16) == 0, (task.name, name, status[name])
        assert status["NoNewPrivs"] == "1" and status["Uid"].split() == [str(uid)] * 4, status
        assert SANITIZED or status["Seccomp"] == "2"
    limits = Path("/proc/%d/limits" % pid).read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
    if not SANITIZED:  # what is not dumpable belongs to root, whoever runs it
        assert os.stat("/proc/%d/mem" % pid).st_uid == 0


def test_root_without_another_user_has_no_powers(db, folder):
    with Api(db, folder) as api:
        check_given_up(api.process.pid, 0)
        assert re.search("level=warn .*event=privileges-dropped uid=0 .*EDGECAP_USER", api.log())


def test_root_becomes_another_user(db, folder):
    """With a port that only root can have, and files that are the user's."""
    (folder / "store").mkdir()
    os.chown(folder / "store", 65534, 65534)
    account = Account(db)
    with Api(db, folder, EDGECAP_USER="nobody", EDGECAP_LISTEN="127.0.0.1:%d" % free_low_port()) as api:
        result(api.call("POST", account.path(), account, json=body()))
        check_given_up(api.process.pid, 65534)
        assert api.call("GET", "/readyz").json()["result"] == {"database": "ok", "storage": "ok"}


def test_a_user_that_does_not_exist(db, folder):
    env = {**os.environ, "EDGECAP_LISTEN": "127.0.0.1:0", "EDGECAP_DATABASE_URL": db.api_url,
           "EDGECAP_STORAGE": "file://%s/store" % folder, "EDGECAP_USER": "no-such-user"}  # fmt: skip
    done = subprocess.run([str(BIN / "edgecap-api")], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "EDGECAP_USER: no user no-such-user" in done.stderr


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build makes calls of its own")
def test_a_forbidden_call_kills(db, folder):
    """Tried from within, by a library that is preloaded."""
    import preload

    extra = preload.violation(folder, "execve", 2000)
    api = Api(db, folder, **extra)
    assert api.process.wait(20) == -signal.SIGSYS, api.log()
