"""GET /download: the file, its headers, ranges, and the rows of the error table."""

import hashlib
import random
import socket
import time

import pytest
from api_rig import Account, Api, await_true, body, finished_job, read_answer
from contract import failure, result

SIZE = 5 * 1024 * 1024 + 321


@pytest.fixture(scope="module")
def data():
    return random.Random(7).randbytes(SIZE)


@pytest.fixture(scope="module")
def job(api, account, data):
    return finished_job(api, account, data, pcapng=data[:1000])


def get(api, account, job, tail="", headers=None, method="GET", **options):
    return api.call(method, account.path("/%s/download%s" % (job, tail)), account, headers, **options)


def test_the_whole_file(api, account, job, data):
    answer = get(api, account, job)
    assert answer.status_code == 200
    assert answer.content == data
    assert answer.headers["Content-Type"] == "application/vnd.tcpdump.pcap"
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="pcap_%s.pcap"' % job
    assert answer.headers["ETag"] == '"%s"' % hashlib.sha256(data).hexdigest()
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Transfer-Encoding" not in answer.headers


def test_old_sdks_ask_for_json(api, account, job, data):
    assert get(api, account, job, headers={"Accept": "application/json"}).content == data


def test_pcapng(api, account, job, data):
    answer = get(api, account, job, "?format=pcapng")
    assert answer.content == data[:1000]
    assert answer.headers["Content-Disposition"].endswith('.pcapng"')
    assert answer.headers["ETag"] != get(api, account, job, method="HEAD").headers["ETag"]
    assert get(api, account, job, "?format=pcap").content == data


@pytest.mark.parametrize("tail", ["?format=txt", "?format=", "?format=pcap&format=pcapng", "?format=PCAP"])
def test_other_formats(api, account, job, tail):
    failure(get(api, account, job, tail), 400, 1022)


def test_head(api, account, job, db):
    audited = db.counts()
    answer = get(api, account, job, method="HEAD")
    assert answer.status_code == 200 and answer.headers["Content-Length"] == str(SIZE)
    assert get(api, account, job, method="HEAD", headers={"Range": "bytes=0-1"}).status_code == 200
    assert db.counts() == audited


@pytest.mark.parametrize("value, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-23", 0, 23), ("bytes=65535-65536", 65535, 65536),
    ("bytes=5-", 5, SIZE - 1), ("bytes=-7", SIZE - 7, SIZE - 1), ("bytes=0-99999999999", 0, SIZE - 1),
    ("bytes=%d-" % (SIZE - 1), SIZE - 1, SIZE - 1), ("bytes=-99999999999", 0, SIZE - 1),
])  # fmt: skip
def test_one_range(api, account, job, data, value, first, last):
    answer = get(api, account, job, headers={"Range": value})
    assert answer.status_code == 206
    assert answer.content == data[first : last + 1]
    assert answer.headers["Content-Range"] == "bytes %d-%d/%d" % (first, last, SIZE)


@pytest.mark.parametrize("value", ["bytes=%d-" % SIZE, "bytes=-0", "bytes=99999999999999999999-"])
def test_a_range_behind_the_end(api, account, job, value):
    answer = get(api, account, job, headers={"Range": value})
    failure(answer, 416, 1416)
    assert answer.headers["Content-Range"] == "bytes */%d" % SIZE


@pytest.mark.parametrize("value", ["bytes=0-1,5-6", "bytes=2-1", "lines=0-1", "bytes=x-y", "bytes=", "0-1"])
def test_other_ranges_are_none(api, account, job, value):
    answer = get(api, account, job, headers={"Range": value})
    assert answer.status_code == 200 and len(answer.content) == SIZE


def test_conditions(api, account, job, data):
    tag = '"%s"' % hashlib.sha256(data).hexdigest()
    for value in (tag, "*", "W/" + tag, '"x", ' + tag):
        answer = get(api, account, job, headers={"If-None-Match": value})
        assert answer.status_code == 304 and answer.content == b"" and answer.headers["ETag"] == tag
        assert answer.headers["Cache-Control"] == "private"
    assert get(api, account, job, headers={"If-None-Match": '"x"'}).status_code == 200
    part = {"Range": "bytes=1-2"}
    assert get(api, account, job, headers={**part, "If-Range": tag}).status_code == 206
    assert get(api, account, job, headers={**part, "If-Range": '"x"'}).status_code == 200
    assert get(api, account, job, headers={**part, "If-Range": "Sat, 21 Nov 2026 10:00:00 GMT"}).status_code == 200


def test_a_download_resumes(api, account, job, data):
    got = b""
    while len(got) < SIZE:
        with get(api, account, job, headers={"Range": "bytes=%d-" % len(got)}, stream=True) as answer:
            got += answer.raw.read(min(1500000, SIZE - len(got)))
    assert got == data


def test_downloads_are_audited(api, account, job, db):
    answer = get(api, account, job)
    rows = db.sql("SELECT action, object_id::text, result FROM audit_events WHERE request_id = '%s'"
                  % answer.headers["x-request-id"])  # fmt: skip
    assert [[a, o.replace("-", ""), r] for a, o, r in rows] == [["pcap.download", job, "ok"]]


@pytest.mark.parametrize("stage, status, code", [
    ("capturing", 409, 1409), ("ready", 409, 1409), ("assembling", 409, 1409), ("failed", 409, 1409),
    ("expired", 410, 1410),
])  # fmt: skip
def test_without_a_file(api, account, stage, status, code):
    job = finished_job(api, account, b"p" * 24, stage=stage)
    failure(get(api, account, job), status, code)
    failure(get(api, account, job, method="HEAD"), status, code)


def test_a_full_capture_is_in_its_bucket(api, account):
    failure(get(api, account, finished_job(api, account, b"p" * 24, type="full")), 409, 1409)


def test_a_file_that_is_missing_or_cut(api, account):
    job = finished_job(api, account, b"p" * 24)
    path = api.store / ("files/%s/%s/capture.pcap" % (account.id, job))
    path.write_bytes(b"p" * 23)
    failure(get(api, account, job), 500, 1500)
    path.unlink()
    failure(get(api, account, job), 500, 1500)
    assert "event=file-missing" in api.log()


def test_no_such_job(api, account):
    failure(get(api, account, "0" * 32), 404, 1404)


def test_many_at_once(api, account, job, data):
    socks = []
    for _ in range(20):
        sock = api.dial()
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        socks.append(sock)
    for sock in socks:
        status, _, content = read_answer(sock)
        assert status == 200 and content == data
        sock.close()


def test_a_client_that_goes_away_is_forgotten(api, account, job):
    for _ in range(20):
        sock = api.dial(receive_bytes=4096)
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        sock.recv(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        sock.close()
    await_true("no connection is left", 10,
               lambda: api.metric('edgecap_api_connections{listener="tenants"}') == 0)  # fmt: skip
    log = [line for line in api.requests_logged() if line.get("complete") == "false"]
    assert len(log) >= 20


def test_a_client_that_does_not_read_is_closed(db, account, data, tmp_path):
    """The write limit is 30 s: the one slow test here."""
    with Api(db, tmp_path) as api:
        job = finished_job(api, account, data * 4)
        sock = api.dial(receive_bytes=4096)
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        begin = time.monotonic()
        gauge = 'edgecap_api_connections{listener="tenants"}'
        await_true("the download runs", 10, lambda: api.metric(gauge) == 1)
        # a slow one that does read is not closed
        slow = api.dial(receive_bytes=4096)
        slow.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        while api.metric("edgecap_api_connections_stalled_total") == 0:
            assert time.monotonic() - begin < 45
            slow.recv(300000)
            time.sleep(1)
        assert time.monotonic() - begin >= 29
        assert api.metric(gauge) == 1
        assert slow.recv(1000)
        slow.close()
        sock.close()
        result(api.call("POST", account.path(), account, json=body()))


def test_the_drain_finishes_a_download(db, account, data, tmp_path):
    with Api(db, tmp_path) as api:
        job = finished_job(api, account, data)
        sock = api.dial(receive_bytes=4096)
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        time.sleep(0.5)
        idle = api.dial()
        api.process.terminate()
        idle.settimeout(5)
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            api.dial()
        time.sleep(0.5)
        assert api.process.poll() is None
        status, _, content = read_answer(sock)
        assert status == 200 and content == data
        api.stop(5)


def test_the_drain_has_an_end(db, account, data, tmp_path):
    with Api(db, tmp_path, EDGECAP_DRAIN="2s") as api:
        job = finished_job(api, account, data * 4)
        sock = api.dial(receive_bytes=4096)
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            account.path("/%s/download" % job), account.token)).encode())  # fmt: skip
        time.sleep(0.3)
        begin = time.monotonic()
        api.stop(10)
        assert 1.5 <= time.monotonic() - begin <= 6
        status, _, content = read_answer(sock)
        assert status == 200 and len(content) < len(data) * 4
        sock.close()
