"""Who may do what to whom: every operation, with every kind of credential, on one's own, another's and nobody's.

What is another's answers exactly as what does not exist, and takes as long. What was refused has changed nothing.
"""

import http.client
import secrets

import pytest
from api_rig import Account, uuid7
from bucket_rig import bucket_api, entry
from contract import failure
from same_time import critical, distance, measure
from tenant_operations import OPERATIONS, Maker, documented, kept_object, send

NOBODY = "0123456789abcdef0123456789abcdef"
GRANTS = {
    "token:read": {"read"},
    "token:download": {"download"},
    "token:collect": {"collect"},
    "token:admin": {"admin"},
    "token:all": {"read", "download", "collect", "admin"},
    "user:reader": {"read", "download"},
    "user:collector": {"read", "download", "collect"},
    "user:admin": {"read", "download", "collect", "admin"},
}
STRANGERS = {"none": (400, 9106), "unknown": (401, 10000), "revoked": (401, 10000), "expired": (401, 10000),
             "disabled user": (401, 10000), "wrong key": (401, 10000)}  # fmt: skip
TIMES = 1000
# Of no other table does what a refused request may touch depend.
WATCHED = ("pcaps", "pcap_parts", "buckets", "idempotency_keys", "account_prefixes", "memberships",
           "(SELECT account_id, id, name, token_sha256, permissions, sources, expires_at, revoked_at FROM api_tokens)")
KEPT = "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM %s t"


class Tenant:
    """An account with every kind of credential that it can have, and something of each kind to be asked for."""

    def __init__(self, api, db):
        self.account = Account(db, running_max=100000)
        self.maker = Maker(api, self.account)
        self.headers = {role: self.credential(role) for role in GRANTS}

    def credential(self, role):
        kind, name = role.split(":")
        if kind == "user":
            email, key = self.account.new_user(name)
            return {"X-Auth-Email": email, "X-Auth-Key": key}
        return bearer(self.account.new_token("read,download,collect,admin" if name == "all" else name))


def bearer(token):
    return {"Authorization": "Bearer " + token}


@pytest.fixture(scope="module")
def api(db, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    with bucket_api(db, folder, [entry(folder)]) as api:
        yield api


@pytest.fixture(scope="module")
def tenants(api, db):
    return Tenant(api, db), Tenant(api, db)


@pytest.fixture(scope="module")
def strangers(db, tenants):
    """Credentials that are none (any more)."""
    account = tenants[0].account
    revoked, expired = account.new_token("read", "gone"), account.new_token("read", "late")
    db.admin("token", "revoke", "--account", account.id, "--name", "gone")
    db.sql("UPDATE api_tokens SET expires_at = now() WHERE account_id = '%s' AND name = 'late'" % account.id)
    email, key = account.new_user("admin")
    db.sql("UPDATE users SET disabled = true WHERE email = '%s'" % email)
    other_email, _ = account.new_user("admin")
    return {
        "none": {},
        "unknown": bearer(secrets.token_hex(32)),
        "revoked": bearer(revoked),
        "expired": bearer(expired),
        "disabled user": {"X-Auth-Email": email, "X-Auth-Key": key},
        "wrong key": {"X-Auth-Email": other_email, "X-Auth-Key": key},
    }


def bare(answer):
    """An answer without what is new in each."""
    headers = {k.lower(): v for k, v in answer.headers.items()}
    for name in ("x-request-id", "ratelimit", "date"):
        headers.pop(name, None)
    return answer.status_code, headers, answer.content


def same(answers):
    first = bare(answers[0])
    for answer in answers[1:]:
        assert bare(answer) == first
    return answers[0]


def kept(db):
    return [db.sql(KEPT % table)[0][0] for table in WATCHED]


def objects(operation, *who):
    """Ids for the path: of each of these tenants, then one that nobody has."""
    if not operation.has_object:
        return [None]
    return [kept_object(operation, tenant.maker) for tenant in who] + [uuid7(1795255200.0)]


def test_every_operation_is_in_the_matrix():
    rows = {o.id: (o.method, "/accounts/{account_id}" + o.tail) for o in OPERATIONS}
    paths = {name: (method, path if "%s" not in rows.get(name, ("", ""))[1] else with_one_hole(path))
             for name, (method, path) in documented().items()}  # fmt: skip
    assert rows == paths


def with_one_hole(path):
    head, _, rest = path.partition("}")
    before, _, tail = rest.partition("{")
    return head + "}" + before + "%s" + tail.partition("}")[2]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_strangers(api, tenants, strangers, operation):
    for who, headers in strangers.items():
        answers = [send(api, operation, account, i, headers, None)
                   for account in (tenants[0].account.id, tenants[1].account.id, NOBODY)
                   for i in objects(operation, *tenants)]  # fmt: skip
        failure(same(answers), *STRANGERS[who])
    known = [send(api, operation, tenants[0].account.id, objects(operation, *tenants)[0], headers, None)
             for who, headers in strangers.items() if who != "none"]  # fmt: skip
    same(known)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_what_is_refused(api, db, tenants, operation):
    """In another's account and in none: 403. In one's own with another's id or with none: 404. Without the permission: 403. Nothing changes."""
    before = kept(db)
    for mine, theirs in (tenants, tenants[::-1]):
        data = operation.make(mine.maker)[1] if operation.changes and not operation.has_object else None
        before = kept(db) if data else before
        for role, headers in mine.headers.items():
            outside = [send(api, operation, account, i, headers, data)
                       for account in (theirs.account.id, NOBODY) for i in objects(operation, mine, theirs)]  # fmt: skip
            failure(same(outside), 403, 10001)
            if operation.permission not in GRANTS[role]:
                inside = [send(api, operation, mine.account.id, i, headers, data) for i in objects(operation, mine, theirs)]
                assert bare(same(inside)) == bare(outside[0])
            elif operation.has_object:
                inside = [send(api, operation, mine.account.id, i, headers, data) for i in objects(operation, theirs)]
                failure(same(inside), 404, 1404)
    assert kept(db) == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_what_is_allowed(api, tenants, operation):
    for tenant in tenants:
        for role, headers in tenant.headers.items():
            if operation.permission in GRANTS[role]:
                object_id, data = operation.make(tenant.maker)
                answer = send(api, operation, tenant.account.id, object_id, headers, data)
                assert answer.status_code == operation.status, (role, answer.text)


def test_a_disabled_account_is_none(api, db, tenants):
    gone = Tenant(api, db)
    db.admin("account", "disable", "--account", gone.account.id)
    for operation in OPERATIONS:
        i = objects(operation, gone)[0]
        for headers in gone.headers.values():
            answers = [send(api, operation, account, i, headers, None)
                       for account in (gone.account.id, NOBODY, tenants[0].account.id)]  # fmt: skip
            failure(same(answers), 403, 10001)


class Line:
    """Keep-alive requests with as little of Python as can be in the time."""

    def __init__(self, api, headers):
        self.wire = http.client.HTTPConnection(*api.address())
        self.headers = headers

    def ask(self, method, path, status):
        def call():
            self.wire.request(method, path, headers=self.headers)
            answer = self.wire.getresponse()
            answer.read()
            assert answer.status == status

        return call


def assert_same_time(asks, seed):
    one, two = measure(asks, TIMES, seed)
    assert distance(one, two) <= critical(TIMES, TIMES), "%s: medians %.0f and %.0f us" % (
        seed, sorted(one)[TIMES // 2] * 1e6, sorted(two)[TIMES // 2] * 1e6)  # fmt: skip


def object_path(operation, account, object_id):
    return "/client/v4/accounts/%s%s" % (account, operation.tail % object_id)


WITH_OBJECT = [o for o in OPERATIONS if o.has_object]


@pytest.mark.parametrize("operation", WITH_OBJECT, ids=lambda o: o.id)
def test_anothers_id_takes_as_long_as_none(api, tenants, operation):
    mine, theirs = tenants
    line = Line(api, mine.headers["token:all"])
    asks = [line.ask(operation.method, object_path(operation, mine.account.id, i), 404)
            for i in (kept_object(operation, theirs.maker), uuid7(1795255200.0))]  # fmt: skip
    assert_same_time(asks, operation.id)


@pytest.mark.parametrize("role", ["token:all", "user:admin"])
def test_anothers_account_takes_as_long_as_none(api, tenants, role):
    mine, theirs = tenants
    line = Line(api, mine.headers[role])
    operation = next(o for o in OPERATIONS if o.id == "getPcap")
    asks = [line.ask("GET", object_path(operation, account, theirs.maker.kept), 403) for account in (theirs.account.id, NOBODY)]
    assert_same_time(asks, role)


def test_the_comparison_can_fail(api, tenants):
    """A look-up that one of the two would make and the other not."""
    mine, theirs = tenants
    line = Line(api, mine.headers["token:all"])
    operation = next(o for o in OPERATIONS if o.id == "getPcap")
    missing = uuid7(1795255200.0)
    asks = [line.ask("GET", object_path(operation, mine.account.id, missing), 404),
            line.ask("GET", object_path(operation, NOBODY, missing), 403)]  # fmt: skip
    one, two = measure(asks, TIMES, "control")
    assert distance(one, two) > critical(TIMES, TIMES)
