"""Requests that are nearly right, from a seed: the same seed and number give the same bytes in the same world.

A World is what there is to be asked for: accounts with credentials that are good, an account that nobody has credentials of, ids, a
sampler. conversation(seed, n, world) is what one connection carries: a few Requests, one after the other, most of them with one or two
mutations of what would be right. What is broken in framing comes last, as the connection ends with it.
"""

import hmac
import json
import random
from dataclasses import dataclass, field

NOBODY = "0123456789abcdef0123456789abcdef"
PCAPS = "/client/v4/accounts/{account}/pcaps"
TOKENS = "/client/v4/accounts/{account}/tokens"
BAD_TEXTS = ["", "\0", "\u0000x", "\ud800", "é", "\U0001f4a9" * 9, "a" * 300, "../../etc/passwd", "%00", "%2e%2e%2f", "'; DROP TABLE pcaps; --",
             "{}", "null", "-1", "0x10", "1e308", "\r\nX: y", "<script>", "${jndi:x}", "%s%n%d"]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 65535, 65536, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400, -(10**30), 0.5, -0.0, 1e300, 1.0]
QUERIES = ["", "?", "?page=1", "?page=2&per_page=1", "?page=0", "?page=-1", "?page=99999999999999999999", "?per_page=101", "?per_page=1&per_page=1",
           "?format=pcap", "?format=pcapng", "?format=x", "?format=pcap&format=pcap", "?status=success", "?type=full", "?type=simple", "?order=asc",
           "?%70age=1", "?page=%31", "?page=%zz", "?%", "?a", "?a=b=c", "?&&&", "?" + "x=1&" * 400, "?filter=1", "?page=1%00"]  # fmt: skip
HEADERS = ["Range: bytes=0-1", "Range: bytes=-1", "Range: bytes=5-", "Range: bytes=9-1", "Range: bytes=0-0,2-2", "Range: bytes=99999999999999999999-",
           "Range: lines=1-2", "Range: bytes=0-1\r\nRange: bytes=2-3", "If-None-Match: *", "If-None-Match: \"x\"", "If-None-Match: W/\"x\", \"y\"",
           "If-Range: \"x\"", "If-Range: Wed, 21 Oct 2015 07:28:00 GMT", "If-Match: *", "If-Modified-Since: x", "Accept: */*",
           "Accept: application/json;q=0", "Accept-Encoding: gzip", "Idempotency-Key: k", "Idempotency-Key: k2", "Idempotency-Key: ",
           "Idempotency-Key: " + "k" * 300, "Idempotency-Key: a\r\nIdempotency-Key: b", "Content-Type: application/json",
           "Content-Type: application/json; charset=utf-8", "Content-Type: text/plain", "Content-Type: ", "Content-Type: a\r\nContent-Type: b",
           "Content-Encoding: gzip", "Expect: 100-continue", "Expect: x", "Connection: close", "Connection: keep-alive", "Connection: upgrade",
           "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: " + "1," * 500, "Forwarded: for=x",
           "X-Request-Id: " + "f" * 32, "Cookie: a=b", "X: " + "y" * 3000, "Te: trailers", "Trailer: x", "Via: 1.1 x", "X-Http-Method-Override: DELETE",
           "Host: y", "A: \xe4\xff", "A:", "A: \x01", "A : b", " folded: x", "A", ": b", "Content-Length: 0", "Content-Length: 5", "Content-Length: -1",
           "Content-Length: 99999999999", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding:\tchunked"]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "G" * 40, "", "GET\0", "PRI", "PROPFIND"]
SUBMISSION = {
    "time_limit": 300, "packet_limit": 10000, "type": "simple", "system": "magic-transit",
    "filter_v1": {"source_address": "1.2.3.4", "source_port": 123, "destination_address": "5.6.7.8", "destination_port": 80, "protocol": 6},
}  # fmt: skip
TOKEN = {"name": "{unique}", "permissions": ["read", "download"], "expires_on": "2099-01-01T00:00:00Z",
         "condition": {"request_ip": {"in": ["127.0.0.0/8", "2001:db8::/32"]}}}  # fmt: skip
FULL = {"type": "full", "system": "magic-transit", "time_limit": 60, "byte_limit": 1000, "colo_name": "ord02", "destination_conf": "s3://b/d?region=r"}


@dataclass
class World:
    """tokens: of accounts[i], with all permissions. keys: (email, key) likewise."""

    accounts: list
    tokens: list
    keys: list
    spares: list  # ids of tokens of accounts[i] that nobody needs
    jobs: list  # of accounts[i]: ids, the first of them done
    doomed: list  # of accounts[i]: ids of done ones that nobody needs
    stranger: str  # an account without credentials here
    stranger_job: str
    sampler: str  # its token
    signing_secret: str
    destination: str
    challenges: list  # of accounts[i]
    now_s: int


@dataclass
class Request:
    listener: str
    data: bytes
    method: str
    pieces: list = field(default_factory=list)  # how it is written
    broken: bool = False  # more may be promised than comes: nothing can follow


@dataclass
class Call:
    """A route as a right request would use it."""

    name: str
    listener: str
    method: str
    path: str
    body: object = None
    weight: int = 1


CALLS = [
    Call("pcaps.submit", "tenants", "POST", PCAPS, SUBMISSION, 6),
    Call("pcaps.submit", "tenants", "POST", PCAPS, FULL, 2),
    Call("pcaps.list", "tenants", "GET", PCAPS, weight=3),
    Call("pcaps.limits", "tenants", "GET", PCAPS + "/limits"),
    Call("pcaps.get", "tenants", "GET", PCAPS + "/{job}", weight=3),
    Call("pcaps.download", "tenants", "GET", PCAPS + "/{job}/download", weight=3),
    Call("pcaps.stop", "tenants", "PUT", PCAPS + "/{job}/stop", weight=2),
    Call("ownership.list", "tenants", "GET", PCAPS + "/ownership"),
    Call("ownership.create", "tenants", "POST", PCAPS + "/ownership", {"destination_conf": "{destination}"}, 2),
    Call("ownership.validate", "tenants", "POST", PCAPS + "/ownership/validate",
         {"destination_conf": "{destination}", "ownership_challenge": "{challenge}"}, 2),
    Call("ownership.delete", "tenants", "DELETE", PCAPS + "/ownership/{job}"),
    Call("pcaps.delete", "tenants", "DELETE", PCAPS + "/{doomed}"),
    Call("audit.list", "tenants", "GET", TOKENS.replace("/tokens", "/audit")),
    Call("tokens.list", "tenants", "GET", TOKENS),
    Call("tokens.create", "tenants", "POST", TOKENS, TOKEN),
    Call("tokens.get", "tenants", "GET", TOKENS + "/{spare}"),
    Call("tokens.roll", "tenants", "PUT", TOKENS + "/{spare}/value"),
    Call("tokens.revoke", "tenants", "DELETE", TOKENS + "/{spare}"),
    Call("edge.sync", "edge", "POST", "/edge/v1/sync", {}, 4),
    Call("edge.object", "edge", "PUT", "/edge/v1/objects/{key}", b"chunk", 3),
    Call("healthz", "tenants", "GET", "/healthz"),
    Call("readyz", "edge", "GET", "/readyz"),
    Call("metrics", "ops", "GET", "/metrics"),
]  # fmt: skip


def sync_message(rng):
    """With a part that the API does not know, so that it is answered at once."""
    ledger = {"received": rng.randrange(1000), "captured": rng.randrange(1000)}
    interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
    part = {"account": NOBODY, "pcap": "%032x" % rng.getrandbits(128), "state": "running", "started_us": 0, "ended_us": 0,
            "ledger": rng.choice([{}, ledger]), "streams": rng.choice([[], [{"stream": 0, "next_seq": 1, "grants": 0}]])}  # fmt: skip
    return {"version": 1, "boot": "%032x" % 1, "seq": rng.randrange(1, 2**40), "clock_us": 1_700_000_000_000_000, "software": "s", "host": "h",
            "interfaces": [interface], "parts": [part]}  # fmt: skip


def nested(rng):
    depth = rng.choice([5, 30, 100, 1000, 5000])
    return rng.choice(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth])


def mutate_value(rng, value, depth=0):
    """value with one thing in it changed."""
    if isinstance(value, dict) and value and depth < 5 and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        changed = dict(value)
        kind = rng.random()
        if kind < 0.15:
            del changed[key]
        elif kind < 0.25:
            changed[rng.choice(BAD_TEXTS)] = changed.pop(key)
        elif kind < 0.35:
            changed["x" * rng.choice([1, 100, 5000])] = value[key]
        else:
            changed[key] = mutate_value(rng, value[key], depth + 1)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        changed = list(value)
        i = rng.randrange(len(changed))
        changed[i] = mutate_value(rng, changed[i], depth + 1)
        return changed * rng.choice([1, 1, 1, 2, 20])
    return rng.choice([None, True, [], {}, [value], {"a": value}, rng.choice(NUMBERS), rng.choice(BAD_TEXTS), str(value) + rng.choice(BAD_TEXTS)])


def mutate_text(rng, data):
    """Bytes of a JSON text, or of anything, with one thing changed."""
    kind, at = rng.randrange(9), rng.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at:]
    if kind == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 3:
        return data[:at] + rng.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0", b"\xef\xbb\xbf"]) + data[at:]
    if kind == 4:
        return data + rng.choice([b" ", b"x", b"{}", b",", b"\0", data])
    if kind == 5:
        return nested(rng).encode()
    if kind == 6 and data[:1] == b"{":
        return data[:-1] + b"," + data[1:]  # every member twice
    if kind == 7:
        return data.replace(b"1", rng.choice([b"01", b"1e400", b"1.0", b"-1", b"NaN", b"1" * 400]), 1)
    return b" " * rng.choice([1, 1000, 70000]) + data


def body_of(rng, call, world, who):
    """The call's body, most of the time nearly right."""
    if call.body is None:
        return rng.choice([b"", b"", b"", b"", b"{}", b"x" * 100])
    if isinstance(call.body, bytes):
        return rng.choice([call.body, call.body * rng.randrange(1, 300), b""])
    value = sync_message(rng) if call.name == "edge.sync" else call.body
    fields = {"{unique}": "%032x" % rng.getrandbits(128), "{destination}": world.destination, "{challenge}": world.challenges[who]}
    value = {k: fields.get(v, v) if isinstance(v, str) else v for k, v in value.items()}
    if rng.random() < 0.5:
        value = mutate_value(rng, value)
    data = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutate_text(rng, data) if rng.random() < 0.15 else data


def object_target(rng, world):
    """What the API signs (storage/signed_url.h), mostly."""
    key = "chunks/%s/%s/%s/%02d-%08d.pcapng" % (NOBODY, "%032x" % rng.getrandbits(128), NOBODY, rng.randrange(3), rng.randrange(99))
    if rng.random() < 0.15:
        key = rng.choice(["../" + key, "a", key.upper(), key + "/", "chunks//", "%2e%2e/" + key, "files/a"])
    expires = world.now_s + rng.choice([600, 600, 600, 600, -1, 10**15])
    limit = rng.choice([1000000, 1000000, 4, 0, 2**63])
    text = "PUT\n%s\n%d\n%d" % (key, expires, limit)
    sig = hmac.new(world.signing_secret.encode(), text.encode(), "sha256").hexdigest()
    target = "/edge/v1/objects/%s?expires=%d&max=%d&sig=%s" % (key, expires, limit, sig)
    return mutate_target(rng, target) if rng.random() < 0.15 else target


def mutate_target(rng, target):
    at = rng.randrange(1, len(target) + 1)
    return rng.choice([
        target[:at], target[:at] + "/" + target[at:], target[:at] + rng.choice(["%00", "%2F", ";x", "//", "..", "%", "~", "\x7f", " ", "#", "\xe4"]) + target[at:],
        target.upper(), target.replace("a", "A", 1), "//" + target, target + "/", target + "/..", target + "/../../x", target[1:], "http://x" + target,
        "*", "x:443", target + "a" * 2100, target[:at] + target[at + 1 :],
    ])  # fmt: skip


def target_of(rng, call, world, who):
    if call.name == "edge.object":
        return object_target(rng, world)
    account = world.accounts[who]
    job = world.jobs[who][0] if rng.random() < 0.5 else rng.choice(world.jobs[who])
    if rng.random() < 0.08:
        account = rng.choice([world.stranger, NOBODY, world.accounts[1 - who], account[:-1], account.upper(), account + "0", ""])
    if rng.random() < 0.12:
        job = rng.choice([world.stranger_job, NOBODY, world.jobs[1 - who][0], job[:-1], job.upper(), "x", job + "%20"])
    target = call.path.format(account=account, job=job, spare=rng.choice(world.spares[who]), doomed=rng.choice(world.doomed[who]),
                              key="")
    if rng.random() < 0.3:
        target += rng.choice(QUERIES)
    return mutate_target(rng, target) if rng.random() < 0.06 else target


def credentials_of(rng, call, world, who):
    """Lines of the head."""
    if call.listener == "edge":
        token = world.sampler if rng.random() < 0.9 else rng.choice(["x", world.tokens[who], "a" * 257, ""])
        return ["Authorization: Bearer " + token]
    good = ["Authorization: Bearer " + world.tokens[who]]
    email, key = world.keys[who]
    kind = rng.random()
    if kind < 0.7:
        return good
    if kind < 0.85:
        return ["X-Auth-Email: " + email, "X-Auth-Key: " + key]
    return rng.choice([
        [], good * 2, ["Authorization: Bearer " + "a" * rng.choice([1, 40, 256, 257, 8000])], ["Authorization: Basic eDp5"], ["Authorization:"],
        ["Authorization: bearer  " + world.tokens[who]], ["Authorization: Bearer " + world.tokens[who][:-1]], ["Authorization: Bearer \xff\xfe"],
        ["X-Auth-Email: " + email], ["X-Auth-Key: " + key], ["X-Auth-Email: " + email, "X-Auth-Key: x"],
        ["X-Auth-Email: " + email, "X-Auth-Email: " + email, "X-Auth-Key: " + key], ["Authorization: Bearer " + world.sampler],
        good + ["X-Auth-Email: x", "X-Auth-Key: y"], ["Authorization: Bearer " + world.tokens[1 - who]],
    ])  # fmt: skip


def chunk(rng, body):
    """body in chunks; broken now and then."""
    out, at = b"", 0
    while at < len(body):
        n = rng.choice([1, 7, 100, 5000, len(body)])
        piece = body[at : at + n]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
        at += n
    out += b"0\r\n\r\n"
    if rng.random() < 0.25:
        out = rng.choice([out[:-2], out.replace(b"\r\n", b"\n", 1), b"fffffffff\r\n" + out, b"-1\r\n" + out, out.replace(b"\r\n", b";x=y\r\n", 1),
                          out[:-2] + b"Trailer: x\r\n\r\n", b"0x" + out, b"ffffffff\r\n" + out, mutate_text(rng, out)])  # fmt: skip
    return out


def one(rng, world):
    """One request."""
    call = rng.choices(CALLS, [c.weight for c in CALLS])[0]
    who = rng.randrange(len(world.accounts))
    listener = call.listener if rng.random() < 0.97 else rng.choice(["tenants", "edge", "ops"])
    method = call.method if rng.random() < 0.93 else rng.choice(METHODS)
    if call.method == "GET" and rng.random() < 0.05:
        method = "HEAD"
    body = body_of(rng, call, world, who)
    lines = ["Host: x", *credentials_of(rng, call, world, who)]
    framing = rng.random()
    if framing < 0.12:
        lines.append("Transfer-Encoding: chunked")
        body = chunk(rng, body)
    elif framing < 0.97 and (body or call.method != "GET"):
        lines.append("Content-Length: %d" % len(body))
    elif body:
        lines.append("Content-Length: %d" % rng.choice([0, len(body) - 1, len(body) + 1, 65536, 65537, 8 * 1024 * 1024, 10**12]))
    if rng.random() < 0.35:
        for _ in range(rng.choice([1, 1, 1, 2, 3, 70])):
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(HEADERS))
    version = "HTTP/1.1" if rng.random() < 0.97 else rng.choice(["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "", "HTTP/1.1 x"])
    head = "%s %s %s\r\n%s\r\n\r\n" % (method, target_of(rng, call, world, who), version, "\r\n".join(lines))
    data = head.encode("latin-1", "replace") + body
    if rng.random() < 0.03:
        data = mutate_text(rng, data)
    return Request(listener, data, data.partition(b" ")[0].decode("latin-1"))


def split(rng, data):
    """The writes of a request: most often one."""
    if rng.random() < 0.85 or len(data) < 2:
        return [data]
    cuts = sorted({rng.randrange(1, len(data)) for _ in range(rng.choice([1, 2, 5]))})
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def conversation(seed, number, world):
    """What connection `number` carries: requests for one listener."""
    rng = random.Random("%d/%d" % (seed, number))
    first = one(rng, world)
    requests = [first]
    for _ in range(rng.choice([0, 1, 3, 7, 15])):
        request = one(rng, world)
        if request.listener == first.listener:
            requests.append(request)
    for request in requests:
        request.pieces = split(rng, request.data)
    if rng.random() < 0.05:  # the next one does not wait for the answer
        requests[0].pieces[-1] += requests[-1].data
        requests[0].broken = True
    return requests
