"""A host whose sampler is taken over: what it tries kills it, and the job goes on with the others."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import preload  # noqa: E402
from numbered import check_all, numbers  # noqa: E402

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}


@pytest.mark.lab(edges=3)
def test_a_taken_over_sampler_dies_and_the_job_succeeds(lab):
    """The kernel kills it while the job runs: its part is lost after the silence, the others' packets are all there."""
    if lab.sanitizer():
        pytest.skip("a sanitizer's build has no cage")
    tenant, taken = lab.tenant(), lab.samplers[1]
    taken.stop()
    taken.env.update(preload.violation(lab.dir, "execve", after_ms=4000))
    taken.start()
    lab.await_samplers(3)
    job = tenant.post(UDP, time_limit=8)
    tenant.await_running(job, hosts=3)
    sent = lab.packets([{"edge": i, "rate_per_s": 50, "count": 100} for i in (1, 3)]).finish()
    assert taken.process.wait(15) == -signal.SIGSYS, taken.log_text()
    seen = tenant.wait(job, 60, expect="success")
    assert seen["samplers"]["done"] == 2 and seen["samplers"]["lost"] == 1, seen
    check_all(numbers(tenant.download(job, "pcapng")), sent)
    for name in ("LD_PRELOAD", "VIOLATION"):
        del taken.env[name]
    taken.start()
