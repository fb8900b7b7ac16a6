#!/usr/bin/python3
"""tests/support/openapi_check.py passes answers as they should be and fails those that are not."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import requests
import yaml

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
import openapi_check  # noqa: E402

EXAMPLES = yaml.load(openapi_check.DOCUMENT.read_text(), Loader=yaml.CSafeLoader)["components"]["examples"]
ID = "0123456789abcdef0123456789abcdef"
PCAPS = "/client/v4/accounts/%s/pcaps" % ID
PCAP = PCAPS + "/" + ID
RATE = {"Ratelimit": '"default";r=1;t=1', "Ratelimit-Policy": '"default";q=2;w=1'}
JSON = "application/json"


def example(name):
    return copy.deepcopy(EXAMPLES[name]["value"])


def error(code, **members):
    return {"result": None, "success": False, "errors": [{"code": code, "message": "no", **members}], "messages": []}


def check(method, target, status, value, headers=RATE, listener="tenants", **changes):
    """value: JSON, bytes as they are, or None for no body. changes: of headers; None removes one."""
    body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
    all_headers = {"X-Request-Id": ID, "Date": "now", **headers}
    if value is not None:
        all_headers.update({"Content-Type": JSON, "Content-Length": str(len(body))})
    all_headers.update({name.replace("_", "-"): text for name, text in changes.items()})
    kept = {name: text for name, text in all_headers.items() if text is not None}
    openapi_check.check(method, target, status, kept, b"" if method == "HEAD" else body, listener)


class Check(unittest.TestCase):
    def tearDown(self):
        openapi_check.mismatches.clear()

    def bad(self, want, *args, **options):
        with self.assertRaises(openapi_check.Mismatch) as caught:
            check(*args, **options)
        self.assertIn(want, str(caught.exception))
        self.assertEqual(openapi_check.mismatches, [str(caught.exception)])
        openapi_check.mismatches.clear()

    def job(self, name, want, **changes):
        """The example with changed members (None removes one) fails like this; "" does not fail."""
        value = example(name)
        value["result"].update(changes)
        value["result"] = {k: v for k, v in value["result"].items() if v != "remove"}
        if want:
            self.bad(want, "GET", PCAP, 200, value)
        else:
            check("GET", PCAP, 200, value)

    def test_good(self):
        for name in ("Pending", "Success", "Full"):
            self.job(name, "")
        check("HEAD", PCAP, 200, example("Success"))
        check("GET", PCAPS + "?page=1", 200, example("Pcaps"))
        check("PUT", PCAP + "/stop", 204, None)
        check("GET", PCAP, 401, error(10000), {})
        check("POST", PCAPS, 400, error(1022, source={"pointer": "/filter_v1/source_port"}))
        check("POST", "/edge/v1/sync", 200, example("SyncDown"), {}, "edge")
        check("GET", "/metrics", 200, b"# HELP edgecap_x", {}, "ops", Content_Type="text/plain; version=0.0.4; charset=utf-8")

    def test_status(self):
        self.bad("getPcap 410 (GET %s):\n  answer: is not a documented status" % PCAP, "GET", PCAP, 410, error(1410))
        self.bad("is not a documented status", "PUT", PCAP + "/stop", 200, example("Success"))

    def test_members(self):
        self.job("Pending", "body /result: 'status' is a required property; seen: {", status="remove")
        self.job("Pending", "body /result: Additional properties are not allowed ('x' was unexpected)", x=1)
        self.job("Pending", "body /result/samplers/total: 'a' is not of type 'integer'; seen: 'a'",
                 samplers={"total": "a", "assigned": 0, "running": 0, "done": 0, "failed": 0, "lost": 0})  # fmt: skip
        self.job("Pending", "body /result/status: 'running' is not one of", status="running")
        self.job("Success", "'bytes' is a required property", bytes="remove")
        self.job("Success", "body /result/packets_remaining: 0 was expected", packets_remaining=5)
        self.job("Success", "'error_message' is a required property", status="failed", bytes="remove")
        value = example("Success")
        del value["messages"]
        self.bad("body \"\": 'messages' is a required property", "GET", PCAP, 200, value)
        self.bad("body \"\": Additional properties", "GET", PCAP, 200, {**example("Success"), "result_info": {}})

    def test_full(self):
        self.job("Full", "'byte_limit' is a required property", byte_limit="remove")
        self.job("Full", "'colo_name' is a required property", colo_name="remove")
        self.job("Full", "body /result/packets_remaining: 7 is not of type 'null'", packets_remaining=7)
        self.job("Full", "body /result/packets_remaining: None is not of type 'integer'", packet_limit=7)
        self.job("Full", "", packet_limit=7, packets_remaining=7)
        for secret in ("r2://b?account-id=a&access-key-id=k", "s3://u@b/d"):
            self.job("Full", "body /result/destination_conf", destination_conf=secret)
        self.job("Full", "body /result: Additional properties", type="simple")
        ended = {"status": "success", "packets_remaining": 0, "completed": "2026-11-21T10:00:07.654321Z", "bytes": 24,
                 "stop_reason": {"code": "byte_limit", "limit": 5, "value": 5}}  # fmt: skip
        self.job("Full", "", **ended)
        self.job("Full", "body /result/packets_remaining: 0 was expected", **{**ended, "packets_remaining": None})
        self.job("Full", "expires", **ended, expires="2026-11-21T10:00:07.654321Z")

    def test_headers(self):
        good = example("Success")
        self.bad("header ratelimit: is missing", "GET", PCAP, 200, good, Ratelimit=None)
        self.bad("header ratelimit: 'x' does not match", "GET", PCAP, 200, good, Ratelimit="x")
        self.bad("header x-request-id: is missing", "GET", PCAP, 200, good, X_Request_Id=None)
        self.bad("header server: is not documented for this status", "GET", PCAP, 200, good, Server="x")
        self.bad("header content-length: is not the body's length", "GET", PCAP, 200, good, Content_Length="1")
        self.bad("header retry-after: is missing", "GET", PCAP, 503, error(1503), {})
        self.bad("header x-should-retry: is missing", "GET", PCAP, 429, error(1429), Retry_After="1")
        check("GET", PCAP, 429, error(1429), Retry_After="1", X_Should_Retry="false")
        self.bad("header ratelimit: is missing", "GET", PCAP, 404, error(1404), {})
        self.bad("header ratelimit: is not documented", "GET", PCAP, 401, error(10000))

    def test_bodies(self):
        self.bad("header content-type: is none of ['application/json']", "GET", PCAP, 200, b"<html>", Content_Type="text/html")
        for text in (b"{", b"", b"[NaN]", b'{"a":1,"a":2}', b'"\xff"'):
            self.bad("body: is no JSON text", "GET", PCAP, 404, text, {})
        self.bad("a body, or headers of one", "PUT", PCAP + "/stop", 204, {})
        self.bad("body /errors/0/code: 1404 is not one of", "GET", PCAP, 400, error(1404), {})
        self.bad("body /errors/0/source/pointer: 'x' does not match", "POST", PCAPS, 400, error(1022, source={"pointer": "x"}))
        self.bad("body /parts/1: 'filter' is a required property", "POST", "/edge/v1/sync", 200, self.no_filter(), {}, "edge")

    def no_filter(self):
        value = example("SyncDown")
        value["parts"][1]["desired"] = "stop"
        return value

    def test_what_is_no_operation(self):
        check("GET", "/nothing", 404, error(7003), {})
        check("GET", PCAPS + "/x", 404, error(7003), {})
        check("GET", "/metrics", 404, error(7003), {}, "tenants")
        check("PATCH", PCAP, 405, error(10405), {}, Allow="GET, HEAD, DELETE")
        text = json.dumps(error(6003)).encode()
        headers = {"X-Request-Id": ID, "Content-Type": JSON, "Content-Length": str(len(text))}
        for sent in (b"\0\r\n\r\n", b"", b"GET", b"GET /healthz HTTP/1.1\r\nA\r\n\r\n"):
            openapi_check.check_raw(sent, 400, headers, text)
        self.bad("unmatched 200", "GET", "/metrics", 200, b"# HELP edgecap_x", {}, "tenants")
        self.bad("is a path of the document", "PATCH", PCAP, 404, error(7003), {})
        self.bad("is no path of the document", "PATCH", "/nothing", 405, error(10405), {}, Allow="GET, HEAD, DELETE")
        self.bad("header allow: is missing", "PATCH", PCAP, 405, error(10405), {})
        self.bad("header allow: should name ['DELETE', 'GET', 'HEAD']", "PATCH", PCAP, 405, error(10405), {}, Allow="PUT")
        self.bad("body /errors/0/code: 7003 was expected", "GET", "/nothing", 404, error(1404), {})

    def test_requests(self):
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"{}"
        answer.headers.update({"Content-Type": JSON})
        answer.request = requests.Request("GET", "http://x" + PCAP).prepare()
        with self.assertRaisesRegex(openapi_check.Mismatch, "getPcap 200"):
            openapi_check.hook("tenants")(answer)

    def test_what_was_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            seen = Path(folder) / "seen"
            script = "import test_openapi_check as t; [t.check('GET', t.PCAP, 401, t.error(10000), {}) for _ in range(3)]"
            subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent,
                           env={**os.environ, "EDGECAP_OPENAPI_SEEN": str(seen)})  # fmt: skip
            self.assertEqual(seen.read_text(), "getPcap 401\n")
            rest = subprocess.run([sys.executable, str(SUPPORT / "openapi_check.py"), str(seen)], check=True,
                                  capture_output=True, text=True).stdout  # fmt: skip
            self.assertIn("getPcap 200 400 403 ", rest)
            self.assertNotIn("getPcap 200 400 401", rest)


if __name__ == "__main__":
    unittest.main()
