"""The front: requests that are ambiguous, too large, too many or too slow get a clean answer, and no other request notices."""

import json
import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import http2_raw
import pytest
from edgecap_client import job_body
from edgecap_lab import await_true
from front import FrontLab, answer_of, read_answers

HIDDEN = "/client/v4/smuggled"  # no request for it may ever reach an API
INNER = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % HIDDEN


@pytest.fixture(scope="module")
def lab():
    with FrontLab(edges=0, apis=1) as running:
        running.token = running.account()
        yield running


def error(answer):
    """Status and code of a failure in the API's envelope."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json", answer
    assert len(headers["x-request-id"]) == 32, answer
    envelope = json.loads(body)
    assert set(envelope) == {"result", "success", "errors", "messages"} and envelope["success"] is False
    return status, envelope["errors"][0]["code"]


def others_are_undisturbed(lab):
    """Requests that share the connections to the API with what was just sent: each gets its own answer."""
    with lab.dial() as sock:
        for i in range(6):
            path = "/healthz" if i % 2 else "/client/v4/%s" % secrets.token_hex(8)
            sock.sendall(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path).encode())
            data = b""
            while b"]}" not in data:
                piece = sock.recv(65536)
                assert piece, data
                data += piece
            assert answer_of(data)[0] == (200 if i % 2 else 404), data
    assert HIDDEN not in lab.api_paths()


def chunks(*lines):
    return "POST /client/v4/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + "".join(lines)


def post(*headers, body=""):
    return "\r\n".join(["POST /client/v4/x HTTP/1.1", "Host: localhost", *headers, "", body])


REFUSED = {
    "CL.TE": post("Content-Length: %d" % (len(INNER) + 5), "Transfer-Encoding: chunked", body="0\r\n\r\n" + INNER),
    "TE.CL": post("Transfer-Encoding: chunked", "Content-Length: 4", body="5c\r\n" + INNER + "0\r\n\r\n"),
    "CL.CL, the same": post("Content-Length: 0", "Content-Length: 0", body=INNER),
    "CL.CL, different": post("Content-Length: 0", "Content-Length: %d" % len(INNER), body=INNER),
    "CL list": post("Content-Length: 0, %d" % len(INNER), body=INNER),
    "CL signed": post("Content-Length: +0", body=INNER),
    "CL negative": post("Content-Length: -1", body=INNER),
    "CL hex": post("Content-Length: 0x0", body=INNER),
    "CL empty": post("Content-Length:", body=INNER),
    "CL beyond 64 bits": post("Content-Length: 18446744073709551617", body=INNER),
    "TE.TE": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body="0\r\n\r\n" + INNER),
    "TE.TE, obscured": post("Transfer-Encoding: chunked", "Transfer-Encoding: x", body="0\r\n\r\n" + INNER),
    "TE list": post("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n" + INNER),
    "TE unknown": post("Transfer-Encoding: xchunked", body="0\r\n\r\n" + INNER),
    "TE with vertical tab": post("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n" + INNER),
    "TE in HTTP/1.0": post("Transfer-Encoding: chunked", body="0\r\n\r\n" + INNER).replace("HTTP/1.1", "HTTP/1.0", 1),
    "TE folded": post("Transfer-Encoding:", " chunked", body="0\r\n\r\n" + INNER),
    "folded line": post("X-Some: a", " Content-Length: %d" % len(INNER), "Content-Length: 0", body=INNER),
    "first header folded": "GET /client/v4/x HTTP/1.1\r\n Host: localhost\r\nHost: localhost\r\n\r\n",
    "blank before the colon": post("Content-Length : %d" % len(INNER), "Content-Length: 0", body=INNER),
    "tab before the colon": post("Transfer-Encoding\t: chunked", body="0\r\n\r\n" + INNER),
    "control in a name": post("X-\x01Some: a"),
    "NUL in a value": post("X-Some: a\0b"),
    "two hosts": post("Host: other.example", "Content-Length: 0"),
    "no host": "GET /client/v4/x HTTP/1.1\r\n\r\n",
    "another host": "GET /client/v4/x HTTP/1.1\r\nHost: other.example\r\n\r\n",
    "a host with a path": "GET /client/v4/x HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
    "a host with a user": "GET /client/v4/x HTTP/1.1\r\nHost: x@localhost\r\n\r\n",
    "absolute form": "GET https://localhost/client/v4/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute form, another host": "GET http://other.example/client/v4/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "authority form": "GET localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk form": "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "blank in the path": "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n".replace("/a", "/a " + HIDDEN),
    "split in the path": "GET /a HTTP/1.1\r\nHost: localhost\r\nX: GET %s HTTP/1.1\r\n\r\n" % HIDDEN,
    "CR in the path": "GET /a\rb HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control in the path": "GET /a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in the path, encoded": "GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "above the root": "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a bad escape": "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version but lines": "GET /client/v4/x\r\nHost: localhost\r\n\r\n",
    "an unknown version": "GET /client/v4/x HTTP/3.7\r\nHost: localhost\r\n\r\n",
    "a small method": "get /client/v4/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "chunk size is no number": chunks("zz\r\n", INNER),
    "chunk size negative": chunks("-1\r\n", INNER),
    "chunk size signed": chunks("+1\r\na\r\n0\r\n\r\n", INNER),
    "chunk size with 0x": chunks("0x1\r\na\r\n0\r\n\r\n", INNER),
    "chunk size beyond 64 bits": chunks("10000000000000001\r\na\r\n0\r\n\r\n", INNER),
    "chunk longer than said": chunks("1\r\nab\r\n0\r\n\r\n", INNER),
}  # fmt: skip
# nginx is told of these in ways of its own; what matters is that they get the envelope
OTHER_STATUS = {"beyond 64 bits": (400, 413), "split in the path": (404,)}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_ambiguous(lab, name):
    """Refused in JSON; what hides behind it is no request."""
    allowed = next((s for part, s in OTHER_STATUS.items() if part in name), (400,))
    with lab.dial() as sock:
        sock.sendall(REFUSED[name].encode("latin-1"))
        sock.settimeout(15)
        data = sock.recv(65536)
        data += read_answers(sock, 1)
    if name == "no version but lines":  # HTTP/0.9: an answer without a head
        assert data == b"" or b'"code":' in data and b"<html" not in data
    else:
        status, headers, body = answer_of(data)
        envelope = body[: int(headers["content-length"])]
        assert error((status, headers, envelope))[0] in allowed, data
        assert body == envelope, "one answer, no more"
    others_are_undisturbed(lab)


@pytest.mark.parametrize("name, sent", [
    ("bare LF", "GET /client/v4/once HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
    ("bare LF in chunks", "POST /client/v4/once HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     "3\nabc\n0\n\n"),
    ("chunk extension", "POST /client/v4/once HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     "3;a=b\r\nabc\r\n0\r\n\r\n"),
    ("trailer", "POST /client/v4/once HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     "0\r\nContent-Length: 9\r\n\r\n"),
    ("underscores", "GET /client/v4/once HTTP/1.1\r\nHost: localhost\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n"
     "Connection: close\r\n\r\n"),
    ("hop by hop", "GET /client/v4/once HTTP/1.1\r\nHost: localhost\r\nConnection: close, X-Real-IP, X-Client-Cert-Verify\r\n"
     "Upgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 1\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
    ("HTTP/1.0", "GET /client/v4/once HTTP/1.0\r\n\r\n"),
    ("pipeline", "GET /client/v4/once HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + INNER),
])  # fmt: skip
def test_a_request_that_nginx_writes_anew(lab, name, sent):
    """What nginx forgives reaches the API in its one form: exactly one request, and it is understood."""
    before = lab.api_paths().count("/client/v4/once")
    with lab.dial() as sock:
        sock.sendall(sent.encode())
        status, headers, body = answer_of(read_answers(sock))
    assert error((status, headers, body)) == (404, 7003), name
    await_true("it is logged", 10, lambda: lab.api_paths().count("/client/v4/once") == before + 1)
    others_are_undisturbed(lab)


def head2(path=b"/client/v4/x", method=b"POST", host=b"localhost", more=()):
    return [(b":method", method), (b":scheme", b"https"), (b":authority", host), (b":path", path), *more]


HTTP2_REFUSED = {
    "CR LF in a value": (head2(more=[(b"x-some", b"a\r\nTransfer-Encoding: chunked")]), b"0\r\n\r\n" + INNER.encode()),
    "LF in a value": (head2(more=[(b"x-some", b"a\nContent-Length: 0")]), b""),
    "CR LF in a name": (head2(more=[(b"x: a\r\ny", b"b")]), b""),
    "blank in a name": (head2(more=[(b"content-length ", b"0")]), INNER.encode()),
    "capitals in a name": (head2(more=[(b"Content-Length", b"0")]), INNER.encode()),
    "CR LF in the path": (head2(path=b"/a HTTP/1.1\r\nHost: localhost\r\n\r\nGET " + HIDDEN.encode()), None),
    "blank in the path": (head2(path=b"/a HTTP/1.1 " + HIDDEN.encode()), None),
    "no path": ([(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost")], None),
    "empty path": (head2(path=b""), None),
    "absolute path": (head2(path=b"https://localhost/client/v4/x", method=b"GET"), None),
    "two paths": (head2(more=[(b":path", HIDDEN.encode())]), None),
    "two methods": (head2(more=[(b":method", b"GET")]), None),
    "CR LF in the method": (head2(method=b"GET " + HIDDEN.encode() + b" HTTP/1.1\r\nX: "), None),
    "another host": (head2(host=b"other.example"), None),
    "no host": ([(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/client/v4/x")], None),
    "length too short": (head2(more=[(b"content-length", b"3")]), INNER.encode()),
    "length too long": (head2(more=[(b"content-length", b"3000")]), b"abc"),
    "two lengths": (head2(more=[(b"content-length", b"0"), (b"content-length", b"3")]), b"abc"),
    "length is no number": (head2(more=[(b"content-length", b"+3")]), b"abc"),
}


@pytest.mark.parametrize("name", HTTP2_REFUSED)
def test_http2_that_would_split(lab, name):
    """A 400, a reset stream or a closed connection; never two requests."""
    pairs, body = HTTP2_REFUSED[name]
    with lab.dial(alpn="h2") as sock:
        answer = http2_raw.Connection(sock).ask(pairs, body)
    assert answer in ("reset", "closed") or answer[0] == 400, answer
    assert isinstance(answer, str) or b'"code":6003' in answer[1], answer
    others_are_undisturbed(lab)


@pytest.mark.parametrize("more", [
    [(b"transfer-encoding", b"chunked")], [(b"connection", b"keep-alive")], [(b"connection", b"x-real-ip, content-length")],
    [(b"upgrade", b"h2c")], [(b"keep-alive", b"1")], [(b"te", b"gzip")], [(b"proxy-connection", b"close")],
    [(b"host", b"localhost")], [(b"x_real_ip", b"198.51.100.1")], [(b"expect", b"100-continue")],
])  # fmt: skip
def test_http2_with_headers_of_http1(lab, more):
    """They end here: the body arrives whole and once, the next request is its own."""
    with lab.dial(alpn="h2") as sock:
        connection = http2_raw.Connection(sock)
        status, body = connection.ask(head2(more=more), b"0\r\n\r\n" + INNER.encode())
        assert status in (400, 404) and b'"code":' in body, body
        assert connection.ask(head2(path=b"/healthz", method=b"GET"))[0] == 200
    others_are_undisturbed(lab)


# --- too large


def test_bodies_that_are_too_large(lab):
    """The limits of base/limits.h, to the byte: below, the API answers; above, nginx."""
    identity = lab.samplers_ca.sign("large", "/CN=edge-1")
    for protocol in ("--http2", "--http1.1"):
        for path, listener, limit in (("/client/v4/x", "tenants", 65536), ("/edge/v1/sync", "edge", 4 * 1024**2),
                                      ("/edge/v1/objects/x", "edge", 8 * 1024**2 + 65536), ("/edge/v1/x", "edge", 65536)):  # fmt: skip
            for words in ((), ("-H", "Transfer-Encoding: chunked")) if protocol == "--http1.1" else ((),):
                method = ("-X", "PUT") if "objects" in path else ()
                options = dict(listener=listener, protocol=protocol, identity=identity if listener == "edge" else None)
                fits = lab.curl(path, *words, *method, "-H", "Expect:", data=b" " * limit, **options)
                assert error(fits)[0] in (400, 404), (path, fits)
                over = lab.curl(path, *words, *method, "-H", "Expect:", data=b" " * (limit + 1), **options)
                assert error(over) == (413, 1413), (path, over)
                assert lab.access_of(over[1])["upstream"] == "", "nginx itself, before it took the body"
    others_are_undisturbed(lab)


def test_heads_that_are_too_large(lab):
    assert error(lab.curl("/" + "a" * 5000, protocol="--http1.1")) == (414, 6003)
    assert error(lab.curl("/" + "a" * 3000, protocol="--http1.1")) == (400, 6003)  # by the API
    assert error(lab.curl("/", "-H", "X: " + "a" * 5000, protocol="--http1.1")) == (431, 6003)
    many = [w for i in range(100) for w in ("-H", "X-%d: %s" % (i, "a" * 500))]
    assert error(lab.curl("/", *many, protocol="--http1.1")) == (431, 6003)
    with lab.dial(alpn="h2") as sock:
        answer = http2_raw.Connection(sock).ask(head2(method=b"GET", more=[(b"x-%d" % i, b"a" * 3000) for i in range(8)]))
    assert answer == "closed" or answer[0] in (400, 431) and b'"code":6003' in answer[1], answer
    others_are_undisturbed(lab)


def test_methods_that_nobody_serves(lab):
    status, headers, body = lab.curl("/healthz", "-X", "TRACE", protocol="--http1.1")
    assert error((status, headers, body)) == (405, 10405) and headers["allow"]
    assert error(lab.curl("/healthz", "-X", "PATCH")) == (405, 10405)


# --- too slow


def closed_after(sock, send, seconds=40):
    """Call send() every half second until the other side has closed; how long that took."""
    begin = time.monotonic()
    sock.settimeout(0.5)
    while time.monotonic() < begin + seconds:
        try:
            send()
            if not sock.recv(65536):
                break
        except (TimeoutError, socket.timeout):
            continue
        except OSError:
            break
    return time.monotonic() - begin


def test_slow_clients_are_cut(lab):
    """A head in drops, a body that stops, a connection without a request, a handshake that is not ended; all at once."""
    drops = iter("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 1000)
    head, body, silent2 = lab.dial(), lab.dial(), lab.dial(alpn="h2")
    raw = socket.create_connection(lab.tenants)
    body.sendall(b"POST /client/v4/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
    stream = http2_raw.Connection(silent2)
    stream.stream = 1
    stream.sock.sendall(http2_raw.frame(http2_raw.HEADERS, http2_raw.END_HEADERS, 1, http2_raw.fields(head2())))
    cases = [(head, lambda: head.sendall(next(drops).encode())), (body, lambda: None), (raw, lambda: None)]
    with ThreadPoolExecutor() as pool:
        took = [f.result() for f in [pool.submit(closed_after, *case) for case in cases]]
    assert all(8 < seconds < 16 for seconds in took), took
    assert stream._answer() in ("reset", "closed"), "the body of a stream did not come"
    for sock in (head, body, raw, silent2):
        sock.close()
    others_are_undisturbed(lab)


# --- too many; last, because they use up what one address may do


def test_too_many_connections_of_one_address(lab):
    """Those beyond 64 that carry a request get 429; another address does not notice."""
    held = [lab.dial(source="127.0.0.76") for _ in range(70)]
    for sock in held:
        sock.sendall(b"POST /client/v4/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n")
    answers = []
    for sock in held:
        sock.settimeout(0.05)
        try:
            answers.append(answer_of(sock.recv(65536)))
        except (TimeoutError, socket.timeout):
            continue
    assert len(answers) == 6 and {error(a) for a in answers} == {(429, 1429)}
    assert {(a[1]["retry-after"], a[1]["x-should-retry"]) for a in answers} == {("1", "false")}
    assert lab.curl("/healthz", "--interface", "127.0.0.78")[0] == 200
    for sock in held:
        sock.close()
    await_true("they are forgotten", 20, lambda: lab.curl("/healthz", "--interface", "127.0.0.76")[0] == 200)


def test_too_many_requests_of_one_address(lab):
    """A burst is served, beyond it 429; another address does not notice."""
    statuses, lock = [], threading.Lock()

    def ask(source):
        with lab.dial(source=source) as sock:
            for _ in range(100):
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                data = b""
                while b"]}" not in data:
                    data += sock.recv(65536)
                with lock:
                    statuses.append((source, *answer_of(data)))

    with ThreadPoolExecutor() as pool:
        begin = time.monotonic()
        list(pool.map(ask, ["127.0.0.79"] * 8))
        took = time.monotonic() - begin
    served = [s for s in statuses if s[1] == 200]
    refused = [s for s in statuses if s[1] == 429]
    assert len(served) + len(refused) == 800
    assert 200 <= len(served) <= 201 + 50 * (took + 1), (len(served), took)
    assert refused and {error(s[1:]) for s in refused} == {(429, 1429)}
    assert {(s[2]["retry-after"], s[2]["x-should-retry"]) for s in refused} == {("1", "false")}
    assert lab.curl("/healthz", "--interface", "127.0.0.80")[0] == 200


def test_a_tenant_still_works_after_all_that(lab):
    tenant = lab.clients[0].tenant(lab.token, lab)
    answer = tenant.call("POST", json=job_body(time_limit=1))
    assert answer.status_code == 200
    assert HIDDEN not in lab.api_paths()
