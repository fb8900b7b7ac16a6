"""A sampler's token is replaced while it captures: no gap in the file, no part begun anew, and the old one is refused at last."""

import os
import shutil
import signal
import time

import pytest
from edgecap_lab import await_true
from numbered import numbers

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}


def replace(sampler, token):
    """Another token in the file that it reads, as a configuration management does."""
    new = sampler.token_file.with_suffix(".new")
    new.write_text(token + "\n")
    new.chmod(0o400)
    shutil.chown(new, "nobody")
    os.rename(new, sampler.token_file)


@pytest.mark.lab(edges=1)
@pytest.mark.parametrize("told", [True, False], ids=["SIGHUP", "refused"])
def test_a_token_is_replaced_under_a_running_capture(lab, told):
    """Told by SIGHUP, or by the service's refusal alone."""
    (sampler,) = lab.samplers
    tenant = lab.tenant()
    job = tenant.post(UDP, time_limit=60)
    tenant.await_running(job)
    source = lab.packets([{"edge": 1, "rate_per_s": 300}])
    time.sleep(1)
    pid, boot = sampler.pid, lab.sql("SELECT boot FROM pcap_parts WHERE pcap_id = '%s'" % job)
    replace(sampler, lab.admin("sampler", "token", "--name", "edge-1")["token"])
    if told:
        sampler.process.send_signal(signal.SIGHUP)
        await_true("it has the new one", 5, lambda: "event=token-changed" in sampler.log_text())
    time.sleep(1)
    lab.admin("sampler", "token", "--name", "edge-1", "--revoke-old")
    if not told:
        await_true("it was refused and looked", 15, lambda: "event=token-changed" in sampler.log_text())
        assert "event=api-refuses-token" in sampler.log_text()
    time.sleep(2)
    assert not told or "event=api-refuses-token" not in sampler.log_text(), "no message was refused"
    sent = source.stop()
    time.sleep(0.3)
    tenant.stop(job)
    seen = tenant.wait(job, 60, expect="success")
    assert seen["samplers"]["done"] == 1 and sampler.pid == pid and sampler.alive()
    assert lab.sql("SELECT boot FROM pcap_parts WHERE pcap_id = '%s'" % job) == boot
    assert numbers(tenant.download(job, "pcapng"))[0] == list(range(len(sent[0])))
    # a file that cannot be read changes nothing
    sampler.token_file.unlink()
    sampler.process.send_signal(signal.SIGHUP)
    await_true("it says so", 5, lambda: "event=token-kept" in sampler.log_text() and "cannot open" in sampler.log_text())
    job = tenant.post(UDP, time_limit=1)
    tenant.wait(job, 60, expect="success")
