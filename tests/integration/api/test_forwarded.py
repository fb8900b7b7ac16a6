"""Whom the API takes for the client: a proxy's word counts on a unix socket alone, and only where the operator said so."""

import json
import os
import secrets
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from api_rig import BIN, Account, Api, await_true, body, read_answer
from test_edge import chunk_key, message, url
from test_overload import unknown_part

PROXY = {"EDGECAP_FORWARDED": "unix"}


def sockets(folder):
    return {"EDGECAP_%sLISTEN" % kind: "unix:%s/%ssocket" % (folder, kind.lower()) for kind in ("", "EDGE_")}


@pytest.fixture(scope="module")
def proxied(db, tmp_path_factory):
    """Tenants and samplers come by unix sockets, through a proxy that checks certificates."""
    folder = tmp_path_factory.mktemp("proxied")
    with Api(db, folder, **sockets(folder), **PROXY, EDGECAP_EDGE_CLIENT_CERT="required") as api:
        yield api


@pytest.fixture(scope="module")
def sampler(db):
    return db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord01")


def ask(api, method, path, *headers, listener="tenants", data=b""):
    """One request with exactly these header lines; (status, headers, body)."""
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", "Content-Length: %d" % len(data), *headers, "", ""]
    return api.raw("\r\n".join(lines).encode() + data, listener)


def code(answer):
    return answer[0], json.loads(answer[2])["errors"][0]["code"]


def text(answer):
    return json.loads(answer[2])["errors"][0]["message"]


def submit(api, account, *headers):
    data = json.dumps(body(time_limit=1)).encode()
    return ask(api, "POST", account.path(), "Authorization: Bearer " + account.token, *headers, data=data)


def audit_source(db, account):
    return db.sql("SELECT DISTINCT source FROM audit_events WHERE account_id = '%s' AND actor NOT LIKE 'operator:%%'" % account.id)


def peer_of(api, answer):
    """What the access log says of the request that got this answer."""
    return await_true("it is logged", 10, lambda: [
        line["peer"] for line in api.requests_logged() if line["id"] == answer[1]["x-request-id"]
    ])[0]  # fmt: skip


def test_audit_and_log_have_the_address_that_the_proxy_names(proxied, db):
    for address, shown in (("192.0.2.77", "192.0.2.77"), ("2001:DB8:0::7", "2001:db8::7"), ("::ffff:192.0.2.9", "192.0.2.9")):
        account = Account(db)
        answer = submit(proxied, account, "X-Real-IP: " + address)
        assert answer[0] == 200, answer
        assert audit_source(db, account) == [[shown]]
        assert peer_of(proxied, answer) == shown


@pytest.mark.parametrize("headers", [
    (), ("X-Real-IP: ",), ("X-Real-IP: unix",), ("X-Real-IP: 192.0.2.1, 192.0.2.2",), ("X-Real-IP: 192.0.2.1:80",),
    ("X-Real-IP: 192.0.2.1", "X-Real-IP: 192.0.2.1"), ("X-Real-IP: 192.0.2.1", "x-real-ip: 192.0.2.2"),
    ("X-Forwarded-For: 192.0.2.1",), ("X_Real_IP: 192.0.2.1",), ("X-Real-IP: fe80::1%eth0",), ("X-Real-IP: [2001:db8::1]",),
])  # fmt: skip
def test_a_proxy_that_does_not_say_is_refused(proxied, headers):
    for listener in ("tenants", "edge"):
        answer = ask(proxied, "GET", "/healthz", *headers, listener=listener)
        assert code(answer) == (400, 6003) and "X-Real-IP" in text(answer), answer
        assert peer_of(proxied, answer) == "unix"
    for line in ("POST /edge/v1/sync", "PUT " + url(chunk_key())):  # nor may it send a body
        with proxied.dial("edge") as wire:
            wire.sendall("\r\n".join([line + " HTTP/1.1", "Host: x", "Content-Length: 900", *headers, "", ""]).encode())
            answer = read_answer(wire)
            assert code(answer) == (400, 6003) and "X-Real-IP" in text(answer), answer


def test_the_connection_goes_on_behind_a_refusal(proxied):
    """The proxy's connections are shared by all its clients."""
    with proxied.dial() as sock:
        for good in (True, False, True, False, True):
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-Real-IP: 192.0.2.1\r\n" * good + b"\r\n")
            data = b""
            while b"}" not in data.partition(b"\r\n\r\n")[2]:
                piece = sock.recv(65536)
                assert piece, data
                data += piece
            assert data.startswith(b"HTTP/1.1 %d " % (200 if good else 400)), data


def test_headers_do_nothing_on_tcp(db, tmp_path, account, sampler):
    """Also where unix sockets are believed, also for certificates."""
    settings = {**sockets(tmp_path), "EDGECAP_LISTEN": "127.0.0.1:0", **PROXY}
    with Api(db, tmp_path, **settings, EDGECAP_EDGE_CLIENT_CERT="required") as api:
        for header in ("X-Real-IP: 192.0.2.77", "X-Forwarded-For: 192.0.2.77", "X-Real-IP: nonsense", "Forwarded: for=192.0.2.77"):
            tenant = Account(db)
            answer = submit(api, tenant, header)
            assert answer[0] == 200
            assert audit_source(db, tenant) == [["127.0.0.1"]]
            assert peer_of(api, answer) == "127.0.0.1"


def test_headers_do_nothing_on_a_unix_socket_without_a_proxy(db, tmp_path):
    with Api(db, tmp_path, **sockets(tmp_path)) as api:
        tenant = Account(db)
        answer = submit(api, tenant, "X-Real-IP: 192.0.2.77")
        assert answer[0] == 200 and audit_source(db, tenant) == [["unix"]]
        assert peer_of(api, answer) == "unix"


def sync(api, sampler, *headers):
    data = json.dumps(message(seq=secrets.randbelow(2**40), parts=[unknown_part()])).encode()
    return ask(api, "POST", "/edge/v1/sync", "Authorization: Bearer " + sampler["token"], "X-Real-IP: 192.0.2.1",
               *headers, listener="edge", data=data)  # fmt: skip


def certificate(name, verify="SUCCESS"):
    return "X-Client-Cert-Verify: " + verify, "X-Client-Cert-Subject: O=edge,CN=" + name


def test_the_certificate_must_be_the_samplers(proxied, db, sampler):
    # a newer boot's first message is answered at once by the next one
    assert code(sync(proxied, sampler, *certificate("another"))) == (403, 10001)
    assert code(sync(proxied, sampler, *certificate(sampler["name"] + "x"))) == (403, 10001)
    assert code(sync(proxied, sampler, *certificate("x\\,CN=" + sampler["name"]))) == (403, 10001)
    assert code(sync(proxied, sampler, *certificate(sampler["name"], "FAILED:expired"))) == (401, 10000)
    assert code(sync(proxied, sampler, "X-Client-Cert-Verify: NONE")) == (401, 10000)
    assert code(sync(proxied, sampler)) == (400, 6003)
    assert code(sync(proxied, sampler, *certificate(sampler["name"]), "X-Client-Cert-Verify: SUCCESS")) == (400, 6003)
    assert db.sql("SELECT last_seen FROM samplers WHERE id = '%s'" % sampler["id"]) == [[""]], "nothing was taken"
    logged = [line for line in proxied.log().splitlines() if "event=client-certificate-refused" in line]
    assert any("certificate=another" in line and "sampler=" + sampler["name"] in line for line in logged)
    assert sync(proxied, sampler, *certificate(sampler["name"]))[0] == 200


def test_a_wrong_token_is_not_told_about_certificates(proxied):
    answer = sync(proxied, {"token": "wrong"}, *certificate("edge-1"))
    assert code(answer) == (401, 10000) and "certificate" not in text(answer)


def test_uploads_need_a_certificate_as_well(proxied):
    def put(*headers):
        return ask(proxied, "PUT", url(chunk_key()), "X-Real-IP: 192.0.2.1", *headers, listener="edge", data=b"chunk")

    assert code(put("X-Client-Cert-Verify: NONE")) == (401, 10000)
    assert code(put(*certificate("x", "FAILED"))) == (401, 10000)
    assert code(put()) == (400, 6003)
    assert put(*certificate("any"))[0] == 200


MALFORMED, UNKNOWN, ANOTHERS = (400, 6003), (401, 10000), (403, 10001)


@pytest.mark.parametrize("kind", ["sync", "upload"])
def test_a_body_is_not_received_without_the_certificate(proxied, db, kind):
    """Only the head is sent: with a stolen token, or a URL that was overheard, nothing else is asked for. A new sampler's token is
    looked up by the first, remembered for the others."""
    sampler = db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord01")
    right, size = certificate(sampler["name"]), 1000000
    line = "POST /edge/v1/sync" if kind == "sync" else "PUT " + url(chunk_key(seq=3), limit=size)

    def begin(*headers):
        wire = proxied.dial("edge")
        lines = [line + " HTTP/1.1", "Host: x", "X-Real-IP: 192.0.2.1", "Authorization: Bearer " + sampler["token"]]
        wire.sendall("\r\n".join([*lines, "Content-Length: %d" % size, *headers, "", ""]).encode())
        return wire

    wrong = [(("X-Client-Cert-Verify: NONE",), UNKNOWN), (certificate(sampler["name"], "FAILED:expired"), UNKNOWN), ((), MALFORMED),
             ((*right, "X-Client-Cert-Verify: SUCCESS"), MALFORMED)]  # fmt: skip
    if kind == "sync":
        wrong = [(certificate("another"), ANOTHERS), *wrong, (("X-Client-Cert-Verify: SUCCESS",), ANOTHERS)]
    for headers, refusal in wrong:
        with begin(*headers) as wire:
            answer = read_answer(wire)
            assert code(answer) == refusal and answer[1]["connection"] == "close", headers
    logged = [line for line in proxied.log().splitlines() if "event=client-certificate-refused" in line and "peer=192.0.2.1" in line]
    named = [line for line in logged if "sampler=" + sampler["name"] in line]
    assert len(named) == (len(wrong) if kind == "sync" else 0) and len(logged) >= len(wrong)
    with begin(*(right if kind == "sync" else certificate("any"))) as wire:
        wire.sendall(json.dumps(message(parts=[unknown_part()])).encode().ljust(size))
        assert read_answer(wire)[0] == 200


def test_a_client_that_goes_while_its_token_is_looked_up(db, tmp_path, sampler):
    """Its place is needed for another; then nobody is left whose certificate could be looked at."""
    line = "POST /edge/v1/sync HTTP/1.1\r\nHost: x\r\nX-Real-IP: 192.0.2.1\r\nAuthorization: Bearer %s\r\n" % sampler["token"]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%auth_sampler%'"
    settings = {**sockets(tmp_path), **PROXY, "EDGECAP_EDGE_CLIENT_CERT": "required", "EDGECAP_CONNECTIONS_MAX": "1"}
    psql = ["psql", "-X", "-q", "-h", db.socket, "-U", "postgres", "-d", "edgecap"]
    with Api(db, tmp_path, **settings) as api, subprocess.Popen(psql, stdin=subprocess.PIPE, text=True) as holder:
        holder.stdin.write("BEGIN; LOCK TABLE samplers;\n")
        holder.stdin.flush()
        await_true("it is held", 10, lambda: db.sql("SELECT 1 FROM pg_locks WHERE relation = 'samplers'::regclass AND "
                                                    "mode = 'AccessExclusiveLock' AND granted"))  # fmt: skip
        with api.dial("edge") as wire:
            wire.sendall((line + "Content-Length: 9000\r\n\r\n").encode())
            await_true("it is looked up", 10, lambda: db.sql(waiting) != [["0"]])
            assert ask(api, "GET", "/healthz", "X-Real-IP: 192.0.2.1", listener="edge")[0] == 200
            assert wire.recv(1) == b""
        holder.stdin.close()
        await_true("it is known", 10, lambda: db.sql(waiting) == [["0"]])
        assert sync(api, sampler, *certificate(sampler["name"]))[0] == 200
        assert "client-certificate-refused" not in api.log()


def test_an_optional_certificate_must_fit_where_there_is_one(db, tmp_path, sampler):
    with Api(db, tmp_path, **sockets(tmp_path), **PROXY, EDGECAP_EDGE_CLIENT_CERT="optional") as api:
        assert code(sync(api, sampler, *certificate("another"))) == (403, 10001)
        assert code(sync(api, sampler)) == (400, 6003)
        assert sync(api, sampler, "X-Client-Cert-Verify: NONE")[0] == 200
        assert sync(api, sampler, *certificate(sampler["name"]))[0] == 200


def test_certificates_are_ignored_when_nobody_asked(db, tmp_path, sampler):
    with Api(db, tmp_path, **sockets(tmp_path), **PROXY) as api:
        assert sync(api, sampler, *certificate("another", "FAILED"))[0] == 200


@pytest.fixture
def open_folder():
    """A folder that anybody may reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="edgecap-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.parametrize("mode, others", [("0660", False), ("0666", True)])
def test_the_sockets_mode_says_who_may_connect(db, open_folder, mode, others):
    """As nobody, whose groups are not the socket's."""
    with Api(db, open_folder, **sockets(open_folder), EDGECAP_LISTEN_MODE=mode) as api:
        path = api.addresses["tenants"].removeprefix("unix:")
        assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)
        dial = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        words = ["setpriv", "--reuid=65534", "--regid=%d", "--clear-groups", "/usr/bin/python3", "-c", dial, path]
        stranger = subprocess.run([w.replace("%d", "65534") for w in words], capture_output=True, check=False)
        assert (stranger.returncode == 0) == others, stranger.stderr
        assert others or b"PermissionError" in stranger.stderr
        # whoever is in the socket's group may
        member = subprocess.run([w.replace("%d", str(os.stat(path).st_gid)) for w in words], capture_output=True, check=False)
        assert member.returncode == 0, member.stderr


@pytest.mark.parametrize("changes, text", [
    ({"EDGECAP_FORWARDED": "unix"}, "EDGECAP_FORWARDED=unix: neither"),
    ({"EDGECAP_EDGE_CLIENT_CERT": "required"}, "EDGECAP_EDGE_CLIENT_CERT: needs"),
])  # fmt: skip
def test_settings_that_would_believe_anybody_stop_the_start(db, tmp_path, changes, text):
    env = {"EDGECAP_LISTEN": "127.0.0.1:0", "EDGECAP_DATABASE_URL": db.api_url,
           "EDGECAP_STORAGE": "file://%s" % tmp_path, **changes}  # fmt: skip
    done = subprocess.run([str(BIN / "edgecap-api")], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and text in done.stderr, done.stderr
