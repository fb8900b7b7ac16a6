"""A world for the assembler: a migrated database, a directory, jobs whose hosts have ended, and the program.

Run beside tests/support/with-postgres.
"""

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/support"))
import secret_check  # noqa: E402

BIN = Path(os.environ.get("EDGECAP_BIN_DIR") or TOP / "build/dev/bin")
SOCKET = os.environ["EDGECAP_TEST_PG_SOCKET"]


def sanitized():
    """True when the program is built with a sanitizer: its memory and speed say little then."""
    program = (BIN / "edgecap-assembler").read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def await_true(what, seconds, condition):
    """Wait until condition() is true and return what it gave. what: a text, or what makes it in the end."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %g s: %s" % (seconds, what() if callable(what) else what)
        time.sleep(0.02)


def sql(text, user="postgres", database="edgecap"):
    """Run SQL; rows as lists of texts."""
    done = subprocess.run(
        ["psql", "-XqAt", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-h", SOCKET, "-U", user, "-d", database],
        input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\x1f") for line in done.stdout.splitlines()]


def row(text):
    """The one row of a query, as a dict."""
    rows = sql("SELECT row_to_json(q) FROM (%s) AS q" % text)
    assert len(rows) == 1, "%d rows" % len(rows)
    return json.loads(rows[0][0])


def migrate():
    """Bring the database up and let the assembler's and the operator's role log in."""
    env = dict(os.environ, EDGECAP_DATABASE_URL=os.environ["EDGECAP_TEST_DATABASE_URL"])
    subprocess.run([BIN / "edgecap-admin", "migrate"], env=env, check=True, capture_output=True)
    sql("ALTER ROLE edgecap_assembler LOGIN; ALTER ROLE edgecap_admin LOGIN")


ids = itertools.count()


def new_id():
    """A UUIDv7 of now, as 32 hex characters, greater than those before."""
    return "%012x7%03x8%015x" % (int(time.time() * 1000), next(ids) % 4096, secrets.randbits(60))


class Host:
    """An edge host's part of a job."""

    def __init__(self, name, colo="ord01", state="done", reason="time_limit", **columns):
        self.name, self.colo, self.state, self.reason = name, colo, state, reason
        self.columns, self.id, self.chunks, self.packets = columns, new_id(), {}, 0

    def add(self, content, packets, stream=0, seq=None):
        """A chunk of the host: its bytes, and the number of packets in it."""
        if seq is None:
            seq = sum(1 for s, _ in self.chunks if s == stream)
        self.chunks[stream, seq] = content
        self.packets += packets


class Job:
    """A job whose parts have ended, in the database and in the store."""

    def __init__(self, world, hosts, limit=10000, filter_v1="{}", unrestricted=True, prefixes=(), **columns):
        self.world, self.hosts, self.id, self.account = world, hosts, new_id(), secrets.token_hex(16)
        self.limit, self.filter_v1, self.columns = limit, filter_v1, {"type": "simple", **columns}
        text = "INSERT INTO accounts (id, name, unrestricted) VALUES ('%s', '%s', %s);" % (
            self.account, self.account, unrestricted)
        for prefix in prefixes:
            text += "INSERT INTO account_prefixes VALUES ('%s', '%s', now(), true);" % (self.account, prefix)
        text += self._insert() + "".join(self._insert_part(host) for host in hosts)
        sql("BEGIN;" + text + "COMMIT;")

    @property
    def where(self):
        return "account_id = '%s' AND id = '%s'" % (self.account, self.id)

    def _insert(self):
        n = len(self.hosts)
        return """INSERT INTO pcaps (account_id, id, system, time_limit_s, packet_limit, filter,
            selection_method, selection_interval, selection_space, selection_probability_ppb,
            selection_secret, submitted, deadline, stage, parts_total, parts_assigned, %s)
            VALUES ('%s', '%s', 'magic-transit', 10, %s, '%s', 'none', 0, 0, 0,
            decode(repeat('00', 16), 'hex'), now() - interval '20 s', now() + interval '20 s',
            'capturing', %d, %d, %s);""" % (
            ", ".join(self.columns), self.account, self.id, self.limit or "NULL", self.filter_v1, n, n,
            ", ".join("'%s'" % value for value in self.columns.values()))

    def _insert_part(self, host):
        columns = dict(host.columns, state=host.state, reason=host.reason)
        columns.setdefault("captured", host.packets)
        columns.setdefault("chunks_stored", len(host.chunks))
        columns.setdefault("started", "2023-11-14T22:13:20Z")
        columns.setdefault("ended", "2023-11-14T22:13:30Z")
        key = "account_id = '%s' AND pcap_id = '%s' AND sampler_id = '%s'" % (
            self.account, self.id, host.id)
        return """INSERT INTO pcap_parts (account_id, pcap_id, sampler_id, sampler_name, colo, software,
            state) VALUES ('%s', '%s', '%s', '%s', '%s', '0.1.0', 'assigned');
            UPDATE pcap_parts SET %s WHERE %s;""" % (
            self.account, self.id, host.id, host.name, host.colo,
            ", ".join("%s = '%s'" % item for item in columns.items()), key)

    def store(self, order=None):
        """Put the hosts' chunks into the store."""
        chunks = [(host, key) for host in self.hosts for key in host.chunks]
        if order:
            order.shuffle(chunks)
        for host, (stream, seq) in chunks:
            path = self.world.store / "chunks" / self.account / self.id / host.id
            path.mkdir(parents=True, exist_ok=True)
            (path / ("%02d-%08d.pcapng" % (stream, seq))).write_bytes(host.chunks[stream, seq])
        return self

    def ready(self):
        """All parts have ended: an assembler may claim it."""
        sql("""UPDATE pcaps SET stage = 'ready', claim_at = now(), parts_assigned = 0 WHERE %s;
            NOTIFY edgecap_ready, '%s %s';""" % (self.where, self.account, self.id))
        return self

    def again(self):
        """As if it had never been assembled: no legal move, done behind the triggers' back."""
        sql("""SET session_replication_role = replica;
            UPDATE pcaps SET stage = 'ready', claim_at = now(), attempts = 0, completed = NULL,
            expires = NULL, lease_owner = NULL, lease_id = NULL WHERE %s;""" % self.where)
        return self

    def delete(self):
        """What a tenant's DELETE does; the outcome."""
        return sql("SELECT pcap_delete('%s', '%s', '%s', '%s', 'token:test', '192.0.2.1', 'r')" % (
            self.account, self.id, new_id(), self.account))[0][0]

    def row(self):
        return row("SELECT * FROM pcaps WHERE " + self.where)

    def parts(self):
        rows = sql("""SELECT row_to_json(p) FROM pcap_parts AS p
            WHERE account_id = '%s' AND pcap_id = '%s' ORDER BY sampler_id""" % (self.account, self.id))
        return [json.loads(r[0]) for r in rows]

    def stage(self):
        return sql("SELECT stage FROM pcaps WHERE " + self.where)[0][0]

    def await_stage(self, stage, seconds=30):
        await_true(lambda: "stage %s: it is %s\n%s" % (stage, self.row(), self.world.logs()), seconds,
                   lambda: self.stage() == stage)
        return self.row()

    def path(self, extension):
        return self.world.store / "pcaps" / self.account / self.id / ("capture." + extension)

    def chunk_folder(self):
        return self.world.store / "chunks" / self.account / self.id


class Assembler:
    """The program, with its log."""

    def __init__(self, world, as_user=None, **settings):
        self.log_path = world.dir / ("assembler-%d.log" % len(world.assemblers))
        env = dict(os.environ, EDGECAP_STORAGE="file://%s" % world.store, EDGECAP_LEASE="2s",
                   EDGECAP_DATABASE_URL="host=%s user=edgecap_assembler dbname=edgecap" % SOCKET)
        env.update(secret_check.note_settings({"EDGECAP_" + name: str(value) for name, value in settings.items()}))
        argv = [BIN / "edgecap-assembler"]
        if as_user:
            argv = ["setpriv", "--reuid=" + as_user, "--clear-groups", "--"] + argv
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(argv, env=env, stderr=log, stdout=log)
        world.assemblers.append(self)

    def log(self):
        return self.log_path.read_text()

    def events(self, name):
        return [line for line in self.log().splitlines() if " event=%s" % name in line]

    def await_event(self, name, seconds=30, count=1):
        await_true(lambda: "event %s in:\n%s" % (name, self.log()), seconds,
                   lambda: len(self.events(name)) >= count)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=20):
        """SIGTERM, and how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def peak_kib(self):
        for line in open("/proc/%d/status" % self.process.pid, encoding="ascii"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        raise AssertionError("no VmHWM")


class World:
    """What one test has for itself."""

    def __init__(self, directory):
        self.dir, self.store, self.assemblers = Path(directory), Path(directory) / "store", []
        self.store.mkdir()

    def assembler(self, **settings):
        return Assembler(self, **settings)

    def job(self, hosts, **options):
        return Job(self, hosts, **options).store().ready()

    def logs(self):
        return "\n".join(a.log() for a in self.assemblers)

    def close(self):
        """End what runs: by SIGTERM, with exit code 0."""
        running = [a for a in self.assemblers if a.process.poll() is None]
        for a in running:
            a.process.send_signal(signal.SIGCONT)
            a.process.send_signal(signal.SIGTERM)
        codes = []
        for a in running:
            try:
                codes.append(a.process.wait(30))
            except subprocess.TimeoutExpired:
                a.kill()
                codes.append("stuck")
        # No job of this test is left to the next one's assembler.
        sql("""SET session_replication_role = replica;
            UPDATE pcaps SET stage = 'failed', claim_at = NULL, chunks_removed = true
            WHERE stage IN ('ready', 'assembling', 'capturing')""")
        assert all(code == 0 for code in codes), (codes, [a.log() for a in running])
        secret_check.check_logs([a.log_path for a in self.assemblers])
