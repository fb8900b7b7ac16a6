"""Bodies, headers and paths that must be refused: status, code, envelope, and nothing written to the database."""

import pytest
from api_rig import TOP, Account, body, read_answer
from contract import check_failure, failure


def bad_bodies():
    rows = []
    for line in (TOP / "tests/data/bad_bodies.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pointer, _, text = line.partition("\t")
            rows.append(("" if pointer == "-" else pointer, text))
    return rows


@pytest.fixture(scope="module")
def strict(db):
    """An account with a collect interval: a refused request must not take its slot."""
    return Account(db, interval="60s")


def test_bad_bodies(api, strict, db):
    rows = bad_bodies()
    assert len(rows) >= 200
    before = db.counts(), db.slots()
    for pointer, text in rows:
        answer = api.call("POST", strict.path(), strict, {"Content-Type": "application/json"},
                          data=text.encode("utf-8"))  # fmt: skip
        assert answer.status_code == 400, text
        failure(answer, 400, 1022, pointer)
    for data in (b"", b"\xff", b'{"type":"\xc3"}', b"\0", b'{"a":"\xed\xa0\x80"}', b"\xef\xbb\xbf{}",
                 b'{"type":"simple"\0}', b"\x1f\x8b\x08\x00"):  # fmt: skip
        failure(api.call("POST", strict.path(), strict, data=data), 400, 1022, "")
    assert (db.counts(), db.slots()) == before
    answer = api.call("POST", strict.path(), strict, json=body())
    assert answer.status_code == 200, "a refused request has used up the slot"
    # and while the slot is taken, what is wrong is still said first
    failure(api.call("POST", strict.path(), strict, data="{"), 400, 1022)


HEADERS = [
    ("Content-Type: multipart/form-data; boundary=x", 1022), ("Content-Type: application/xml", 1022),
    ("Content-Type: text/html", 1022), ("Content-Type: application/json; charset=utf-16", 1022),
    ("Content-Type: application/json\r\nContent-Type: application/json", 6003),
    ("Content-Encoding: gzip", 1022), ("Content-Encoding: br", 1022),
    ("Idempotency-Key: ", 6003), ("Idempotency-Key: " + "k" * 256, 6003),
    ("Idempotency-Key: a\r\nIdempotency-Key: a", 6003), ("Idempotency-Key: \xe4", 6003),
]  # fmt: skip


@pytest.mark.parametrize("header, code", HEADERS)
def test_bad_headers_of_a_submission(api, account, db, header, code):
    before = db.counts()
    data = b'{"type":"simple","system":"magic-transit","time_limit":1,"packet_limit":1}'
    head = "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n\r\n" % (
        account.path(), account.token, len(data), header)  # fmt: skip
    status, headers, content = api.raw(head.encode("latin-1") + data)
    assert status == 400
    check_failure(status, content, code)
    assert db.counts() == before


# Malformed as HTTP: what comes behind "GET /healthz HTTP/1.1\r\nHost: x\r\n".
LINES = [
    "\x00: a", "A: \x00", "A: \x01", "A: \x7f", "A: a\nB: b", "A: a\rB: b", "A:\r b", " A: a", "\tA: a", "A",
    ": a", "A : a", "A\t: a", "A(: a", "\xe4: a", "A:a\r\n folded", "A:a\r\n\tfolded", "Host: y", "Host: x",
    "Content-Length: 1\r\nContent-Length: 1", "Content-Length: 0\r\nContent-Length: 1", "Content-Length: -1",
    "Content-Length: +1", "Content-Length: 1,1", "Content-Length: 0x1", "Content-Length: 1 2", "Content-Length:",
    "Content-Length: a", "Content-Length: 1.0", "Transfer-Encoding: identity", "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:",
    "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1", "Expect: 200-ok",
    "Expect: 100-continue\r\nExpect: 100-continue", "A: " + "a" * 17000, "\r\n".join("A%d: b" % i for i in range(64)),
]  # fmt: skip


def test_malformed_header_lines(api):
    for line in LINES:
        data = "GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % line
        status, headers, content = api.raw(data.encode("latin-1"))
        assert status == 400, line
        check_failure(status, content, 6003)
        assert headers["connection"] == "close"


REQUEST_LINES = [
    "GET", "GET /", "GET / HTTP", "GET / HTTP/1", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/0.9",
    "GET / http/1.1", "GET / HTTP/1.1 ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET\t/ HTTP/1.1",
    "G(T / HTTP/1.1", "\x16\x03\x01", "GET /\x00 HTTP/1.1", "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1",
    "GET /\xe4 HTTP/1.1", "GET /#a HTTP/1.1", "GET /a b HTTP/1.1", "GET healthz HTTP/1.1", "GET * HTTP/1.1",
    "OPTIONS * HTTP/1.1", "GET http://x/healthz HTTP/1.1", "CONNECT x:443 HTTP/1.1", "PRI * HTTP/2.0", "\x00",
    "GET /" + "a" * 2048 + " HTTP/1.1", "GET /healthz?" + "a" * 2040 + " HTTP/1.1", "A" * 40 + " / HTTP/1.1",
]  # fmt: skip


def test_malformed_request_lines(api):
    for line in REQUEST_LINES:
        status, headers, content = api.raw((line + "\r\nHost: x\r\n\r\n").encode("latin-1"))
        assert status == 400, line
        check_failure(status, content, 6003)
    for data in (b"GET /healthz HTTP/1.1\nHost: x\n\n", b"GET /healthz HTTP/1.1\r\n\r\n", b"\r\n\r\n\r\n",
                 b"GET /healthz HTTP/1.1\rHost: x\r\r"):  # fmt: skip
        status, headers, content = api.raw(data)
        assert status == 400, data
        check_failure(status, content, 6003)


CHUNKED = [
    "x\r\n", "\r\n", "1;a=b\r\nx\r\n0\r\n\r\n", "1\nx\n0\n\n", "1\r\nxy\r\n0\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n",
    "-1\r\n", "0x1\r\nx\r\n0\r\n\r\n", "000000001\r\nx\r\n0\r\n\r\n", "0\r\nTrailer: a\r\n\r\n", "1\r\nx0\r\n\r\n",
]  # fmt: skip


def test_malformed_chunks(api, account, db):
    before = db.counts()
    for data in CHUNKED:
        head = "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n" % (
            account.path(), account.token)  # fmt: skip
        status, headers, content = api.raw((head + data).encode())
        assert status == 400, data
        check_failure(status, content, 6003)
    assert db.counts() == before


def test_smuggling_is_not_understood(api, account):
    """Two messages in one: the second is never answered, and its bytes are never a request."""
    inner = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for head in (
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: %d\r\n\r\n",
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + "%.0s",
    ):
        with api.dial() as sock:
            sock.sendall((head % (account.path(), len(inner)) + inner).encode())
            assert read_answer(sock)[0] == 400
            assert sock.recv(65536) == b""


def test_nothing_was_a_server_error(api):
    assert "status=500" not in api.log()
    assert "level=error" not in api.log()
