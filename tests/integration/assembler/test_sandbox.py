"""What an assembler has given up when it works."""

import os
import re
from pathlib import Path

import kit
import pytest
from chunks import BEGIN_NS, chunk, packet
from kit import Host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
SANITIZED = bool({"asan", "tsan"} & set(kit.BIN.parts))


@pytest.mark.parametrize("user, uid", [(None, 0), ("nobody", 65534)])
def test_nothing_is_left_in_any_thread(world, user, uid):
    host = Host("ord-a")
    host.add(chunk([(BEGIN_NS + i, packet(i)) for i in range(20)]), 20)
    job = world.job([host])
    if user:
        world.dir.chmod(0o711)
        for path in [world.store, *world.store.rglob("*")]:
            os.chown(path, uid, uid)
    assembler = world.assembler(**({"USER": user} if user else {}))
    assert job.await_stage("done")["packets_in_file"] == 20
    tasks = list(Path("/proc/%d/task" % assembler.process.pid).iterdir())
    assert len(tasks) >= 3
    for task in tasks:
        status = dict(re.findall(r"^(\w+):\t(.*)$", (task / "status").read_text(), re.M))
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, (task.name, name, status[name])
        assert status["NoNewPrivs"] == "1" and status["Uid"].split() == [str(uid)] * 4
        assert SANITIZED or status["Seccomp"] == "2"
    assert assembler.stop() == 0
