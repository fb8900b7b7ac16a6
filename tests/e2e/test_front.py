"""The front: real nginx, TLS, HTTP/2 and client certificates, and a job that goes through it from end to end."""

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edgecap_client import job_body
from edgecap_lab import TOP, await_true
from front import FrontLab, nginx_argv, read_answers, settings_text
from pcap_read import read_pcap
from ports import lease

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration/api"))
from api_rig import finished_job  # noqa: E402

CLIENT = "127.0.0.77"  # an address of ours that is not the proxy's


@pytest.fixture(scope="module")
def lab():
    with FrontLab(edges=1, apis=2) as running:
        yield running


def bearer(token):
    return ("-H", "Authorization: Bearer " + token)


def error(answer):
    """Status and code of a failure in the API's envelope."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json", answer
    assert len(headers["x-request-id"]) == 32, answer
    envelope = json.loads(body)
    assert set(envelope) == {"result", "success", "errors", "messages"} and envelope["success"] is False
    return status, envelope["errors"][0]["code"]


class Http2Tenant:
    """A tenant's calls, each a curl of its own over HTTP/2 from CLIENT."""

    def __init__(self, lab, *words):
        self.lab, self.account, self.words = lab, lab.account(), words
        self.path = "/client/v4/accounts/%s/pcaps" % self.account["id"]

    def call(self, tail="", *words, **options):
        return self.lab.curl(self.path + tail, "--interface", CLIENT, *bearer(self.account["token"]), *self.words,
                             *words, **options)  # fmt: skip

    def result(self, *arguments, **options):
        status, _, body = self.call(*arguments, **options)
        assert status == 200, body
        return json.loads(body)["result"]

    def finished_job(self):
        """A job with exactly the packets that were sent to it; (id, its file)."""
        job = self.result(data=json.dumps(job_body({"protocol": 17}, 60, 200)).encode())["id"]
        tenant = self.lab.clients[0].tenant(self.account, self.lab)
        tenant.await_running(job)
        source = self.lab.packets([{"edge": 1, "rate_per_s": 200, "count": 200}])
        seen = await_true("it has ended", 60, lambda: (j := self.result("/" + job))["status"] != "pending" and j, 0.2)
        source.finish()
        assert seen["status"] == "success" and seen["packets_captured"] == 200, seen
        status, headers, body = self.call("/%s/download" % job)
        assert status == 200 and int(headers["content-length"]) == len(body) == seen["bytes"]
        return job, body


@pytest.fixture(scope="module")
def done(lab):
    """A tenant, its finished job and the file, all over HTTP/2."""
    tenant = Http2Tenant(lab)
    return tenant, *tenant.finished_job()


def test_a_job_from_end_to_end(lab, done):
    """Sampler with a client certificate, tenant over HTTP/2: the file is the one in the store, whole, and of the packets sent."""
    tenant, job, body = done
    stored = [p.read_bytes() for p in (lab.dir / "store").rglob("*") if p.is_file() and job in str(p) and p.suffix == ".pcap"]
    assert stored == [body]
    path = lab.dir / "front.pcap"
    path.write_bytes(body)
    packets, _ = read_pcap(path)
    assert len(packets) == 200
    edge = [line for line in lab.access() if line["path"].startswith("/edge/")]
    assert {line["certificate"] for line in edge} == {"SUCCESS"} and {line["tls"] for line in edge} == {"TLSv1.3"}
    assert any(line["method"] == "PUT" and line["status"] == 200 for line in edge), "chunks came through the front"
    assert any("event=privileges-dropped" in line and "seccomp=on" in line for line in lab.samplers[0].log_text().splitlines()) \
        or lab.sanitizer()  # fmt: skip


def test_a_sync_is_held_for_ten_seconds(lab):
    """The long poll of an idle sampler."""
    def held():
        return [s for s in lab.access() if s["path"] == "/edge/v1/sync" and s["status"] == 200 and s["took_s"] > 9]

    await_true("a sync was held", 40, held, 0.5)
    assert all(line["took_s"] < 12 for line in held())


@pytest.mark.parametrize("protocol", ["--http2", "--http1.1"])
def test_forged_addresses_are_overwritten(lab, protocol):
    """However a client writes them, audit row and logs have where it comes from."""
    forged = ("X-Real-IP: 198.51.100.1", "x-real-ip: 198.51.100.1", "X_Real_IP: 198.51.100.1", "X-Forwarded-For: 198.51.100.1",
              "Forwarded: for=198.51.100.1", "X-Request-Id: " + "f" * 32, "Client-IP: 198.51.100.1")  # fmt: skip
    tenant = Http2Tenant(lab, *(w for header in forged for w in ("-H", header)))
    status, headers, body = tenant.call(data=json.dumps(job_body(time_limit=1)).encode(), protocol=protocol)
    assert status == 200, body
    assert headers["x-request-id"] != "f" * 32
    rows = lab.sql_json("SELECT source FROM audit_events WHERE account_id = '%s' AND actor NOT LIKE 'operator:%%'" % tenant.account["id"])
    assert rows and {row["source"] for row in rows} == {CLIENT}
    assert lab.access_of(headers)["peer"] == CLIENT
    logged = await_true("it is logged", 10, lambda: [
        line for api in lab.apis for line in api.log_text().splitlines()
        if headers["x-request-id"] in line and "event=request" in line
    ])  # fmt: skip
    assert len(logged) == 1 and "peer=%s " % CLIENT in logged[0]


# --- TLS


@pytest.mark.parametrize("words", [("-tls1",), ("-tls1_1",), ("-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384"),
                                   ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256")])  # fmt: skip
def test_old_tls_is_refused(lab, words):
    for host, port in (lab.tenants, lab.edge):
        done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % (host, port), *words[:1], *words[1:]] +
                              ([] if "-cipher" in words else ["-cipher", "ALL:@SECLEVEL=0"]),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode != 0 and "alert" in done.stderr, done.stderr


@pytest.mark.parametrize("words, version", [(("--tlsv1.2", "--tls-max", "1.2"), "TLSv1.2"), (("--tlsv1.3",), "TLSv1.3")])
def test_new_tls_is_spoken(lab, words, version):
    status, headers, _ = lab.curl("/healthz", *words)
    assert status == 200 and headers["strict-transport-security"].startswith("max-age=")
    assert "1.22" not in headers["server"]
    assert lab.access_of(headers)["tls"] == version


def test_plain_http_is_refused(lab):
    for host, port in (lab.tenants, lab.edge):
        done = subprocess.run(["curl", "-sS", "-i", "http://%s:%d/healthz" % (host, port)], capture_output=True, check=True)
        assert done.stdout.startswith(b"HTTP/1.1 400 ") and b'"code":6003' in done.stdout


# --- client certificates


def sync(lab, token, identity=None, *words):
    interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
    message = {"version": 1, "boot": secrets.token_hex(16), "seq": 1, "clock_us": time.time_ns() // 1000, "software": "s",
               "host": "h", "interfaces": [interface], "parts": []}  # fmt: skip
    return lab.curl("/edge/v1/sync", *bearer(token), *words, listener="edge", identity=identity, protocol="--http1.1",
                    data=json.dumps(message).encode())  # fmt: skip


@pytest.fixture(scope="module")
def sampler(lab):
    """A sampler that is only a token."""
    made = lab.admin("sampler", "create", "--name", "edge-x", "--colo", "ams01")
    return made["token"]


def test_a_certificate_of_the_samplers_own_is_needed(lab, sampler):
    sign = lab.samplers_ca.sign
    assert error(sync(lab, sampler)) == (401, 10000)
    assert error(sync(lab, sampler, lab.other_ca.sign("x", "/CN=edge-x"))) == (401, 10000)
    assert error(sync(lab, sampler, sign("old", "/CN=edge-x", days=-1))) == (401, 10000)
    for i, subject in enumerate(("/CN=edge-1", "/CN=edge-xx", "/O=edge-x", "/CN=edge-x/CN=edge-x", "/O=a,CN=edge-x",
                                 "/CN=edge-1/O=b\\,CN=edge-x")):  # fmt: skip
        assert error(sync(lab, sampler, sign("wrong-%d" % i, subject))) == (403, 10001), subject
    logged = "".join(api.log_text() for api in lab.apis)
    assert "event=client-certificate-refused" in logged and "certificate=edge-xx" in logged
    assert lab.sql("SELECT last_seen FROM samplers WHERE name = 'edge-x'") == ""
    assert sync(lab, sampler, sign("right", "/O=edge/CN=edge-x"))[0] == 200


def test_a_certificate_cannot_be_written_into_a_header(lab, sampler):
    other = lab.samplers_ca.sign("other", "/CN=edge-1")
    for name in ("X-Client-Cert-Subject", "x_client_cert_subject", "X-Client-Cert-Verify", "SSL-Client-S-DN"):
        forged = ("-H", name + ": " + ("SUCCESS" if "erify" in name else "CN=edge-x"))
        assert error(sync(lab, sampler, other, *forged)) == (403, 10001)
        assert error(sync(lab, sampler, None, *forged)) == (401, 10000)


def test_an_optional_certificate():
    """Without one a sampler gets in, with another's it does not, and nobody can claim one."""
    with FrontLab(edges=0, client_cert="optional") as lab:
        token = lab.admin("sampler", "create", "--name", "edge-x", "--colo", "ams01")["token"]
        right, wrong = (lab.samplers_ca.sign(name, "/CN=" + name) for name in ("edge-x", "edge-1"))
        assert sync(lab, token)[0] == 200
        assert sync(lab, token, right)[0] == 200
        assert error(sync(lab, token, wrong)) == (403, 10001)
        assert error(sync(lab, token, lab.other_ca.sign("x", "/CN=edge-x"))) == (401, 10000)
        claims = ("-H", "X-Client-Cert-Verify: FAILED", "-H", "X-Client-Cert-Subject: CN=edge-1")
        assert sync(lab, token, None, *claims)[0] == 200


def test_a_sampler_without_the_right_certificate_says_so(lab):
    """Its log names it, it goes on trying, and works again with the right one."""
    program = lab.samplers[0]
    right = dict(program.env)
    pem, key = lab.samplers_ca.sign("swapped", "/CN=edge-7")
    program.stop()
    program.env = {**right, "EDGECAP_CLIENT_CERT": str(pem), "EDGECAP_CLIENT_KEY": str(key)}
    program.start()
    await_true("it is refused", 20, lambda: "HTTP status 403" in program.log_text())
    program.stop()
    program.env = right
    program.start()
    lab.await_samplers(1)


# --- what else must pass, and what must not


def test_downloads_keep_their_features(lab, done):
    tenant, job, body = done
    tail = "/%s/download" % job
    for protocol in ("--http2", "--http1.1"):
        status, headers, got = tenant.call(tail, protocol=protocol)
        assert status == 200 and got == body and "gzip" not in headers.get("content-encoding", "")
        etag = headers["etag"]
        assert etag.strip('"') and not etag.startswith("W/")
        status, headers, got = tenant.call(tail, "-H", "Range: bytes=100-199", protocol=protocol)
        assert status == 206 and got == body[100:200] and headers["content-range"] == "bytes 100-199/%d" % len(body)
        status, headers, got = tenant.call(tail, "-H", "Range: bytes=%d-" % len(body), protocol=protocol)
        assert error((status, headers, got)) == (416, 1416)
        assert tenant.call(tail, "-H", "If-None-Match: " + etag, protocol=protocol)[0] == 304
        status, headers, got = tenant.call(tail, "--head", protocol=protocol)
        assert status == 200 and got == b"" and headers["content-length"] == str(len(body)) and headers["etag"] == etag
        status, headers, got = tenant.call(tail, "--compressed", protocol=protocol)
        assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest() and headers["etag"] == etag


def test_expect_is_answered(lab):
    tenant = Http2Tenant(lab)
    data = json.dumps(job_body(time_limit=1)).encode()
    status, _, _ = tenant.call("", "-H", "Expect: 100-continue", data=data, protocol="--http1.1")
    assert status == 200


def test_metrics_are_not_reachable(lab):
    identity = lab.samplers_ca.sign("metrics", "/CN=edge-1")
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/healthz/../metrics", "/_front/413", "/edge/v1/sync"):
        assert error(lab.curl(path)) == (404, 7003), path
    for path in ("/metrics", "/%6detrics", "/client/v4/accounts/%s/pcaps" % ("0" * 32)):
        assert error(lab.curl(path, listener="edge", identity=identity)) == (404, 7003), path


def large_job(lab, account, data):
    """A finished job with this file in the store, as large as no capture becomes; its id."""
    class Rig:
        db, store = lab, lab.dir / "store"

    class Owner:
        id = account["id"]

    job = finished_job(Rig, Owner, data)
    lab.checked.add(job)
    return job


def test_a_slow_reader_holds_nginx_and_not_the_api(lab, done):
    """The API has sent the whole file although the client has read nothing, and the kernel holds only a part."""
    tenant, body = done[0], os.urandom(15 * 1024 * 1024)
    job = large_job(lab, tenant.account, body)
    request = "GET %s/%s/download HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
    path = "%s/%s/download" % (tenant.path, job)
    before = lab.api_paths().count(path)
    with lab.dial() as sock:
        sock.sendall((request % (tenant.path, job, tenant.account["token"])).encode())
        await_true("the API is done with it", 10, lambda: lab.api_paths().count(path) > before)
        assert read_answers(sock, 5).endswith(body)


def test_a_replica_that_dies_is_passed_over(lab):
    one, two = lab.apis
    try:
        one.kill()
        for _ in range(10):
            assert lab.curl("/healthz")[0] == 200
        two.kill()
        status, headers, body = lab.curl("/healthz")
        assert error((status, headers, body)) == (503, 1503) and headers["retry-after"] == "1"
    finally:
        for api in (one, two):
            if not api.alive():
                api.start()
        await_true("both are back", 20, lambda: all(c.ready() for c in lab.clients))
    await_true("nginx sees them again", 20, lambda: lab.curl("/healthz")[0] == 200, 0.5)


def test_secrets_are_in_no_log_of_nginx(lab, done):
    tenant, _, _ = done
    access = (lab.dir / "nginx-log/access.log").read_text()
    errors = (lab.dir / "nginx-log/error.log").read_text()
    tokens = [account["token"] for account in lab.accounts]
    tokens += [p.read_text().strip() for p in lab.dir.glob("token-*")]
    for secret in tokens:
        assert secret not in access and secret not in errors
    assert tenant.account["id"] in access and "sig=" not in access and "?" not in access


# --- deploy/nginx/render


def render(lab, folder, *words, **changes):
    """(exit status, stderr) of render with the lab's settings, changed; None removes one."""
    settings = {name: value for name, value in {**lab.front_settings, **changes}.items() if value is not None}
    path = folder / "front.conf"
    path.write_text(settings_text(**settings))
    done = subprocess.run([TOP / "deploy/nginx/render", *words, path, folder / "out"], capture_output=True, text=True,
                          check=False)  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("changes, text", [
    ({"TENANTS_NAMES": None}, "TENANTS_NAMES is missing"), ({"TENANTS_NAME": "x"}, "no setting has the name TENANTS_NAME"),
    ({"TENANTS_NAMES": "x; return 200"}, "cannot be"), ({"TENANTS_KEY": "/x;}"}, "cannot be"), ({"TENANTS_KEY": "key"}, "cannot be"),
    ({"TENANTS_RATE": "0"}, "cannot be"), ({"EDGE_CLIENT_CERT": "on"}, "cannot be"), ({"EDGE_CLIENT_CA": None}, "needs EDGE_CLIENT_CA"),
    ({"TENANTS_LISTEN": "127.0.0.1:1 127.0.0.1:2", "EDGE_LISTEN": "127.0.0.1:2"}, "are both 127.0.0.1:2"),
    ({"TENANTS_CERTIFICATE": "/nowhere.pem"}, "nothing was written"), ({"USER": "no-such-user"}, "nothing was written"),
])  # fmt: skip
def test_settings_that_are_wrong_write_nothing(lab, tmp_path, changes, text):
    status, said = render(lab, tmp_path, **changes)
    assert status == 2 and text in said, said
    assert not (tmp_path / "out").exists()


def test_render_checks_writes_and_keeps(lab, tmp_path):
    """--check writes nothing; another's nginx.conf is kept, once; what is written is what runs here."""
    assert render(lab, tmp_path, "--check") == (0, "")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/nginx.conf").write_text("another's\n")
    for _ in range(2):
        assert render(lab, tmp_path) == (0, "")
        assert (tmp_path / "out/nginx.conf.before-edgecap").read_text() == "another's\n"
    for path in (lab.dir / "nginx").rglob("*.conf"):
        assert path.read_text() == (tmp_path / "out" / path.relative_to(lab.dir / "nginx")).read_text()


def family(pid):
    """A process and all below it: {pid: when it began}; what has ended is not among them."""
    found = {}
    try:
        began = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
        if began[0] != "Z":
            found[pid] = began[19]
        for child in Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split():
            found.update(family(int(child)))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def still_there(members):
    return [pid for pid, began in members.items() if family(pid).get(pid) == began]


@pytest.fixture
def rig_of_nginx(lab, tmp_path):
    """A process that runs nginx as a lab does, in a group of its own; (the process, nginx's members, a function that waits for what it does)."""
    (tmp_path / "log").mkdir()
    port = lease()
    settings = {"TENANTS_LISTEN": "127.0.0.1:%d" % port, "EDGE_LISTEN": "127.0.0.1:%d" % lease(), "RUN": tmp_path, "STATE": tmp_path,
                "LOG": tmp_path}  # fmt: skip
    assert render(lab, tmp_path, **settings) == (0, "")
    text = """import sys, pathlib, types
from edgecap_lab import Program
from front import nginx_argv
folder = pathlib.Path(sys.argv[1])
nginx = Program(types.SimpleNamespace(dir=folder), "nginx", nginx_argv(folder / "out", folder / "e"), {}).start()
print(nginx.pid, flush=True)
sys.exit(nginx.process.wait())
"""
    rig = subprocess.Popen(["setpriv", "--pdeathsig=KILL", sys.executable, "-B", "-c", text, tmp_path], stdout=subprocess.PIPE,
                           start_new_session=True, env={**os.environ, "PYTHONPATH": str(TOP / "tests/support")})  # fmt: skip
    wrapper = int(rig.stdout.readline())

    def members():
        """The wrapper, the master, and workers by a new name."""
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            return None
        found = family(wrapper)
        return found if len(found) >= 3 else None

    try:
        await_true("nginx listens", 20, members)
        yield rig, wrapper, members
    finally:
        rig.kill()
        rig.wait()
        rig.stdout.close()


def test_nothing_is_left_of_a_lab_that_was_killed(rig_of_nginx):
    rig, _, members = rig_of_nginx
    all_of_it = members()
    os.killpg(rig.pid, signal.SIGKILL)
    await_true("all are gone", 20, lambda: not still_there(all_of_it))


def test_nginx_of_a_lab_reloads_and_quits(rig_of_nginx):
    """Signals reach it through what starts it, and its end what waits for it."""
    rig, wrapper, members = rig_of_nginx
    first = members()
    os.kill(wrapper, signal.SIGHUP)
    await_true("new workers have replaced the old ones", 20, lambda: len(still_there(first)) == 2 and members())
    last = members()
    os.kill(wrapper, signal.SIGQUIT)
    assert rig.wait(20) == 0
    assert still_there({**first, **last}) == []


@pytest.fixture
def ipv6_namespace():
    """A network namespace with two addresses of one /64 and one of another; its name."""
    name = "ecfront-%d" % os.getpid()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        for address in ("2001:db8:1::1/64", "2001:db8:1::2/64", "2001:db8:2::1/64"):
            subprocess.run(["ip", "-n", name, "addr", "add", address, "dev", "lo", "nodad"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_an_ipv6_network_is_one_address(lab, tmp_path, ipv6_namespace):
    """Two addresses of a /64 share what one may do, another network does not notice; 503 is what is let through, there is no API."""
    inside = ["ip", "netns", "exec", ipv6_namespace]
    (tmp_path / "run").mkdir()
    settings = {**lab.front_settings, "TENANTS_LISTEN": "[2001:db8:1::1]:443", "EDGE_LISTEN": "[2001:db8:1::1]:8443",
                "TENANTS_SOCKETS": "/nowhere/socket", "TENANTS_RATE": "1", "TENANTS_BURST": "1", "RUN": tmp_path / "run",
                "STATE": tmp_path / "run", "LOG": tmp_path / "run"}  # fmt: skip
    (tmp_path / "front.conf").write_text(settings_text(**settings))
    subprocess.run([*inside, TOP / "deploy/nginx/render", tmp_path / "front.conf", tmp_path / "out"], check=True)
    nginx = subprocess.Popen([*inside, "setpriv", "--pdeathsig=KILL", *nginx_argv(tmp_path / "out", tmp_path / "run/e")])
    try:
        await_true("nginx is up", 10, lambda: (tmp_path / "run/nginx.pid").exists() and (tmp_path / "run/nginx.pid").read_text())

        def ask(*sources):
            url = ["--resolve", "localhost:443:[2001:db8:1::1]", "https://localhost/"]
            word = [w for source in sources for w in ("--next", "-k", "-s", "-w", "\n%{http_code}\n", "--interface", source, *url)][1:]
            done = subprocess.run([*inside, "curl", *word], capture_output=True, text=True, check=True)
            return [int(line) for line in done.stdout.splitlines() if line.isdigit()]

        assert ask("2001:db8:2::1", "2001:db8:2::1") == [503, 503]
        assert ask("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::1", "2001:db8:1::2")[-1] == 429
    finally:
        nginx.terminate()
        nginx.wait(20)


def test_sockets_are_for_nginx_alone(lab):
    for path in (lab.dir / "front").iterdir():
        assert oct(path.stat().st_mode)[-3:] == "660" and path.stat().st_uid == os.getuid()
        assert path.stat().st_gid == (lab.dir / "front").stat().st_gid != os.getgid()
