"""An account's tokens as its admins manage them, and what a token is good for."""

import concurrent.futures
import datetime
import json
import re
import secrets
import threading
import time

import pytest
from api_rig import Account, Api, await_true, rfc3339, uuid7
from contract import failure, result

MISSING = "0123456789abcdef0123456789abcdef"
SECRET = re.compile(r"^[A-Za-z0-9_-]{43}$")
ALL = ["read", "download", "collect", "admin"]


class Admin:
    """An account with an admin's token and helpers to call with it."""

    def __init__(self, api, db, permissions="read,download,collect,admin", account=None):
        self.api, self.db, self.account = api, db, account or Account(db)
        self.token = self.account.new_token(permissions)
        self.headers = {"Authorization": "Bearer " + self.token}

    def call(self, method, tail="", **options):
        headers = {**self.headers, **options.pop("headers", {})}
        return self.api.call(method, self.account.tokens_path(tail), None, headers, **options)

    def make(self, **members):
        body = {"name": secrets.token_hex(6), "permissions": ["read"], **members}
        return result(self.call("POST", json={k: v for k, v in body.items() if v is not None}))

    def use(self, value, api=None, **headers):
        """The status that a token gets with a GET."""
        headers = {"Authorization": "Bearer " + value, **headers}
        return (api or self.api).call("GET", self.account.path(), None, headers).status_code

    def audit(self):
        return self.db.sql("SELECT action, replace(object_id::text, '-', ''), actor, result FROM audit_events "
                           "WHERE account_id = '%s' AND actor NOT LIKE 'operator%%' ORDER BY id" % self.account.id)  # fmt: skip


@pytest.fixture()
def admin(api, db):
    return Admin(api, db)


def test_a_token_from_its_creation_to_its_revocation(admin):
    expires = rfc3339(time.time() + 3600)
    made = admin.make(name="ci", permissions=["download", "read"], expires_on=expires,
                      condition={"request_ip": {"in": ["127.0.0.1", "2001:db8::/32"]}})  # fmt: skip
    value = made.pop("value")
    assert SECRET.match(value)
    assert made == {
        "id": made["id"], "name": "ci", "status": "active", "permissions": ["read", "download"],
        "issued_on": made["issued_on"], "expires_on": expires,
        "condition": {"request_ip": {"in": ["127.0.0.1/32", "2001:db8::/32"]}},
    }  # fmt: skip
    assert result(admin.call("GET", "/" + made["id"])) == made
    assert admin.use(value) == 200
    used = result(admin.call("GET", "/" + made["id"]))
    assert abs(datetime.datetime.fromisoformat(used.pop("last_used_on").replace("Z", "+00:00")).timestamp() - time.time()) < 30
    assert used == made
    assert result(admin.call("DELETE", "/" + made["id"])) == {"id": made["id"]}
    assert admin.use(value) == 401
    assert result(admin.call("GET", "/" + made["id"]))["status"] == "disabled"
    assert result(admin.call("DELETE", "/" + made["id"])) == {"id": made["id"]}
    actor = admin.db.sql("SELECT 'token:' || name FROM api_tokens WHERE account_id = '%s' AND 'admin' = ANY (permissions)"
                         % admin.account.id)[0][0]  # fmt: skip
    assert admin.audit() == [["token.create", made["id"], actor, "ok"], ["token.revoke", made["id"], actor, "ok"]]


def test_the_secret_is_in_one_answer_and_nowhere_else(admin):
    answer = admin.call("POST", json={"name": "one", "permissions": ["read"]})
    value = result(answer)["value"]
    assert answer.headers["Cache-Control"] == "no-store"
    rolled = result(admin.call("PUT", "/%s/value" % answer.json()["result"]["id"]))
    admin.use(value), admin.use(rolled)
    for text in (admin.call("GET").text, admin.call("GET", "/" + answer.json()["result"]["id"]).text, admin.api.log()):
        assert value not in text and rolled not in text and admin.token not in text
    dump = admin.db.sql("SELECT t::text FROM api_tokens t UNION ALL SELECT e::text FROM audit_events e")
    assert value not in str(dump) and rolled not in str(dump)


def test_a_new_value_voids_the_old_one_at_once(admin):
    made = admin.make(name="roll")
    for body in ({"json": {}}, {"data": b""}, {"data": b"", "headers": {"Content-Type": "application/json"}}):
        value = result(admin.call("PUT", "/%s/value" % made["id"], **body))
        assert SECRET.match(value) and value != made["value"]
        assert admin.use(made["value"]) == 401 and admin.use(value) == 200
        made["value"] = value
    failure(admin.call("PUT", "/%s/value" % made["id"], json={"value": "mine"}), 400, 1022)
    failure(admin.call("PUT", "/%s/value" % made["id"], data=b"{"), 400, 1022)
    assert admin.use(made["value"]) == 200
    assert [row[0] for row in admin.audit()] == ["token.create"] + ["token.roll"] * 3
    result(admin.call("DELETE", "/" + made["id"]))
    failure(admin.call("PUT", "/%s/value" % made["id"]), 409, 1409)
    assert admin.use(made["value"]) == 401


def test_the_list_is_paged_and_shows_what_is_in_use(admin):
    made = [admin.make(name="t%d" % i) for i in range(5)]
    result(admin.call("DELETE", "/" + made[1]["id"]))
    admin.db.sql("UPDATE api_tokens SET expires_at = now() WHERE account_id = '%s' AND name = 't2'" % admin.account.id)

    def names(query=""):
        answer = admin.call("GET", query)
        return [t["name"] for t in result(answer) if re.match(r"t\d$", t["name"])], answer.json()["result_info"]

    assert names()[0] == ["t4", "t3", "t2", "t0"]  # newest first
    assert names("?status=disabled")[0] == ["t1"]
    assert names("?status=expired")[0] == ["t2"]
    assert names("?status=active")[0] == ["t4", "t3", "t0"]
    assert names("?per_page=2")[0] == ["t4", "t3"]
    got, info = names("?per_page=2&page=2")
    assert got == ["t2", "t0"]
    assert info == {"page": 2, "per_page": 2, "count": 2, "total_count": 6, "total_pages": 3}
    assert names("?page=9")[0] == []
    for bad in ("page=0", "per_page=101", "per_page=x", "status=revoked", "page=1&page=2"):
        failure(admin.call("GET", "?" + bad), 400, 1022)


BAD = [
    ("/name", {"name": None}), ("/name", {"name": ""}), ("/name", {"name": "x" * 129}), ("/name", {"name": "a\nb"}),
    ("/name", {"name": 5}), ("/name", {"name": "é" * 65}),
    ("/permissions", {"permissions": None}), ("/permissions", {"permissions": []}), ("/permissions", {"permissions": "read"}),
    ("/permissions/1", {"permissions": ["read", "write"]}), ("/permissions/0", {"permissions": [1]}),
    ("/permissions/1", {"permissions": ["read", "read"]}), ("/permissions/0", {"permissions": ["Read"]}),
    ("/expires_on", {"expires_on": "2020-01-01T00:00:00Z"}), ("/expires_on", {"expires_on": "tomorrow"}),
    ("/expires_on", {"expires_on": 5}), ("/expires_in", {"expires_in": "1d"}),
    ("/condition", {"condition": []}), ("/condition/request_ip", {"condition": {}}),
    ("/condition/request.ip", {"condition": {"request.ip": {"in": ["192.0.2.1"]}, "request_ip": {"in": ["192.0.2.1"]}}}),
    ("/condition/request_ip/not_in", {"condition": {"request_ip": {"in": ["192.0.2.1"], "not_in": ["192.0.2.1"]}}}),
    ("/condition/request_ip/in", {"condition": {"request_ip": {}}}),
    ("/condition/request_ip/in", {"condition": {"request_ip": {"in": []}}}),
    ("/condition/request_ip/in", {"condition": {"request_ip": {"in": ["192.0.2.%d" % i for i in range(33)]}}}),
    ("/condition/request_ip/in/1", {"condition": {"request_ip": {"in": ["192.0.2.1", "192.0.2.1/24"]}}}),
    ("/condition/request_ip/in/0", {"condition": {"request_ip": {"in": ["2001:db8::1/32"]}}}),
    ("/condition/request_ip/in/0", {"condition": {"request_ip": {"in": ["host.example"]}}}),
    ("/condition/request_ip/in/0", {"condition": {"request_ip": {"in": [7]}}}),
    ("/condition/request_ip/in/1", {"condition": {"request_ip": {"in": ["192.0.2.1", "192.0.2.1/32"]}}}),
    ("/conditions", {"conditions": {}}), ("/a~1b~0", {"a/b~": 1}), ("/nam", {"nam": 1}), ("/name,", {"name,": 1}),
    ("/policies", {"policies": []}),
]  # fmt: skip


@pytest.mark.parametrize("pointer, members", BAD)
def test_what_is_wrong_is_named(api, db, bad_admin, pointer, members):
    body = {"name": "bad", "permissions": ["read"], **members}
    before = db.sql("SELECT count(*) FROM api_tokens")
    answer = bad_admin.call("POST", json={k: v for k, v in body.items() if v is not None})
    failure(answer, 400, 1022)
    assert pointer in [e.get("source", {}).get("pointer") for e in answer.json()["errors"]], answer.text
    assert db.sql("SELECT count(*) FROM api_tokens") == before


@pytest.fixture(scope="module")
def bad_admin(api, db):
    return Admin(api, db)


def test_several_faults_are_named_at_once_and_what_is_no_object_is_refused(bad_admin):
    answer = bad_admin.call("POST", json={"name": "", "permissions": ["x"], "expires_on": "x", "condition": 1, "y": 2})
    failure(answer, 400, 1022)
    assert len(answer.json()["errors"]) == 5
    for data in (b"", b"[]", b"{", b'{"name":"a","name":"b","permissions":["read"]}'):
        failure(bad_admin.call("POST", data=data), 400, 1022)


def test_names_are_unique_among_tokens_in_use(admin):
    first = admin.make(name="same")
    failure(admin.call("POST", json={"name": "same", "permissions": ["read"]}), 409, 1409)
    result(admin.call("DELETE", "/" + first["id"]))
    admin.make(name="same")


def test_one_name_fifty_times_at_once_is_one_token(admin):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: admin.call("POST", json={"name": "race", "permissions": ["read"]}), range(50)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 49


def test_an_account_has_a_hundred_tokens(admin):
    admin.db.sql("INSERT INTO api_tokens (account_id, id, name, token_sha256, permissions) SELECT '%s', gen_random_uuid(),"
                 " 'n' || i, sha256(gen_random_uuid()::text::bytea), '{read}' FROM generate_series(1, 97) i" % admin.account.id)  # fmt: skip
    last = admin.make(name="last")  # with the account's own and the admin's
    failure(admin.call("POST", json={"name": "too many", "permissions": ["read"]}), 409, 1409)
    result(admin.call("DELETE", "/" + last["id"]))
    admin.make(name="again")


def test_the_hundred_are_exact_over_all_replicas(pair, db):
    admin = Admin(pair[0], db)
    admin.db.sql("INSERT INTO api_tokens (account_id, id, name, token_sha256, permissions) SELECT '%s', gen_random_uuid(),"
                 " 'n' || i, sha256(gen_random_uuid()::text::bytea), '{read}' FROM generate_series(1, 90) i" % admin.account.id)  # fmt: skip
    barrier = threading.Barrier(60)

    def create(i):
        barrier.wait()
        body = {"name": "c%d" % i, "permissions": ["read"]}
        return pair[i % 2].call("POST", admin.account.tokens_path(), None, admin.headers, json=body).status_code

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        assert sorted(pool.map(create, range(60))) == [200] * 8 + [409] * 52
    assert db.sql("SELECT count(*) FROM api_tokens WHERE account_id = '%s'" % admin.account.id) == [["100"]]


def test_revoked_tokens_are_forgotten_at_last(admin):
    admin.db.sql("INSERT INTO api_tokens (account_id, id, name, token_sha256, permissions, revoked_at) SELECT '%s',"
                 " gen_random_uuid(), 'n' || i, sha256(gen_random_uuid()::text::bytea), '{read}', now() - i * interval '1 s'"
                 " FROM generate_series(1, 1200) i" % admin.account.id)  # fmt: skip
    admin.make(name="new")
    kept = admin.db.sql("SELECT count(*), max(substr(name, 2)::integer) FROM api_tokens WHERE account_id = '%s'"
                        " AND revoked_at IS NOT NULL" % admin.account.id)  # fmt: skip
    assert kept == [["1000", "1000"]]


def test_only_admins_manage(api, db):
    account = Account(db)
    for permissions in ("read,download,collect", "read"):
        other = Admin(api, db, permissions, account)
        made = account.db.sql("SELECT replace(id::text, '-', '') FROM api_tokens WHERE account_id = '%s'" % account.id)[0][0]
        for method, tail in (("GET", ""), ("POST", ""), ("GET", "/" + made), ("DELETE", "/" + made), ("PUT", "/%s/value" % made)):
            failure(other.call(method, tail, json={} if method == "POST" else None), 403, 10001)
    for role, status in (("reader", 403), ("collector", 403), ("admin", 200)):
        email, key = account.new_user(role)
        headers = {"X-Auth-Email": email, "X-Auth-Key": key}
        assert api.call("GET", account.tokens_path(), None, headers).status_code == status
        answer = api.call("POST", account.tokens_path(), None, headers, json={"name": role, "permissions": ALL})
        assert answer.status_code == status
    assert db.sql("SELECT count(*) FROM api_tokens WHERE account_id = '%s' AND revoked_at IS NULL" % account.id) == [["4"]]


def test_nobody_gives_what_he_has_not(api, db):
    account = Account(db)
    narrow, whole = Admin(api, db, "admin,read", account), Admin(api, db, account=account)
    narrow.make(permissions=["read", "admin"])
    assert "download" in failure(narrow.call("POST", json={"name": "x", "permissions": ["read", "download"]}), 403, 10001)["message"]
    theirs = whole.make(permissions=["download"])
    failure(narrow.call("PUT", "/%s/value" % theirs["id"]), 403, 10001)
    assert whole.use(theirs["value"]) == 403  # good, and may download only
    result(whole.call("PUT", "/%s/value" % theirs["id"]))
    result(narrow.call("DELETE", "/" + theirs["id"]))  # taking away is no grant


def test_tokens_of_another_account_are_not_there(api, db, admin):
    other = Admin(api, db)
    theirs = other.make()

    def bare(answer):
        return answer.status_code, answer.content, {k: v for k, v in answer.headers.items()
                                                    if k.lower() not in ("x-request-id", "ratelimit", "date")}  # fmt: skip

    for method, tail in (("GET", "/%s"), ("DELETE", "/%s"), ("PUT", "/%s/value")):
        got = admin.call(method, tail % theirs["id"])
        failure(got, 404, 1404)
        assert bare(got) == bare(admin.call(method, tail % uuid7(time.time())))
        # in their account, too
        headers = admin.headers
        got = api.call(method, other.account.tokens_path(tail % theirs["id"]), None, headers)
        failure(got, 403, 10001)
        same = api.call(method, "/client/v4/accounts/%s/tokens%s" % (MISSING, tail % theirs["id"]), None, headers)
        assert bare(got) == bare(same)
    assert other.use(theirs["value"]) == 200
    assert theirs["id"] not in admin.call("GET", "?per_page=100").text
    failure(admin.call("GET", "/XYZ"), 404, 7003)
    failure(admin.call("PATCH", "/" + theirs["id"]), 405, 10405)


# --- where from ---


def test_sources(api, db, admin, tmp_path):
    here = admin.make(condition={"request_ip": {"in": ["198.51.100.0/24", "127.0.0.0/8"]}})
    elsewhere = admin.make(condition={"request_ip": {"in": ["198.51.100.0/24", "::1", "::/0"]}})
    assert admin.use(here["value"]) == 200
    assert admin.use(elsewhere["value"]) == 401
    assert "reason=\"token %s: not for this source\"" % elsewhere["id"] in api.log()
    assert "last_used_on" not in result(admin.call("GET", "/" + elsewhere["id"]))
    with Api(db, tmp_path, EDGECAP_LISTEN="[::1]:0") as six:
        assert admin.use(elsewhere["value"], six) == 200
        assert admin.use(here["value"], six) == 401
    operator = db.admin("token", "create", "--account", admin.account.id, "--name", "op", "--source", "192.0.2.0/24,127.0.0.1")
    assert admin.use(operator["token"]) == 200
    db.sql("UPDATE api_tokens SET sources = '{192.0.2.0/24}' WHERE name = 'op' AND account_id = '%s'" % admin.account.id)
    assert admin.use(operator["token"]) == 401


def test_a_token_for_some_networks_is_not_for_an_unknown_source(admin, db, tmp_path):
    bound = admin.make(condition={"request_ip": {"in": ["0.0.0.0/0", "::/0"]}})
    free = admin.make()
    path = tmp_path / "api.sock"
    settings = {"EDGECAP_LISTEN": "unix:%s" % path, "EDGECAP_EDGE_LISTEN": None, "EDGECAP_OPS_LISTEN": None}

    class OnSocket(Api):
        def ready(self):
            return path.exists()

    with OnSocket(db, tmp_path, **settings):
        assert unix_status(path, admin.account.path(), free["value"]) == 200
        assert unix_status(path, admin.account.path(), bound["value"]) == 401


def unix_status(path, target, token):
    import socket

    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n" % (target, token)).encode())
        return int(sock.recv(4096).split()[1])


# --- the last use ---


@pytest.fixture()
def writes(db):
    """How often a token's row was written; counted whatever becomes of the transaction."""
    db.sql("CREATE SEQUENCE token_writes; CREATE FUNCTION token_written() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
           "$$ BEGIN PERFORM nextval('token_writes'); RETURN NULL; END $$; CREATE TRIGGER token_written AFTER UPDATE ON "
           "api_tokens FOR EACH ROW EXECUTE FUNCTION token_written()")  # fmt: skip
    yield lambda: int(db.sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM token_writes")[0][0])
    db.sql("DROP TRIGGER token_written ON api_tokens; DROP FUNCTION token_written; DROP SEQUENCE token_writes")


def test_many_requests_at_once_write_the_last_use_once(pair, db, writes):
    admin = Admin(pair[0], db)
    for _ in range(5):
        made = admin.make()
        for api in pair:  # the gate holds back what it does not know
            assert admin.use(made["value"], api) == 200
        db.sql("UPDATE api_tokens SET last_used_at = NULL WHERE id = '%s'" % made["id"])
        before = writes()
        barrier = threading.Barrier(32)

        def use(i, value=made["value"], barrier=barrier):
            barrier.wait()
            return {admin.use(value, pair[i % 2]) for _ in range(5)}

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            assert set().union(*pool.map(use, range(32))) == {200}
        assert writes() - before == 1


def test_last_use_is_written_once_a_minute_and_by_nobody_who_has_to_wait(admin, db):
    made = admin.make()
    query = "SELECT last_used_at, xmin FROM api_tokens WHERE id = '%s'" % made["id"]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: admin.use(made["value"]), range(200))) == {200}
    row = db.sql(query)
    assert row[0][0]
    assert admin.use(made["value"]) == 200
    assert db.sql(query) == row
    db.sql("UPDATE api_tokens SET last_used_at = now() - interval '61 s' WHERE id = '%s'" % made["id"])
    # who holds the row (a revocation that is not committed) keeps no request waiting
    held = threading.Thread(target=db.sql, args=("BEGIN; SELECT FROM api_tokens WHERE id = '%s' FOR UPDATE; SELECT pg_sleep(3); "
                                                 "COMMIT" % made["id"],))  # fmt: skip
    held.start()
    await_true("the lock", 3, lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'BEGIN; SELECT FROM%'") != [["0"]])
    time.sleep(0.3)
    began = time.monotonic()
    assert [admin.use(made["value"]) for _ in range(20)] == [200] * 20
    assert time.monotonic() - began < 2 and held.is_alive()
    held.join()
    assert db.sql("SELECT last_used_at < now() - interval '1 minute' FROM api_tokens WHERE id = '%s'" % made["id"]) == [["t"]]
    assert admin.use(made["value"]) == 200
    assert db.sql("SELECT last_used_at > now() - interval '1 minute' FROM api_tokens WHERE id = '%s'" % made["id"]) == [["t"]]


def test_last_use_of_a_users_key(api, db):
    account = Account(db)
    email, key = account.new_user("reader")
    query = "SELECT k.last_used_at IS NOT NULL FROM api_keys k JOIN users u ON u.id = k.user_id WHERE u.email = '%s'" % email
    headers = {"X-Auth-Email": email, "X-Auth-Key": key}
    api.call("GET", account.path(), None, {**headers, "X-Auth-Key": "wrong"})
    assert db.sql(query) == [["f"]]
    result(api.call("GET", account.path(), None, headers))
    assert db.sql(query) == [["t"]]


# --- the end of a credential, on all replicas ---


@pytest.fixture(scope="module")
def pair(db, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    with Api(db, folder, "one") as one, Api(db, folder, "two") as two:
        yield one, two


class Hammer:
    """Four threads that use a credential without a pause; (time, status) of each answer by when it was asked."""

    def __init__(self, api, path, headers):
        self.api, self.path, self.headers = api, path, headers
        self.seen, self.on = [], True
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]

    def run(self):
        while self.on:
            asked = time.monotonic()
            self.seen.append((asked, self.api.call("GET", self.path, None, self.headers).status_code))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        await_true("answers", 10, lambda: len(self.seen) > 20)
        return self

    def __exit__(self, *_):
        self.on = False
        for thread in self.threads:
            thread.join()


ENDS = {
    "revoked by API": lambda a: result(a["admin"].call("DELETE", "/" + a["id"])),
    "new value by API": lambda a: result(a["admin"].call("PUT", "/%s/value" % a["id"])),
    "revoked by edgecap-admin": lambda a: a["db"].admin("token", "revoke", "--account", a["account"].id, "--name", a["id"]),
    "account disabled": lambda a: a["db"].admin("account", "disable", "--account", a["account"].id),
    "expired": lambda a: time.sleep(max(0, a["expires"] - time.time())),
    "user disabled": lambda a: a["db"].sql("UPDATE users SET disabled = true WHERE email = '%s'" % a["email"]),
    "key replaced": lambda a: a["db"].admin("user", "create", "--account", a["account"].id, "--email", a["email"], "--role",
                                            "reader", "--new-key"),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_the_end_of_a_credential_on_the_other_replica(pair, db, how):
    one, two = pair
    admin = Admin(one, db)
    expires = time.time() + 4
    made = admin.make(expires_on=rfc3339(expires) if how == "expired" else None)
    email, key = admin.account.new_user("reader")
    user = how.startswith(("user", "key"))
    headers = {"X-Auth-Email": email, "X-Auth-Key": key} if user else {"Authorization": "Bearer " + made["value"]}
    about = {"admin": admin, "id": made["id"], "db": db, "account": admin.account, "email": email, "expires": expires}
    with Hammer(two, admin.account.path(), headers) as hammer:
        assert {status for _, status in hammer.seen} == {200}
        ENDS[how](about)
        ended = time.monotonic()
        time.sleep(1.5)
    late = [status for asked, status in hammer.seen if asked > ended + 1]
    assert late and set(late) <= {401, 403}, set(late)
    assert set(late) == ({403} if how == "account disabled" else {401})
    # what was asked after the command had ended is refused without any delay
    assert {status for asked, status in hammer.seen if asked > ended + 0.2} == set(late)


# --- what the API's role may read ---


def test_the_api_role_reads_no_hash(db):
    for table, column in (("api_tokens", "token_sha256"), ("api_keys", "key_sha256"), ("samplers", "token_sha256")):
        for scope in ("account", "auth", "fleet", "admin"):
            got = db.sql("SELECT has_column_privilege('edgecap_api', '%s', '%s', 'SELECT')" % (table, column))
            assert got == [["f"]]
    with pytest.raises(AssertionError, match="permission denied"):
        db.sql("SET ROLE edgecap_api; SET edgecap.scope = 'auth'; SELECT token_sha256 FROM api_tokens")
    with pytest.raises(AssertionError, match="permission denied"):
        db.sql("SET ROLE edgecap_api; SET edgecap.scope = 'auth'; SELECT email FROM users")
    for privilege in ("INSERT", "UPDATE", "DELETE"):
        assert db.sql("SELECT has_table_privilege('edgecap_api', 'api_tokens', '%s'), has_any_column_privilege('edgecap_api', "
                      "'api_tokens', 'INSERT,UPDATE')" % privilege) == [["f", "f"]]  # fmt: skip


def test_the_api_role_sees_tokens_of_its_account_only(api, db, admin):
    other = Admin(api, db)
    got = db.sql("SET ROLE edgecap_api; SET edgecap.scope = 'account'; SET edgecap.account_id = '%s'; "
                 "SELECT DISTINCT replace(account_id::text, '-', '') FROM api_tokens" % other.account.id)  # fmt: skip
    assert got == [[other.account.id]]
    assert db.sql("SET ROLE edgecap_api; SET edgecap.scope = 'fleet'; SELECT count(id) FROM api_tokens") == [["0"]]


def test_json_of_answers_is_as_documented(admin):
    """A probe of the rig itself: an undocumented member would have failed above."""
    assert set(json.loads(admin.call("GET").text)) == {"result", "success", "errors", "messages", "result_info"}
