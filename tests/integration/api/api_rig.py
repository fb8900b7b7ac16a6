"""One or more edgecap-api processes on a private PostgreSQL and a directory store, without samplers.

The PostgreSQL is with-postgres's (tests/support): EDGECAP_TEST_DATABASE_URL and its companions. EDGECAP_BIN_DIR says which build.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import openapi_check
import requests
import secret_check

TOP = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("EDGECAP_BIN_DIR") or TOP / "build/dev/bin").resolve()
REPORTS = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion)")
DOCUMENTED = {
    "filter_v1": {
        "source_address": "1.2.3.4",
        "source_port": 123,
        "destination_address": "5.6.7.8",
        "destination_port": 80,
        "protocol": 6,
    },
    "time_limit": 300,
    "packet_limit": 10000,
    "type": "simple",
    "system": "magic-transit",
}
COUNTED = ("pcaps", "pcap_parts", "idempotency_keys", "audit_events")


def await_true(what, seconds, condition, every_s=0.05):
    """Wait until condition() is true and return what it gave; AssertionError after the time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %g s: %s" % (seconds, what)
        time.sleep(every_s)


def body(**changes):
    """A good body of POST /pcaps; None removes a field."""
    merged = {**DOCUMENTED, **changes}
    return {k: v for k, v in merged.items() if v is not None}


class Database:
    """The private PostgreSQL, migrated."""

    def __init__(self):
        self.owner_url = os.environ["EDGECAP_TEST_DATABASE_URL"]
        self.socket = os.environ["EDGECAP_TEST_PG_SOCKET"]
        self.control = os.environ["EDGECAP_TEST_PG_CTL"]
        self.api_url = "host=%s user=edgecap_api dbname=edgecap" % self.socket
        self.admin_url = "host=%s user=edgecap_admin dbname=edgecap" % self.socket
        self.admin("migrate")
        self.sql("ALTER ROLE edgecap_api LOGIN; ALTER ROLE edgecap_admin LOGIN")

    def sql(self, text):
        """Rows of a statement as the superuser, each a list of texts."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.socket,
             "-U", "postgres", "-d", "edgecap", "-c", text],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def admin(self, *words):
        """edgecap-admin in its own role; `migrate` as the owner."""
        done = subprocess.run(
            [str(BIN / "edgecap-admin"), *words, "--json"],
            env={**os.environ, "EDGECAP_DATABASE_URL": self.owner_url if words == ("migrate",) else self.admin_url},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return secret_check.note_answer(json.loads(done.stdout)) if done.stdout.strip() else None

    def counts(self):
        """How many rows there are in what a request may write to."""
        parts = ["(SELECT count(*) FROM %s)" % table for table in COUNTED]
        parts[-1] = "(SELECT count(*) FROM audit_events WHERE result = 'ok')"  # what was refused comes later
        return tuple(int(n) for n in self.sql("SELECT " + ", ".join(parts))[0])

    def slots(self):
        """When each account's last slot was taken."""
        return self.sql("SELECT id, last_collect_at FROM accounts ORDER BY id")

    @contextlib.contextmanager
    def locked(self, table):
        """Nobody reads the table meanwhile: whoever wants to waits."""
        holder = subprocess.Popen(["psql", "-X", "-q", "-At", "-h", self.socket, "-U", "postgres", "-d", "edgecap"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
        try:
            holder.stdin.write("BEGIN; LOCK TABLE %s; SELECT 'locked';\n" % table)
            holder.stdin.flush()
            assert holder.stdout.readline() == "locked\n"
            yield
        finally:
            holder.communicate("ROLLBACK;\n", timeout=60)

    def stop(self):
        subprocess.run([self.control, "stop", "-m", "immediate"], check=True, capture_output=True)

    def start(self):
        subprocess.run([self.control, "start"], check=True, capture_output=True)


class Account:
    """An account with a token that may do everything a tenant may."""

    def __init__(self, db, prefixes="5.6.7.0/24,2001:db8::/32", interval="0s", **options):
        self.db, self.name = db, "account-" + secrets.token_hex(4)
        words = ["--name", self.name, "--collect-interval", interval]
        if prefixes:
            words += ["--prefixes", prefixes, "--shared"]
        if options.pop("unrestricted", False):
            words += ["--unrestricted"]
        for key, value in options.items():
            words += ["--" + key.replace("_", "-"), str(value)]
        self.id = db.admin("account", "create", *words)["id"]
        self.token = self.new_token("read,download,collect")

    def new_token(self, permissions, name=None, **options):
        words = ["--account", self.id, "--permissions", permissions]
        words += ["--name", name or secrets.token_hex(6)]
        for key, value in options.items():
            words += ["--" + key.replace("_", "-"), str(value)]
        return self.db.admin("token", "create", *words)["token"]

    def new_user(self, role="collector"):
        email = secrets.token_hex(4) + "@example.net"
        made = self.db.admin("user", "create", "--account", self.id, "--email", email, "--role", role)
        return email, made["key"]

    @property
    def headers(self):
        return {"Authorization": "Bearer " + self.token}

    def path(self, tail=""):
        return "/client/v4/accounts/%s/pcaps%s" % (self.id, tail)

    def tokens_path(self, tail=""):
        return "/client/v4/accounts/%s/tokens%s" % (self.id, tail)


class Api:
    """One process. Use as a context manager, or call stop()."""

    def __init__(self, db, folder, name="api", wrapper=(), **settings):
        """wrapper: words in front of the program, which must become it."""
        self.db, self.dir, self.wrapper = db, Path(folder), wrapper
        self.store = self.dir / "store"
        self.log_path = self.dir / (name + ".log")
        self.settings = {
            "EDGECAP_LISTEN": "127.0.0.1:0",
            "EDGECAP_EDGE_LISTEN": "127.0.0.1:0",
            "EDGECAP_OPS_LISTEN": "127.0.0.1:0",
            "EDGECAP_UPLOAD_URL": "http://127.0.0.1:1",
            "EDGECAP_SIGNING_SECRET": "a signing secret of 32 bytes, at least",
            "EDGECAP_DATABASE_URL": db.api_url,
            "EDGECAP_STORAGE": "file://%s" % self.store,
            "EDGECAP_REQUEST_RATE": "100000",
            "EDGECAP_REQUEST_BURST": "100000",
            "EDGECAP_LOGIN_FAILURES": "100000",
            "EDGECAP_LOG_LEVEL": "debug",
            **settings,
        }
        self.process = None
        self.start()

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
        env.update({k: v for k, v in self.settings.items() if v is not None})
        secret_check.note_settings(self.settings)
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *self.wrapper, str(BIN / "edgecap-api")],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

        def listening():
            assert self.process.poll() is None, self.log()
            found = re.findall(r"event=listening listener=(\w+) addr=(\S+)", self.log()[offset:])
            wanted = sum(self.settings.get("EDGECAP_%sLISTEN" % k) is not None
                         for k in ("", "EDGE_", "OPS_"))  # fmt: skip
            return dict(found) if len(found) == wanted else None

        self.addresses = await_true("the API listens", 30, listening)
        self.base = "http://" + self.addresses["tenants"]
        await_true("the API is ready", 30, self.ready)

    def ready(self):
        listener = "ops" if "ops" in self.addresses else "tenants"
        return self.call("GET", "/readyz", listener=listener, timeout=10).status_code == 200

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def requests_logged(self):
        """The access log, each line a dict."""
        lines = [line for line in self.log().splitlines() if " event=request " in line]
        pattern = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
        return [dict(pattern.findall(line)) for line in lines]

    def address(self, listener="tenants"):
        host, port = self.addresses[listener].rsplit(":", 1)
        return host, int(port)

    def dial(self, listener="tenants", receive_bytes=None):
        path = self.addresses[listener].removeprefix("unix:")
        if path.startswith("/"):
            sock = Wire(listener, socket.AF_UNIX)
            sock.settimeout(60)
            sock.connect(path)
            return sock
        sock = Wire(listener)
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(60)
        sock.connect(self.address(listener))
        return sock

    def raw(self, data, listener="tenants"):
        """Send bytes on a connection of their own; (status, headers, body) of the one answer."""
        with self.dial(listener) as sock:
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_answer(sock)

    def call(self, method, path, account=None, headers=None, listener="tenants", **options):
        """A request with requests; the answer is held to the document."""
        merged = {**(account.headers if account else {}), **(headers or {})}
        merged = {k: v for k, v in merged.items() if v is not None}
        return requests.request(method, "http://%s%s" % (self.addresses[listener], path), headers=merged,
                                timeout=options.pop("timeout", 60), hooks={"response": openapi_check.hook(listener)},
                                **options)  # fmt: skip

    def metric(self, name):
        """The value of a sample; 0 when there is none yet."""
        text = self.call("GET", "/metrics", listener="ops", timeout=10).text
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0.0

    def stop(self, seconds=40):
        """SIGTERM; it must end by itself, with exit code 0, and without a sanitizer's report."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the API did not end on SIGTERM\n" + self.log()[-3000:])
        assert self.process.returncode == 0, self.log()[-6000:]
        found = REPORTS.search(self.log())
        assert not found, self.log()[found.start() :][:6000]
        secret_check.check_logs([self.log_path])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop()
        except AssertionError:
            if kind is None:
                raise
            sys.stderr.write(self.log()[-3000:])


class Wire(socket.socket):
    """Keeps the head of what is sent, so that read_answer can hold the answer to the document."""

    def __init__(self, listener="tenants", family=socket.AF_INET):
        super().__init__(family)
        self.listener, self.sent = listener, b""

    def sendall(self, data):
        self.sent += data[:65536]
        super().sendall(data)


def read_answer(wire):
    """(status, headers, body) of the one answer, held to the document; (None, {}, b"") when the connection was closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = receive(wire)
        if not piece:
            return None, {}, data
        data += piece
    top, _, rest = data.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        key, _, value = line.partition(":")
        headers[key.strip().lower()] = value.strip()
    status = int(lines[0].split()[1])
    bare = wire.sent.startswith(b"HEAD ") or status in (204, 304)
    length = 0 if bare else int(headers.get("content-length", "0"))
    while len(rest) < length:
        piece = receive(wire)
        if not piece:
            break
        rest += piece
    openapi_check.check_raw(wire.sent, status, headers, rest, wire.listener)
    return status, headers, rest


def receive(sock):
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""


def resident_bytes(api):
    with open("/proc/%d/statm" % api.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def small_quarantine():
    """A value of ASAN_OPTIONS for who looks at the memory of a process: what is freed is soon memory again."""
    options = [o for o in (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1", "thread_local_quarantine_size_kb=64") if o]
    return ":".join([*options, "allocator_release_to_os_interval_ms=500"])


def finished_job(api, account, pcap, pcapng=b"\x0a\x0d\x0d\x0a" + b"n" * 60, age_s=0, **columns):
    """A job that is done, with its files in the store, as an assembler leaves it; its id."""
    now = time.time() - age_s
    job = uuid7(now)
    keys = {}
    for kind, data in (("pcap", pcap), ("pcapng", pcapng)):
        keys[kind] = "files/%s/%s/capture.%s" % (account.id, job, kind)
        path = api.store / keys[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    row = {
        "account_id": account.id, "id": job, "type": "simple", "system": "magic-transit",
        "time_limit_s": 1, "packet_limit": 10, "filter": "{}", "selection_method": "none",
        "selection_interval": 0, "selection_space": 0, "selection_probability_ppb": 0,
        "selection_secret": "\\x" + "00" * 16, "stage": "done", "stop_reason": "time_limit",
        "parts_total": 1, "parts_assigned": 0, "parts_done": 1, "packets_in_file": 5,
        "submitted": rfc3339(now), "deadline": "@now", "completed": "@now", "expires": "@now",
        "pcap_key": keys["pcap"], "pcapng_key": keys["pcapng"],
        "pcap_bytes": len(pcap), "pcapng_bytes": len(pcapng),
        "pcap_sha256": hashlib.sha256(pcap).hexdigest(),
        "pcapng_sha256": hashlib.sha256(pcapng).hexdigest(),
        **columns,
    }  # fmt: skip
    row = {k: v for k, v in row.items() if v is not None}
    values = ["now()" if v == "@now" else "'%s'" % v for v in row.values()]
    api.db.sql(
        "SET session_replication_role = replica; INSERT INTO pcaps (%s) VALUES (%s)"
        % (", ".join(row), ", ".join(values))
    )
    return job


def rfc3339(seconds):
    """A time as the API writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7(now):
    """An id of this time (RFC 9562 section 5.7), in hex."""
    number = int(now * 1000) << 80 | 7 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=number | 2 << 62 | secrets.randbits(62)).hex
