"""Every operation of api/openapi.yaml: refusals that all have in common. api_rig holds each answer to the document."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from api_rig import Account, Api, await_true, body, read_answer
from bucket_rig import bucket_api, conf, entry, token
from contract import check_failure, failure, result
from openapi_check import document

MISSING = "0123456789abcdef0123456789abcdef"
OPERATIONS = [
    (method, place.template, listener)
    for place in document().places for method in place.operations for listener in place.listeners
]  # fmt: skip
TENANTS = [(method, template) for method, template, _ in OPERATIONS if "{account_id}" in template]


def path_of(template, account_id=MISSING):
    names = {"account_id": account_id, "pcap_id": MISSING, "ownership_id": MISSING, "token_id": MISSING, "object_key": "chunks/a"}
    return template.format(**names)


def test_there_are_all():
    assert len(OPERATIONS) == 17 + 2 + 2 * 3 + 1 and len(TENANTS) == 17


@pytest.mark.parametrize("method, template, listener", OPERATIONS)
def test_malformed(api, method, template, listener):
    for lines in ("Host: x\r\nHost: y", "Host: x\r\nA : b", "Host: x\r\nContent-Length: a"):
        data = "%s %s HTTP/1.1\r\n%s\r\n\r\n" % (method, path_of(template), lines)
        status, _, content = api.raw(data.encode(), listener)
        assert status == 400
        check_failure(status, content, 6003)


@pytest.mark.parametrize("method, template, listener", OPERATIONS)
def test_too_large(api, method, template, listener):
    # a body in chunks has no length: on the samplers' listener credentials come before it
    lines = ["Content-Length: 99999999"] + ["Transfer-Encoding: chunked\r\n\r\n5f5e0ff"] * (listener != "edge")
    for line in lines:
        data = "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (method, path_of(template), line)
        status, _, content = api.raw(data.encode(), listener)
        assert status == 413
        check_failure(status, content, 1413)


@pytest.mark.parametrize("listener", ["tenants", "edge", "ops"])
def test_no_operation(api, listener):
    for line, status in (("Content-Length: 0", 404), ("Content-Length: a", 400), ("Content-Length: 99999999", 413)):
        data = "PUT /nothing HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % line
        assert api.raw(data.encode(), listener)[0] == status
    failure(api.call("DELETE", "/healthz", listener=listener), 405, 10405)


@pytest.mark.parametrize("method, template, listener", OPERATIONS)
def test_the_other_methods(api, method, template, listener):
    path = path_of(template)
    described = {m for m, t, _ in OPERATIONS if t == template}
    for other in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} - described:
        failure(api.call(other, path, listener=listener), 405, 10405)


@pytest.mark.parametrize("method, template", TENANTS)
def test_unknown_credentials(api, account, method, template):
    path = path_of(template, account.id)
    failure(api.call(method, path), 400, 9106)
    failure(api.call(method, path, None, {"Authorization": "Bearer unknown"}), 401, 10000)


@pytest.mark.parametrize("method, template", TENANTS)
def test_ids_of_the_wrong_form(api, account, method, template):
    for wrong in (account.id.upper() + "0", account.id[1:], "x"):
        failure(api.call(method, path_of(template, wrong), account), 404, 7003)


def test_too_many_bodies(db, tmp_path):
    """64 MiB have come of bodies: the one that began first makes room for what is asked now."""
    largest, left = 64 * 1024, 64 * 1024 * 1024
    with Api(db, tmp_path, EDGECAP_CONNECTIONS_PER_SOURCE="0") as api:
        wires = []
        while left > 0:
            wires.append(api.dial())
            size = min(largest - 1, left)
            left -= size
            wires[-1].sendall(("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % largest).encode() + b"x" * size)
        await_true("all has come", 10, lambda: api.metric("edgecap_api_request_body_bytes") == 64 * 1024 * 1024)
        for method, template in TENANTS:
            for rest in ("Content-Length: 65536\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n10000\r\n"):
                wires.append(api.dial())
                wires[-1].sendall(("%s %s HTTP/1.1\r\nHost: x\r\n%s" % (method, path_of(template), rest)).encode() + b"x" * 65535)
                with wires.pop(0) as wire:
                    status, _, content = read_answer(wire)
                    assert status == 503
                    check_failure(status, content, 1503)
        for wire in wires:
            wire.close()
        await_true("there is room again", 10, lambda: api.metric("edgecap_api_request_body_bytes") == 0)


def test_too_many(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path, EDGECAP_REQUEST_RATE="1", EDGECAP_REQUEST_BURST="1") as api:
        with ThreadPoolExecutor(12) as pool:
            for method, template in TENANTS:
                asked = [pool.submit(api.call, method, path_of(template, account.id), account) for _ in range(12)]
                answers = [a.result() for a in asked]
                failure(next(a for a in answers if a.status_code == 429), 429, 1429)


def test_a_fault_of_the_service(db, tmp_path):
    """A grant that is missing: nothing that the client could mend, and nothing of it is told."""
    account = Account(db)
    admin = {"Authorization": "Bearer " + account.new_token("read,download,collect,admin")}
    destination = conf("bucket", endpoint="https://s3.example")
    bucket = {"destination_conf": destination, "ownership_challenge": token(account.id, MISSING, 1 << 33, destination)}
    entries = [entry(tmp_path, "https://s3.example", secret_key="secret", access_key_id="key")]
    with bucket_api(db, tmp_path, entries) as api:
        columns = db.sql("SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = 'api_tokens'::regclass AND attnum > 0"
                         " AND has_column_privilege('edgecap_api', attrelid, attnum, 'SELECT')")[0][0]  # fmt: skip
        db.sql("REVOKE SELECT, INSERT, UPDATE ON pcaps, buckets FROM edgecap_api; REVOKE SELECT ON api_tokens, audit_events FROM edgecap_api")
        try:
            for method, template in TENANTS:
                data = bucket if "ownership" in template else body()
                if "tokens" in template:
                    data = {"name": "a", "permissions": ["read"]}
                data = data if method == "POST" else None
                answer = api.call(method, path_of(template, account.id), None, admin, json=data)
                assert failure(answer, 500, 1500)["message"] == "Internal error"
        finally:
            db.sql("GRANT SELECT, INSERT, UPDATE ON pcaps, buckets TO edgecap_api")
            db.sql("GRANT SELECT (%s) ON api_tokens TO edgecap_api" % columns)
            db.sql("GRANT SELECT ON audit_events TO edgecap_api")
        result(api.call("GET", account.path("/ownership"), account))
        assert "permission denied" in api.log()


def test_the_database_is_away(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path) as api:
        db.stop()
        try:
            sampler = {"Authorization": "Bearer unknown"}
            with ThreadPoolExecutor(12) as pool:  # each waits some seconds for a connection
                waiting = [pool.submit(api.call, m, path_of(t, account.id), account) for m, t in TENANTS]
                waiting.append(pool.submit(api.call, "POST", "/edge/v1/sync", None, sampler, "edge", json={}))
            for answer in waiting:
                failure(answer.result(), 503, 1503)
            for listener in api.addresses:
                failure(api.call("GET", "/readyz", listener=listener), 503, 1503)
                assert api.call("GET", "/healthz", listener=listener).status_code == 200
            assert api.call("GET", "/metrics", listener="ops").status_code == 200
        finally:
            db.start()
        await_true("ready again", 15, api.ready)
