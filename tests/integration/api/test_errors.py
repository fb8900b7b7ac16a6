"""Every row of the contract's error table."""

import json

import pytest
from api_rig import Account, Api, await_true, body, finished_job, read_answer
from contract import check_failure, failure, result

MISSING = "0123456789abcdef0123456789abcdef"


def bearer(token):
    return {"Authorization": "Bearer " + token}


def test_no_credentials(api, account):
    for headers in ({}, {"X-Auth-Email": "a@example.net"}, {"X-Auth-Key": "k"}):
        failure(api.call("GET", account.path(), None, headers), 400, 9106)


@pytest.mark.parametrize("headers", [
    {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic dTpw"},
    {"Authorization": "Bearer a b"}, {"Authorization": "Bearer a,b"}, {"Authorization": "token"},
    {"Authorization": "Bearer " + "a" * 257}, {"X-Auth-Email": "a", "X-Auth-Key": "k"},
    {"X-Auth-Email": "a@b", "X-Auth-Key": "k k"}, {"X-Auth-Email": "a@b", "X-Auth-Key": ""},
])  # fmt: skip
def test_malformed_credentials(api, account, headers):
    failure(api.call("GET", account.path(), None, headers), 400, 6003)


def test_unknown_credentials(api, account):
    failure(api.call("GET", account.path(), None, bearer("unknown")), 401, 10000)
    email, key = account.new_user("reader")
    good = {"X-Auth-Email": email, "X-Auth-Key": key}
    result(api.call("GET", account.path(), None, good))
    result(api.call("GET", account.path(), None, {**good, "X-Auth-Email": email.upper()}))
    failure(api.call("GET", account.path(), None, {**good, "X-Auth-Key": "x" + key}), 401, 10000)
    failure(api.call("GET", account.path(), None, {**good, "X-Auth-Email": "x" + email}), 401, 10000)
    # a token is no key, and a key no token
    failure(api.call("GET", account.path(), None, {**good, "X-Auth-Key": account.token}), 401, 10000)
    failure(api.call("GET", account.path(), None, bearer(key)), 401, 10000)


def test_expired_credentials(api, account):
    token = account.new_token("read", expires_in="1s")
    result(api.call("GET", account.path(), None, bearer(token)))
    await_true("the token expires", 5,
               lambda: api.call("GET", account.path(), None, bearer(token)).status_code == 401)  # fmt: skip
    failure(api.call("GET", account.path(), None, bearer(token)), 401, 10000)


def test_revoked_credentials(api, account, db):
    token = account.new_token("read", name="short-lived")
    result(api.call("GET", account.path(), None, bearer(token)))
    db.admin("token", "revoke", "--account", account.id, "--name", "short-lived")
    failure(api.call("GET", account.path(), None, bearer(token)), 401, 10000)


def test_with_both_kinds_the_token_decides(api, account):
    email, key = account.new_user("reader")
    pair = {"X-Auth-Email": email, "X-Auth-Key": key}
    result(api.call("GET", account.path(), account, {"X-Auth-Email": "", "X-Auth-Key": "wrong"}))
    failure(api.call("GET", account.path(), None, {**pair, **bearer("unknown")}), 401, 10000)
    failure(api.call("GET", account.path(), None, {**pair, "Authorization": "Basic x"}), 400, 6003)


def test_other_accounts(api, account, other, db):
    failure(api.call("GET", account.path(), other), 403, 10001)
    failure(api.call("GET", "/client/v4/accounts/%s/pcaps" % MISSING, account), 403, 10001)
    gone = Account(db)
    db.admin("account", "disable", "--account", gone.id)
    answer = api.call("GET", gone.path(), gone)
    assert answer.status_code in (401, 403)
    failure(answer, answer.status_code)


@pytest.mark.parametrize("permissions, allowed", [
    ("read", {"list", "get", "limits", "buckets"}), ("download", {"download"}),
    ("collect", {"submit", "stop", "bucket"}), ("read,collect", {"list", "get", "limits", "buckets", "submit", "stop", "bucket"}),
])  # fmt: skip
def test_permissions(api, db, permissions, allowed):
    account = Account(db)
    job = finished_job(api, account, b"p" * 24)
    token = bearer(account.new_token(permissions))
    calls = {
        "list": ("GET", "", 200), "get": ("GET", "/" + job, 200), "limits": ("GET", "/limits", 200),
        "download": ("GET", "/%s/download" % job, 200), "submit": ("POST", "", 200),
        "stop": ("PUT", "/%s/stop" % job, 204), "buckets": ("GET", "/ownership", 400),
        "bucket": ("DELETE", "/ownership/" + MISSING, 400),
    }  # fmt: skip
    for name, (method, tail, status) in calls.items():
        answer = api.call(method, account.path(tail), None, token, json=body() if method == "POST" else None)
        if name in allowed:
            assert answer.status_code == status, name
        else:
            failure(answer, 403, 10001)


@pytest.mark.parametrize("role, may_submit", [("reader", False), ("collector", True), ("admin", True)])
def test_roles(api, db, role, may_submit):
    account = Account(db)
    email, key = account.new_user(role)
    headers = {"X-Auth-Email": email, "X-Auth-Key": key}
    result(api.call("GET", account.path(), None, headers))
    answer = api.call("POST", account.path(), None, headers, json=body())
    if may_submit:
        result(answer)
    else:
        failure(answer, 403, 10001)


@pytest.mark.parametrize("path", [
    "/", "/client", "/client/v4", "/client/v4/accounts", "/client/v4/accounts/{a}",
    "/client/v4/accounts/{a}/pcap", "/client/v4/accounts/{a}/pcaps/", "/client/v4/accounts/{a}/pcaps/x",
    "/client/v4/accounts/{a}/pcaps/{m}0", "/client/v4/accounts/{a}/pcaps/{M}",
    "/client/v4/accounts/{a}/pcaps/{m}/", "/client/v4/accounts/{a}/pcaps/{m}/downloads",
    "/client/v4/accounts/{a}/pcaps//{m}", "/client/v4/accounts/{A}/pcaps", "/client/v4/accounts//pcaps",
    "/client/v4/accounts/{a}%2Fpcaps", "/client/v4/accounts/{a}/pcaps%2f{m}", "/client/v4/accounts/{a}/pcaps%00",
    "/client/v4/accounts/{a}/pcaps/%7e", "/metrics", "/edge/v1/sync", "/edge/v1/objects/a",
    "/client/v4/accounts/{a}/pcaps/ownership/x", "/index.html", "/favicon.ico", "/..",
])  # fmt: skip
def test_no_such_route(api, account, path):
    path = path.format(a=account.id, A=account.id.upper() + "X", m=MISSING, M=MISSING.upper())
    for headers in (account.headers, {}):
        status, got, content = api.raw(("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (
            path, "".join("%s: %s\r\n" % h for h in headers.items()))).encode())  # fmt: skip
        assert status == 404
        check_failure(status, content, 7003)


def test_no_such_job(api, account):
    for method, tail in (("GET", ""), ("GET", "/download"), ("PUT", "/stop")):
        failure(api.call(method, account.path("/" + MISSING + tail), account), 404, 1404)
    failure(api.call("HEAD", account.path("/" + MISSING), account), 404)


@pytest.mark.parametrize("method, tail, allow", [
    ("DELETE", "", "POST, GET, HEAD"), ("PATCH", "", "POST, GET, HEAD"), ("OPTIONS", "", "POST, GET, HEAD"),
    ("PUT", "/" + MISSING, "GET, HEAD, DELETE"), ("POST", "/" + MISSING + "/stop", "PUT"),
    ("GET", "/" + MISSING + "/stop", "PUT"), ("HEAD", "/" + MISSING + "/stop", "PUT"),
    ("POST", "/" + MISSING + "/download", "GET, HEAD"), ("PUT", "/ownership", "GET, HEAD, POST"),
    ("GET", "/ownership/validate", "POST"), ("GET", "/ownership/" + MISSING, "DELETE"),
    ("POST", "/limits", "GET, HEAD"), ("TRACE", "", "POST, GET, HEAD"), ("get", "", "POST, GET, HEAD"),
])  # fmt: skip
def test_wrong_method(api, account, method, tail, allow):
    for headers in (account.headers, {}):
        status, got, content = api.raw(("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (
            method, account.path(tail), "".join("%s: %s\r\n" % h for h in headers.items()))).encode())  # fmt: skip
        assert status == 405 and got["allow"] == allow
        if method != "HEAD":
            check_failure(status, content, 10405)


def test_full_and_buckets_are_not_enabled(api, account):
    full = {"type": "full", "system": "magic-transit", "time_limit": 300, "colo_name": "ord02",
            "destination_conf": "s3://bucket/dir?region=us-east-1"}  # fmt: skip
    for answer in (
        api.call("POST", account.path(), account, json=full),
        api.call("GET", account.path("/ownership"), account),
        api.call("POST", account.path("/ownership"), account, json={"destination_conf": "s3://b/d?region=r"}),
        api.call("POST", account.path("/ownership/validate"), account, json={}),
        api.call("DELETE", account.path("/ownership/" + MISSING), account),
    ):
        assert "not enabled on this deployment" in failure(answer, 400, 1022)["message"]


def test_body_too_large(api, account, db):
    before = db.counts()
    good = body()
    fits = '{"pad":"%s",' % ("x" * 60000) + json.dumps(good)[1:]
    result(api.call("POST", account.path(), account, data=fits))
    for size in (65537, 70000, 5000000):
        answer = api.call("POST", account.path(), account, data=b"x" * size)
        assert answer.headers["Connection"] == "close"
        failure(answer, 413, 1413)
    chunks = (b"x" * 30000 for _ in range(3))
    failure(api.call("POST", account.path(), account, data=chunks), 413, 1413)
    after = db.counts()
    assert after[0] == before[0] + 1


def test_too_many_requests(db, tmp_path):
    account, stranger = Account(db), Account(db)
    with Api(db, tmp_path, EDGECAP_REQUEST_RATE="1", EDGECAP_REQUEST_BURST="5") as api:
        answers = [api.call("GET", account.path(), account) for _ in range(6)]
        for left, answer in zip((4, 3, 2, 1, 0), answers):
            result(answer)
            assert answer.headers["Ratelimit-Policy"] == '"default";q=5;w=5'
            assert answer.headers["Ratelimit"].startswith('"default";r=%d;t=' % left)
        failure(answers[5], 429, 1429)
        assert answers[5].headers["Ratelimit"] == '"default";r=0;t=5'
        assert answers[5].headers["Retry-After"] == "1"
        # nobody else is concerned, and nobody else uses up an account's rate
        for _ in range(4):
            failure(api.call("GET", account.path(), stranger), 403, 10001)
        result(api.call("GET", stranger.path(), stranger))
        await_true("one more is allowed", 3,
                   lambda: api.call("GET", account.path(), account).status_code == 200)  # fmt: skip


def test_too_much_at_once(db, tmp_path):
    account = Account(db)
    with Api(db, tmp_path, EDGECAP_REQUESTS_MAX="3") as api:
        with db.locked("pcaps"):
            socks = [api.dial() for _ in range(3)]
            for sock in socks:
                sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
                    account.path(), account.token)).encode())  # fmt: skip
            # and the one that asks for it
            await_true("they are at work", 30, lambda: api.metric("edgecap_api_requests_in_flight") == 4)
            failure(api.call("GET", account.path(), account), 503, 1503)
            assert api.call("GET", "/healthz").status_code == 200
        assert [read_answer(sock)[0] for sock in socks] == [200] * 3
        result(api.call("GET", account.path(), account))
        for sock in socks:
            sock.close()


def test_answers_of_authenticated_requests_tell_the_rate(api, account, other):
    for answer in (
        api.call("GET", account.path(), account),
        api.call("GET", account.path("/" + MISSING), account),
        api.call("POST", account.path(), account, data="x"),
        api.call("GET", account.path(), other),
        api.call("PUT", account.path("/" + MISSING + "/stop"), account),
    ):
        assert answer.headers["Ratelimit"].startswith('"default";r=')
        assert answer.headers["Ratelimit-Policy"].startswith('"default";q=')
    assert "Ratelimit" not in api.call("GET", account.path(), None, bearer("unknown")).headers
