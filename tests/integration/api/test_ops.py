"""Probes, metrics, access log, settings, start and stop."""

import os
import re
import socket
import subprocess

import pytest
from api_rig import BIN, Account, Api, Wire, await_true, body, finished_job, read_answer
from contract import check_failure, failure, result

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (-?\d+(?:\.\d+)?)$')


def test_probes_are_on_all_listeners(api):
    for listener in api.addresses:
        for path in ("/healthz", "/readyz"):
            assert api.call("GET", path, listener=listener).status_code == 200
    assert api.call("GET", "/readyz").json()["result"] == {"database": "ok", "storage": "ok"}


def test_metrics_are_only_for_operators(api):
    for listener in ("tenants", "edge"):
        status, headers, content = api.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", listener)
        assert status == 404
        check_failure(status, content, 7003)
    # and tenants' operations only for tenants
    for listener in ("edge", "ops"):
        status, _, _ = api.raw(b"GET /client/v4/accounts/%032d/pcaps HTTP/1.1\r\nHost: x\r\n\r\n" % 0, listener)
        assert status == 404


def test_metrics_are_prometheus_text(api, account):
    result(api.call("POST", account.path(), account, json=body()))
    api.call("GET", "/nothing")
    answer = api.call("GET", "/metrics", listener="ops")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    types, seen = {}, {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types
            types[name] = kind
        elif not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert types.get(name) or types.get(family) == "histogram", line
            assert (name, labels) not in seen, line
            seen[name, labels] = float(value)
    assert seen["edgecap_api_submissions_total", '{outcome="created"}'] >= 1
    assert seen["edgecap_api_requests_total", '{route="pcaps.submit",status="200"}'] >= 1
    assert seen["edgecap_api_requests_total", '{route="none",status="404"}'] >= 1
    assert seen["edgecap_database_up", None] == 1
    count = seen["edgecap_api_request_duration_seconds_count", '{route="pcaps.submit",status="200"}']
    assert seen["edgecap_api_request_duration_seconds_bucket",
                '{route="pcaps.submit",status="200",le="+Inf"}'] == count  # fmt: skip
    last = 0
    for (name, labels), value in seen.items():
        if name.endswith("_bucket") and 'route="pcaps.submit",status="200"' in labels:
            assert value >= last
            last = value
    version = re.search(r'edgecap_build_info\{program="edgecap-api",version="([^"]+)"\} 1', answer.text)[1]
    shown = subprocess.run([str(BIN / "edgecap-api"), "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "edgecap-api " + version


def test_the_access_log(api, account):
    secret = {"X-Secret": "do-not-log-me"}
    answer = api.call("POST", account.path("?token=do-not-log-me"), account, secret, json=body(x="do-not-log-me"))
    job = result(answer)["id"]
    failure(api.call("GET", account.path(), None, {"Authorization": "Bearer do-not-log-me"}), 401)
    await_true("the lines are written", 5, lambda: len(api.requests_logged()) > 1)
    line = next(one for one in api.requests_logged() if one["id"] == answer.headers["x-request-id"])
    assert line["method"] == "POST" and line["path"] == account.path() and line["status"] == "200"
    assert line["route"] == "pcaps.submit" and line["peer"] == "127.0.0.1"
    assert line["account"] == account.id and line["actor"].strip('"').startswith("token:")
    assert int(line["bytes"]) == len(answer.content) and int(line["took_us"]) > 0
    text = api.log()
    for hidden in ("do-not-log-me", account.token, job, "5.6.7.8"):
        assert hidden not in text.replace("/" + job, ""), hidden


def test_a_refused_head_is_logged(api):
    _, headers, _ = api.raw(b"GET /some/path?x=1 HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
    line = await_true("it is logged", 5, lambda: next(
        (one for one in api.requests_logged() if one["id"] == headers["x-request-id"]), None))  # fmt: skip
    assert line["status"] == "400" and line["path"] == "/some/path" and line["method"] == "GET"


def test_hostile_text_does_not_break_the_log(api):
    api.raw(b'GET /a"b=c%0aevent=forged HTTP/1.1\r\nHost: x\r\n\r\n')
    api.raw(b"GET /x HTTP/1.1\r\nHost: x\r\nA: \nevent=forged\r\n\r\n")
    await_true("it is logged", 5, lambda: 'path=/a...' in api.log())
    assert not [line for line in api.log().splitlines() if re.search(r" event=forged", line)]


@pytest.mark.parametrize("settings, text", [
    ({"EDGECAP_LISTEN": None}, "EDGECAP_LISTEN"),
    ({"EDGECAP_LISTEN": "localhost:80"}, "EDGECAP_LISTEN"),
    ({"EDGECAP_DATABASE_URL": None}, "EDGECAP_DATABASE_URL"),
    ({"EDGECAP_DATABASE_URL": "host=example.net"}, "EDGECAP_DATABASE_URL"),
    ({"EDGECAP_STORAGE": "file:relative"}, "EDGECAP_STORAGE"),
    ({"EDGECAP_STORAGE": "file:///proc/none"}, "EDGECAP_STORAGE"),
    ({"EDGECAP_SELECTION": "sometimes"}, "EDGECAP_SELECTION"),
    ({"EDGECAP_EDGE_LISTEN": "127.0.0.1:0"}, "EDGECAP_UPLOAD_URL"),
    ({"EDGECAP_DRAIN": "soon"}, "EDGECAP_DRAIN"),
    ({"EDGECAP_LOG_LEVEL": "loud"}, "EDGECAP_LOG_LEVEL"),
    ({"EDGECAP_REQUEST_RATE": "0"}, "EDGECAP_REQUEST_RATE"),
])  # fmt: skip
def test_a_wrong_setting_stops_the_start(db, tmp_path, settings, text):
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")},
        "EDGECAP_LISTEN": "127.0.0.1:0", "EDGECAP_DATABASE_URL": db.api_url,
        "EDGECAP_STORAGE": "file://%s/store" % tmp_path, **settings,
    }  # fmt: skip
    done = subprocess.run([str(BIN / "edgecap-api")], env={k: v for k, v in env.items() if v is not None},
                          capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode == (1 if "proc" in settings.get("EDGECAP_STORAGE", "") else 2), done.stderr
    assert text in done.stderr and done.stderr.count("\n") == 1


def test_a_port_in_use_stops_the_start(api, db, tmp_path):
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")},
        "EDGECAP_LISTEN": api.addresses["tenants"], "EDGECAP_DATABASE_URL": db.api_url,
        "EDGECAP_STORAGE": "file://%s/store" % tmp_path,
    }  # fmt: skip
    done = subprocess.run([str(BIN / "edgecap-api")], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "listener tenants" in done.stderr and "in use" in done.stderr


def test_reuseport(db, tmp_path):
    with Api(db, tmp_path, "one", EDGECAP_REUSEPORT="true") as one:
        address = one.addresses["tenants"]
        with Api(db, tmp_path, "two", EDGECAP_REUSEPORT="true", EDGECAP_LISTEN=address) as two:
            assert two.addresses["tenants"] == address


def test_a_unix_socket(db, tmp_path):
    account = Account(db)
    path = tmp_path / "api.sock"

    def ask():
        with Wire(family=socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
                account.path(), account.token)).encode())  # fmt: skip
            return read_answer(sock)[0]

    class UnixApi(Api):
        def ready(self):
            return ask() == 200

    for _ in range(2):
        with UnixApi(db, tmp_path, EDGECAP_LISTEN="unix:%s" % path) as api:
            await_true("it is logged", 5, lambda: "peer=unix" in api.log())
        path.unlink(missing_ok=True)
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))  # what a killed process leaves behind
        left.close()


def test_it_stops_at_once_when_idle(db, tmp_path):
    api = Api(db, tmp_path)
    finished_job(api, Account(db), b"p" * 24)
    sock = api.dial()
    api.stop(5)
    assert sock.recv(1) == b""
    assert "event=stopped" in api.log()
    sock.close()


@pytest.mark.parametrize("mangled", ["%%3Fexpires=9&sig=%s", "&expires=9&sig=%s", ";sig=%s", "sig=%s"])
def test_a_signature_in_a_path_is_not_logged(api, mangled):
    """Of a signed URL that somebody has mangled."""
    secret = "0123456789abcdef" * 4
    answer = api.call("PUT", "/edge/v1/objects/chunks/a" + mangled % secret, listener="edge")
    lines = await_true("it is logged", 5, lambda: [one for one in api.requests_logged() if one["id"] == answer.headers["x-request-id"]])
    assert lines[0]["path"].startswith("/edge/v1/objects/chunks/a") and lines[0]["path"].endswith("...")
    assert secret not in api.log()
