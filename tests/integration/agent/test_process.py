"""The process: its privileges, its settings, its own connections."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from fake_api import FakeApi, check_whole, pcap


def status_of(path):
    return dict(re.findall(r"^(\w+):\t(.*)$", path.read_text(), re.M))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_privileges_are_gone_in_every_thread(api, make_sampler):
    sampler = make_sampler(fake_chunk_ms=50).start()
    job = api.post(pcap(), time_limit_s=0.5)
    api.wait_state(job, "done")  # by now the thread pool has threads, too
    tasks = list(Path("/proc/%d/task" % sampler.process.pid).iterdir())
    assert len(tasks) >= 3
    for task in tasks:
        status = status_of(task / "status")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, (task.name, name, status[name])
        assert status["NoNewPrivs"] == "1"
        assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
        assert status["Groups"].strip() == ""
    spool = sampler.spool.stat()
    assert spool.st_uid == 65534 and spool.st_mode & 0o77 == 0


@pytest.mark.parametrize("name, value, said", [
    ("EDGECAP_USER", "root", "EDGECAP_USER: must be an ordinary user"),
    ("EDGECAP_USER", "no-such-user", "EDGECAP_USER: no user no-such-user"),
    ("EDGECAP_SPOOL_DIR", "/nonexistent/spool", "EDGECAP_SPOOL_DIR: cannot make /nonexistent/spool"),
    ("EDGECAP_CA_FILE", "/nonexistent/ca.pem", "EDGECAP_CA_FILE: cannot open /nonexistent/ca.pem"),
    ("EDGECAP_INTERFACES", "x", "EDGECAP_INTERFACES: no such interface"),
    ("EDGECAP_EDGE_URL", "gopher://x", "EDGECAP_EDGE_URL must be"),
    ("EDGECAP_READ", "a.pcap", "EDGECAP_JOBS is required with EDGECAP_READ"),
    ("EDGECAP_SPOOL_BYTES", "lots", "EDGECAP_SPOOL_BYTES (--spool-bytes)"),
])
def test_a_wrong_setting_stops_the_start(api, make_sampler, name, value, said):
    sampler = make_sampler()
    sampler.start(**{name: value})
    assert sampler.process.wait(5) == 1
    assert said in sampler.log()
    assert api.up == []


def test_own_connections_are_told_to_the_engine_before_they_are_made(api, make_sampler):
    """Each connection that the API ever saw was excluded from capture by its exact ports."""
    sampler = make_sampler(fake_chunk_ms=50)
    flows = sampler.folder / "flows"
    sampler.fake["FAKE_FLOWS"] = str(flows)
    seen = []
    take = api.server.get_request

    def get_request():
        connection, peer = take()
        seen.append((peer[1], flows.read_text()))
        return connection, peer

    api.server.get_request = get_request
    sampler.start()
    jobs = [api.post(pcap(n), time_limit_s=1) for n in range(3)]
    for job in jobs:
        api.wait_state(job, "done")
    assert len(seen) >= 2
    for port, told in seen:
        assert "add 127.0.0.1 %d 127.0.0.1 %d\n" % (port, api.port) in told


@pytest.fixture
def certificate(tmp_path):
    """A certificate of its own for 127.0.0.1, with its key, and the certificate alone."""
    both, alone, key = tmp_path / "both.pem", tmp_path / "ca.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", alone], check=True, capture_output=True)
    both.write_text(key.read_text() + alone.read_text())
    return both, alone


def test_https_with_a_certificate_of_the_operators_own(api, make_sampler, certificate):
    """Chunks and sync over TLS; the file is read before root is given up, so nobody need be able to."""
    both, alone = certificate
    alone.chmod(0o600)
    with FakeApi(both) as tls:
        sampler = make_sampler(fake_chunk_ms=50)
        sampler.api = tls
        sampler.start(EDGECAP_CA_FILE=str(alone))
        job = tls.post(pcap(), time_limit_s=0.5)
        tls.wait_state(job, "done")
        check_whole(job)
        assert sampler.terminate()[0] == 0


def test_https_with_an_unknown_certificate_is_refused(api, make_sampler, certificate):
    with FakeApi(certificate[0]) as tls:
        sampler = make_sampler()
        sampler.api = tls
        sampler.start()
        time.sleep(1)
        assert tls.up == []
        assert re.search("event=api-away reason=.*certificate", sampler.log())
        assert sampler.terminate()[0] == 0
