"""The samplers' listener: what is refused, and what a granted URL takes."""

import hashlib
import hmac
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_rig import Account, Api, await_true, body, uuid7
from contract import failure, result

SECRET = b"a signing secret of 32 bytes, at least"
OBJECTS = "/edge/v1/objects/"


@pytest.fixture(scope="module")
def sampler(db):
    return db.admin("sampler", "create", "--name", "edge-" + secrets.token_hex(4), "--colo", "ord01")


def message(**changes):
    interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
    return {
        "version": 1, "boot": "%032x" % 1, "seq": 1, "clock_us": time.time_ns() // 1000, "software": "s", "host": "h",
        "interfaces": [interface], "parts": [], **changes,
    }  # fmt: skip


def sync(api, token, **options):
    headers = {} if token is None else {"Authorization": token}
    return api.call("POST", "/edge/v1/sync", None, headers, "edge", **options)


def chunk_key(stream=0, seq=0):
    return "chunks/%s/%s/%s/%02d-%08d.pcapng" % ("1" * 32, uuid7(time.time()), "2" * 32, stream, seq)


def url(key, expires=None, limit=1000, secret=SECRET):
    """A target as the API signs it (storage/signed_url.h)."""
    expires = int(time.time()) + 60 if expires is None else expires
    text = "PUT\n%s\n%d\n%d" % (key, expires, limit)
    sig = hmac.new(secret, text.encode(), "sha256").hexdigest()
    return "%s%s?expires=%d&max=%d&sig=%s" % (OBJECTS, key, expires, limit, sig)


def put(api, target, data=b"chunk"):
    return api.call("PUT", target, listener="edge", data=data)


def test_samplers_have_tokens(api, account, sampler):
    failure(sync(api, None, json=message()), 400, 9106)
    for malformed in ("", "Bearer", "Basic x", sampler["token"], "Bearer " + "a" * 257):
        failure(sync(api, malformed, json=message()), 400, 6003)
    for unknown in ("unknown", account.token):
        failure(sync(api, "Bearer " + unknown, json=message()), 401, 10000)


@pytest.mark.parametrize("changes", [
    {"version": 2}, {"boot": "x"}, {"seq": 1.5}, {"clock_us": "1"}, {"host": None},
    {"interfaces": {}}, {"parts": [{}]}, {"parts": [5]},
])  # fmt: skip
def test_messages_that_do_not_decode(api, sampler, changes):
    failure(sync(api, "Bearer " + sampler["token"], json=message(**changes)), 400, 1022)


def test_what_is_no_message(api, sampler):
    for data in (b"", b"{", b"[]", b"\xff", b'{"version":1,"version":1}'):
        failure(sync(api, "Bearer " + sampler["token"], data=data), 400, 1022)


def test_messages_that_are_too_large(api, sampler):
    token = "Bearer " + sampler["token"]
    failure(sync(api, token, data=b" " * (4 * 1024 * 1024 + 1)), 413, 1413)
    many = [{"name": "eth%d" % i, "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
            for i in range(17)]  # fmt: skip
    failure(sync(api, token, json=message(interfaces=many)), 400, 1022)
    failure(sync(api, token, json=message(software="s" * 129)), 400, 1022)


def test_a_part_from_its_order_to_its_chunk(api, db, sampler):
    """The newer message supersedes; the new job is ordered; its grant takes the chunk."""
    account = Account(db)
    token = "Bearer " + sampler["token"]
    known = "SELECT last_seen > now() - interval '10 s' FROM samplers WHERE id = '%s'" % sampler["id"]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(sync, api, token, json=message(seq=2))
        await_true("it may get jobs", 10, lambda: db.sql(known) == [["t"]])
        second = pool.submit(sync, api, token, json=message(seq=3))
        assert first.result().json()["superseded"] is True
        job = result(api.call("POST", account.path(), account, json=body()))["id"]
        said = second.result().json()
    assert said["seq"] == 3 and said["superseded"] is False
    (part,) = [p for p in said["parts"] if p["pcap"] == job]
    assert part["desired"] == "run" and part["filter"] == body()["filter_v1"]
    assert said["scopes"][part["scope"]]["prefixes"] == ["5.6.7.0/24", "2001:db8::/32"]
    target = part["grants"][0]["url"].partition("http://127.0.0.1:1")[2]
    assert target.startswith("%schunks/%s/%s/%s/" % (OBJECTS, account.id, job, sampler["id"]))
    stored = result(put(api, target))
    assert stored == {"bytes": 5, "sha256": hashlib.sha256(b"chunk").hexdigest()}
    assert api.call("PUT", account.path("/%s/stop" % job), account).status_code == 204
    parts = sync(api, token, json=message(seq=4)).json()["parts"]
    assert [p["desired"] for p in parts if p["pcap"] == job] in (["stop"], ["forget"])
    unknown = {"account": account.id, "pcap": uuid7(time.time()), "state": "running", "started_us": 0, "ended_us": 0,
               "ledger": {}, "streams": []}  # fmt: skip
    parts = sync(api, token, json=message(seq=5, parts=[unknown])).json()["parts"]
    assert {"account": account.id, "pcap": unknown["pcap"], "desired": "forget"} in parts


def test_a_chunk_is_stored_once(api):
    target = url(chunk_key())
    first = result(put(api, target))
    assert result(put(api, target)) == first
    failure(put(api, target, b"other"), 409, 1409)


def test_urls_that_are_not_ours(api):
    key = chunk_key()
    good = url(key)
    for target in (url(key, secret=b"another"), good.replace(key, chunk_key(seq=1)), good.replace("max=1000", "max=1001"),
                   good[:-1] + ("0" if good[-1] != "0" else "1")):  # fmt: skip
        failure(put(api, target), 403, 10001)
    failure(put(api, url(key, expires=int(time.time()) - 1)), 410, 1410)
    for target in (OBJECTS + key, good + "&x=1", good.partition("&")[0], OBJECTS + "?expires=1", url("other/key"),
                   url("chunks/a"), url(key.replace("pcapng", "pcap"))):  # fmt: skip
        failure(put(api, target), 404, 7003)


def test_chunks_that_are_too_large(api):
    failure(put(api, url(chunk_key(), limit=4)), 413, 1413)
    failure(put(api, url(chunk_key(), limit=99999999), b" " * (8 * 1024 * 1024 + 64 * 1024 + 1)), 413, 1413)


def test_a_store_that_is_away(db, tmp_path):
    with Api(db, tmp_path) as api:
        for name in (".tmp", "files", "chunks"):
            if (api.store / name).exists():
                (api.store / name).rename(tmp_path / name)
        failure(put(api, url(chunk_key())), 503, 1503)
        await_true("it is noticed", 5, lambda: not api.ready())
        for listener in api.addresses:
            failure(api.call("GET", "/readyz", listener=listener), 503, 1503)
        (tmp_path / ".tmp").rename(api.store / ".tmp")
        result(put(api, url(chunk_key())))
