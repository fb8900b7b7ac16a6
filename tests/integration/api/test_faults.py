"""PostgreSQL that stops and starts, a store that is gone, clients that are killed in the middle of everything."""

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openapi_check
import pytest
import requests
from api_rig import Account, Api, await_true, body, finished_job
from contract import failure, result


@pytest.fixture
def stopped(db):
    """Makes sure that the database runs again afterwards."""
    yield
    if not db_runs(db):
        db.start()


def db_runs(db):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex("%s/.s.PGSQL.5432" % db.socket) == 0


def test_postgresql_stops_and_starts(db, tmp_path, stopped):
    account = Account(db)
    with Api(db, tmp_path) as api:
        job = finished_job(api, account, b"p" * 24)
        result(api.call("POST", account.path(), account, json=body()))
        for _ in range(2):
            db.stop()
            for method, path, data in (
                ("POST", account.path(), body()), ("GET", account.path(), None),
                ("GET", account.path("/" + job), None), ("PUT", account.path("/%s/stop" % job), None),
                ("GET", account.path("/%s/download" % job), None), ("GET", account.path("/limits"), None),
            ):  # fmt: skip
                begin = time.monotonic()
                failure(api.call(method, path, account, json=data), 503, 1503)
                assert time.monotonic() - begin < 5
            failure(api.call("GET", "/readyz"), 503, 1503)
            assert api.call("GET", "/healthz").status_code == 200
            # what needs no database is still decided without one
            failure(api.call("GET", account.path()), 400, 9106)
            failure(api.call("GET", "/nothing"), 404, 7003)
            db.start()
            await_true("requests are served again", 15,
                       lambda: api.call("GET", account.path(), account).status_code == 200)  # fmt: skip
            await_true("ready again", 5, api.ready)
            result(api.call("POST", account.path(), account, json=body()))
            assert api.call("GET", account.path("/%s/download" % job), account).content == b"p" * 24


def test_it_starts_without_postgresql(db, tmp_path, stopped):
    class Early(Api):
        def ready(self):
            return self.call("GET", "/healthz").status_code == 200

    account = Account(db)
    db.stop()
    with Early(db, tmp_path) as api:
        failure(api.call("GET", "/readyz"), 503, 1503)
        failure(api.call("GET", account.path(), account), 503, 1503)
        db.start()
        await_true("it is ready", 15, lambda: api.call("GET", "/readyz").status_code == 200)
        result(api.call("GET", account.path(), account))


def test_postgresql_that_hangs_while_the_api_stops(db, tmp_path):
    """Requests that wait for it are answered, and the process ends."""
    account = Account(db)
    with Api(db, tmp_path, EDGECAP_DRAIN="1s") as api:
        db.sql("SELECT 1")
        lock = threading.Thread(target=db.sql, args=("BEGIN; LOCK api_tokens; SELECT pg_sleep(4); COMMIT",))
        lock.start()
        time.sleep(0.5)
        answers = []
        ask = threading.Thread(target=lambda: answers.append(api.call("GET", account.path(), account)))
        ask.start()
        time.sleep(0.3)
        begin = time.monotonic()
        try:
            api.stop(10)
        finally:
            lock.join()
            ask.join()
        assert time.monotonic() - begin < 8
        assert "level=error" not in api.log()


def sync(api, sampler, seq, parts):
    """What a sampler says, and the answer."""
    message = {"version": 1, "boot": "%032x" % api.process.pid, "seq": seq, "clock_us": time.time_ns() // 1000, "software": "s", "host": "h",
               "interfaces": [{"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0,
                               "dropped_interface": 0}], "parts": parts}  # fmt: skip
    answer = api.call("POST", "/edge/v1/sync", None, {"Authorization": "Bearer " + sampler["token"]}, "edge", json=message)
    assert answer.status_code == 200, answer.text
    return answer.json()["parts"]


def await_part(api, sampler):
    """The number of the message that was answered with a part, and that. Messages are let go of when notifications may have been missed."""
    for seq in range(1, 100):
        parts = sync(api, sampler, seq, [])
        if parts:
            return seq, parts[0]
    raise AssertionError("it gets no part")


def test_a_part_that_ends_while_the_api_stops(db, tmp_path):
    """Its end is written by the last flush, when nobody is waiting for an answer any more."""
    account = Account(db)
    sampler = db.admin("sampler", "create", "--name", "edge-%d" % time.time_ns(), "--colo", "ord01")
    known = "SELECT last_seen > now() - interval '10 s' FROM samplers WHERE id = '%s'" % sampler["id"]
    with Api(db, tmp_path) as api, ThreadPoolExecutor() as pool:
        for round_ in range(5):
            if round_:
                api.start()
            waiting = pool.submit(await_part, api, sampler)
            await_true("it may get jobs", 10, lambda: db.sql(known) == [["t"]])
            job = result(api.call("POST", account.path(), account, json=body()))["id"]
            seq, part = waiting.result()
            now_us = time.time_ns() // 1000
            done = {"account": part["account"], "pcap": job, "state": "done", "reason": "time_limit",
                    "started_us": now_us, "ended_us": now_us, "ledger": {}, "streams": []}  # fmt: skip
            said = pool.submit(sync, api, sampler, seq + 1, [done])
            time.sleep(0.1)  # it is read; the next flush is not due yet
            api.stop()
            said.result()
            assert db.sql("SELECT state FROM pcap_parts WHERE pcap_id = '%s'" % job) == [["done"]]


def test_a_store_that_lost_its_content(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path) as api:
        job = finished_job(api, account, b"p" * 24)
        for name in (".tmp", "files"):
            (api.store / name).rename(tmp_path / name)
        await_true("it is noticed", 5, lambda: api.call("GET", "/readyz").status_code == 503)
        failure(api.call("GET", "/readyz"), 503, 1503)
        answer = api.call("GET", account.path("/%s/download" % job), account)
        assert answer.status_code in (500, 503)
        failure(answer, answer.status_code)
        result(api.call("POST", account.path(), account, json=body()))
        for name in (".tmp", "files"):
            (tmp_path / name).rename(api.store / name)
        await_true("it is back", 5, lambda: api.call("GET", "/readyz").status_code == 200)
        assert api.call("GET", account.path("/%s/download" % job), account).content == b"p" * 24
        assert api.log().count("event=not-ready part=storage") == 1


def test_clients_killed_in_the_middle_of_everything(db, tmp_path):
    """Connections reset at random points of every kind of request; afterwards nothing is left of them."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    account = Account(db, running_max=100000)
    with Api(db, tmp_path) as api:
        job = finished_job(api, account, rng.randbytes(3000000))
        head = "Host: x\r\nAuthorization: Bearer %s\r\n" % account.token
        data = '{"type":"simple","system":"magic-transit","time_limit":1,"packet_limit":1}'
        kinds = [
            "GET %s HTTP/1.1\r\n%s\r\n" % (account.path(), head),
            "POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (account.path(), head, len(data), data),
            "POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
                account.path(), head, len(data), data),
            "PUT %s HTTP/1.1\r\n%s\r\n" % (account.path("/%s/stop" % job), head),
            "GET %s HTTP/1.1\r\n%s\r\n" % (account.path("/%s/download" % job), head),
            "POST %s HTTP/1.1\r\n%sExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s" % (
                account.path(), head, len(data), data),
            "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "POST %s HTTP/1.1\r\n%sContent-Length: 99999999\r\n\r\n%s" % (account.path(), head, "x" * 50000),
        ]  # fmt: skip
        for _ in range(400):
            raw = rng.choice(kinds).encode()
            sock = api.dial(receive_bytes=4096)
            cut = rng.choice((len(raw), rng.randrange(len(raw) + 1)))
            try:
                sock.sendall(raw[:cut])
                if rng.random() < 0.5:
                    time.sleep(rng.random() * 0.005)
                if rng.random() < 0.3:
                    sock.recv(rng.randrange(1, 100000)) if cut == len(raw) else None
                if rng.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                elif rng.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            sock.close()
        await_true("no connection is left", 15,
                   lambda: api.metric('edgecap_api_connections{listener="tenants"}') == 0)  # fmt: skip
        assert api.metric("edgecap_api_requests_in_flight") <= 1  # the scrape
        assert api.metric("edgecap_api_request_body_bytes") == 0
        result(api.call("GET", account.path(), account))
        assert "status=500" not in api.log()


def test_half_a_request_is_not_waited_for(db, tmp_path):
    """20 s for a request: slow, but a property of the program."""
    with Api(db, tmp_path) as api:
        sock = api.dial()
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        begin = time.monotonic()
        assert sock.recv(1) == b""
        assert 18 <= time.monotonic() - begin <= 25
        sock.close()


def test_keep_alive_serves_many(api, account):
    with requests.Session() as session:
        session.headers.update(account.headers)
        session.hooks["response"].append(openapi_check.hook("tenants"))
        for _ in range(200):
            assert session.get(api.base + account.path("/limits"), timeout=10).status_code == 200
    accepted = api.metric("edgecap_api_connections_accepted_total")
    assert accepted < 50


def test_signals_again_and_again(db, tmp_path):
    """An impatient supervisor: only the first one counts."""
    for _ in range(10):
        with Api(db, tmp_path) as api:
            while api.process.poll() is None:
                api.process.terminate()
