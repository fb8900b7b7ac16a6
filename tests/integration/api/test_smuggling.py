"""Requests that two readers could understand differently: one refusal in JSON, then the end; what comes behind is never a request.

Behind each there are two good requests (INNER): whoever took the first message for shorter than somebody in front did would answer them.
"""

import time

import pytest
from api_rig import read_answer, receive
from contract import check_failure
from test_bad_requests import CHUNKED, LINES, REQUEST_LINES
from test_edge import sampler  # noqa: F401

INNER = b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n" * 2
LENGTHS = ["+5", "-5", "05x", "5,5", "5, 5", "5 5", "0x5", "5.0", "5e0", "\"5\"", "5;", "٥", "", "18446744073709551616", "99999999999999999999999", "5\t5", "5\x0b"]
ENCODINGS = [
    "xchunked", "chunkedx", "chunked,", ",chunked", "chunked, chunked", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked;a", "chunked a",
    "\x0bchunked", "chunked\x0b", "\x00chunked", "\"chunked\"", "'chunked'", "chunk ed", "cow", "identity", "", "chunked\x00", "\xa0chunked", "c\u0068unked\x7f",
]  # fmt: skip
NAMES = [
    "Transfer-Encoding ", "Transfer-Encoding\t", " Transfer-Encoding", "Transfer\x00-Encoding", "Transfer-Encoding\x0b", "\xa0Transfer-Encoding",
    "Transfer-Encoding\r", "Content-Length ", " Content-Length", "Content-Length\x00", "Content-Length\x85",
]  # fmt: skip
CHUNK_SIZES = [
    "5 ", " 5", "5;", "5;a=b", "5;\n", "0x5", "+5", "-5", "5\n", "\n5", "5\r", "5\t", "5_", "g", "", "100000005", "FFFFFFFFFFFFFFFF5", "10000000000000005",
    "-0", "5\x00",
]  # fmt: skip


def both(first, second):
    return "%s\r\n%s" % (first, second)


def messages():
    """(what it is, head and body up to INNER) of POST requests with 5 bytes of body."""
    length, chunked, body = "Content-Length: 5", "Transfer-Encoding: chunked", "5\r\nabcde\r\n0\r\n\r\n"
    rows = [("CL.TE", both(length, chunked), body), ("TE.CL", both(chunked, length), body), ("CL 0, TE", both("Content-Length: 0", chunked), body),
            ("TE twice", both(chunked, chunked), body), ("TE chunked, identity", both(chunked, "Transfer-Encoding: identity"), body),
            ("TE identity, chunked", both("Transfer-Encoding: identity", chunked), body), ("TE and te", both(chunked, "transfer-encoding: x"), body),
            ("same CL twice", both(length, length), "abcde"), ("different CL", both(length, "Content-Length: 6"), "abcde"),
            ("CL 0 and 5", both("Content-Length: 0", "content-length: 5"), "abcde"), ("folded CL", "Content-Length:\r\n 5", "abcde"),
            ("folded TE", "Transfer-Encoding:\r\n chunked", body), ("folded header", "A: b\r\n\tContent-Length: 5", "abcde"),
            ("bare LF before TE", "A: b\n" + chunked, body), ("bare LF at the end", length + "\n", "abcde"), ("CR alone", "A: b\r" + chunked, body),
            ("CR in a value", "A: b\rc", "abcde"), ("NUL in a value", "A: \0", "abcde"), ("trailer", chunked, "5\r\nabcde\r\n0\r\nA: b\r\n\r\n"),
            ("trailer CL", chunked, "5\r\nabcde\r\n0\r\nContent-Length: 9\r\n\r\n"), ("chunk with LF", chunked, "5\nabcde\n0\n\n"),
            ("chunk too long", chunked, "4\r\nabcde\r\n0\r\n\r\n"), ("chunk without CR LF", chunked, "5\r\nabcde0\r\n\r\n"),
            ("last chunk 00;", chunked, "5\r\nabcde\r\n00;\r\n\r\n"), ("LF as end", chunked, "5\r\nabcde\r\n0\r\n\n"), ("Host twice", both("Host: y", length), "abcde")]  # fmt: skip
    rows += [("Content-Length: %r" % v, "Content-Length: %s" % v, "abcde") for v in LENGTHS]
    rows += [("Transfer-Encoding: %r" % v, "Transfer-Encoding: %s" % v, body) for v in ENCODINGS]
    rows += [("%r" % n, "%s: %s" % (n, "chunked" if "Tr" in n else "5"), body) for n in NAMES]
    rows += [("chunk size %r" % v, chunked, "%s\r\nabcde\r\n0\r\n\r\n" % v) for v in CHUNK_SIZES]
    rows += [("line %r" % v[:60], v, "") for v in LINES]
    rows += [("chunks %r" % v, chunked, v) for v in CHUNKED]
    return [(what, ("%%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %%s\r\n%s\r\n\r\n%s" % (head.replace("%", "%%"), rest.replace("%", "%%")))) for what, head, rest in rows]


def smuggled(api):
    """Requests for /healthz that were answered; nobody else asks here."""
    return api.metric('edgecap_api_requests_total{route="healthz",status="200"}')


def refused(api, data, listener, codes=(6003,)):
    """One answer, and the end."""
    with api.dial(listener) as wire:
        try:
            wire.sendall(data + INNER)
        except (BrokenPipeError, ConnectionResetError):
            pass
        status, headers, content = read_answer(wire)
        error = check_failure(status, content)
        assert error["code"] in codes, (status, error)
        assert headers["connection"] == "close"
        wire.settimeout(10)
        assert receive(wire) == b""


@pytest.mark.parametrize("listener, line", [("tenants", "POST /client/v4/accounts/%s/pcaps" % ("1" * 32)), ("edge", "POST /edge/v1/sync"),
                                            ("ops", "POST /metrics")])  # fmt: skip
def test_messages_with_two_meanings(api, account, sampler, listener, line):
    token = sampler["token"] if listener == "edge" else account.token
    before = smuggled(api)
    begun = time.monotonic()
    for what, text in messages():
        try:
            refused(api, (text % (line, token)).encode("latin-1", "replace"), listener, (6003, 1413))
        except AssertionError as error:
            raise AssertionError("%s: %s" % (what, error)) from None
    assert smuggled(api) == before
    assert time.monotonic() - begun < 300


def test_request_lines_with_two_meanings(api):
    before = smuggled(api)
    more = ["GET /healthz", "GET /healthz HTTP/0.9", "GET /healthz HTTP/1.1\r", "GET /healthz HTTP/1.10", "GET /healthz HTTP/01.1", "GET /healthz\tHTTP/1.1",
            "GET\x0b/healthz HTTP/1.1", "GET /healthz\x00 HTTP/1.1", "GET /healthz HTTP/1.1\x00", "GET https://x/healthz HTTP/1.1", "GET x:443 HTTP/1.1",
            "GET ?a HTTP/1.1", "GET \\healthz HTTP/1.1", "CONNECT /healthz:443 HTTP/3"]  # fmt: skip
    for line in REQUEST_LINES + more:
        refused(api, (line + "\r\nHost: x\r\n\r\n").encode("latin-1"), "tenants")
    assert smuggled(api) == before


@pytest.mark.parametrize("method", ["get", "Get", "GETT", "X", "TRACE", "CONNECT"])
def test_methods_are_case_sensitive(api, method):
    refused(api, ("%s /healthz HTTP/1.1\r\nHost: x\r\n\r\n" % method).encode(), "tenants", (10405,))


@pytest.mark.parametrize("framing", ["Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n", "\r\n"])
def test_a_request_behind_another_is_none(api, account, framing):
    """A good one, with more behind it: it is answered, and is the connection's last."""
    before = smuggled(api)
    method = "GET" if framing in ("\r\n", "Content-Length: 0\r\n\r\n") else "POST"
    head = "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s" % (method, account.path(), account.token, framing)
    with api.dial() as wire:
        wire.sendall(head.encode() + INNER)
        status, headers, _ = read_answer(wire)
        assert status == (200 if method == "GET" else 400) and headers["connection"] == "close"
        assert receive(wire) == b""
    assert smuggled(api) == before


def test_nothing_was_a_server_error(api):
    assert "status=500" not in api.log()
