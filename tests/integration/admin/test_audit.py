#!/usr/bin/python3
"""What an operator does is in the audit: each command that changes something, with exactly its rows and in one transaction with them.

The commands and their flags are read from --help: a new one fails here until a step of STEPS runs it, or READS names it. One who looks
for an answer finds it with `edgecap-admin audit`: who made a token for this sampler, who trusted it again, who shared this prefix.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import unittest

from admin_rig import HEX, OPERATOR, OWNER, SOCKET, TIME, Calls, run, setUpModule, sql  # noqa: F401

ME = "operator:" + pwd.getpwuid(os.getuid()).pw_name
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../migrations")
JOB = "0193" + "0" * 8 + "7000a" + "%015d" % 7
READS = {"account list", "user list", "token list", "sampler list", "audit"}
ELSEWHERE = {"migrate"}  # as the tables' owner, in a database of its own: Migrations
# Flags of every command: what they say of the connection and of the output changes nothing.
COMMON = {"--database-url", "--json", "--help", "--version"}
AUDIT_TABLES = ("audit_events", "audit_fleet")


class Step:
    """One command, and the rows that it must leave: (account's name or None, action, of what, detail).

    "Of what" is a name for the id that a step with this name in makes has printed; None: no object. before: SQL that prepares it.
    """

    def __init__(self, words, flags, rows, makes=None, before=None):
        self.words, self.flags, self.rows, self.makes, self.before = words, flags, rows, makes, before


ANN = ["--email", "ann@example.net"]
EDGE = ["--name", "edge 1"]

STEPS = (
    Step("account create", ["--name", "big", "--prefixes", "192.0.2.0/24,2001:db8::/32", "--shared", "--collect-interval", "5m",
                            "--running-max", "3", "--full-running-max", "2", "--retention", "90m", "--unrestricted",
                            "--account-id", "0" * 24 + "00000b16"],
         [("big", "account.create", None, "name=big collect_interval_s=300 running_max=3 full_running_max=2 retention_s=5400"
           " unrestricted=true"),
          ("big", "prefix.add", None, "shared=true 192.0.2.0/24,2001:db8::/32")], "big"),
    Step("account create", ["--name", "small"],
         [("small", "account.create", None, "name=small collect_interval_s=60 running_max=16 full_running_max=1 retention_s=0"
           " unrestricted=false")], "small"),
    Step("account set", ["--account", "small", "--collect-interval", "0s", "--running-max", "4", "--full-running-max", "3",
                         "--retention", "24h"],
         [("small", "account.set", None, "collect_interval_s=0 running_max=4 full_running_max=3 retention_s=86400")]),
    Step("account set", ["--account", "small", "--retention", "0s"], [("small", "account.set", None, "retention_s=0")]),
    Step("account disable", ["--account", "small"], [("small", "account.disable", None, "")]),
    Step("account disable", ["--account", "small", "--enable"], [("small", "account.enable", None, "")]),
    Step("prefix add", ["--account", "small", "--prefixes", "203.0.113.7,198.51.100.0/24"],
         [("small", "prefix.add", None, "198.51.100.0/24,203.0.113.7")]),
    # what it has already stays as it is, so nobody has shared it
    Step("prefix add", ["--account", "small", "--prefixes", "198.51.100.0/24,192.0.2.128/25", "--shared"],
         [("small", "prefix.add", None, "shared=true 192.0.2.128/25")]),
    Step("prefix add", ["--account", "small", "--prefixes", "198.51.100.0/24", "--shared"],
         [("small", "prefix.add", None, "none")]),
    Step("prefix remove", ["--account", "small", "--prefixes", "203.0.113.7,203.0.113.8"],
         [("small", "prefix.remove", None, "203.0.113.7")]),
    Step("user create", [*ANN, "--account", "small", "--role", "reader"],
         [("small", "user.create", "ann", "email=ann@example.net role=reader new_key")], "ann"),
    Step("user create", [*ANN, "--account", "big", "--role", "admin", "--new-key"],
         [("big", "user.create", "ann", "email=ann@example.net role=admin new_key"),
          ("small", "user.new_key", "ann", "email=ann@example.net")]),
    Step("user create", [*ANN, "--account", "big", "--role", "collector"],
         [("big", "user.create", "ann", "email=ann@example.net role=collector")]),
    Step("user disable", ANN,
         [("big", "user.disable", "ann", "email=ann@example.net"), ("small", "user.disable", "ann", "email=ann@example.net")]),
    Step("user remove", [*ANN, "--account", "big"], [("big", "user.remove", "ann", "email=ann@example.net")]),
    Step("user remove", [*ANN, "--account", "small"], [("small", "user.remove", "ann", "email=ann@example.net key_revoked")]),
    # of no account any more
    Step("user disable", [*ANN, "--enable"], [(None, "user.enable", "ann", "email=ann@example.net")]),
    Step("user disable", ANN, [(None, "user.disable", "ann", "email=ann@example.net")]),
    Step("token create", ["--account", "small", "--name", "ci", "--permissions", "read,admin", "--source", "192.0.2.0/24",
                          "--expires-in", "30d"],
         [("small", "token.create", "ci", "name=ci permissions=read,admin")], "ci"),
    Step("token revoke", ["--account", "small", "--name", "ci"], [("small", "token.revoke", "ci", "name=ci")]),
    Step("sampler create", [*EDGE, "--colo", "ord01"], [(None, "sampler.create", "edge", "name=edge 1 colo=ord01")], "edge"),
    Step("sampler token", EDGE, [(None, "sampler.token_replace", "edge", "name=edge 1 overlap_s=86400")]),
    Step("sampler token", [*EDGE, "--overlap", "0s"], [(None, "sampler.token_replace", "edge", "name=edge 1 overlap_s=0")]),
    Step("sampler token", [*EDGE, "--overlap", "1h"], [(None, "sampler.token_replace", "edge", "name=edge 1 overlap_s=3600")]),
    Step("sampler token", [*EDGE, "--revoke-old"], [(None, "sampler.token_revoke", "edge", "name=edge 1 revoked=1")]),
    Step("sampler trust", EDGE, [(None, "sampler.trust", "edge", "name=edge 1 miscounted=2026-11-20T10:00:00.000000Z")],
         before="UPDATE samplers SET miscounted_at = '2026-11-20T10:00:00Z' WHERE name = 'edge 1'"),
    Step("sampler trust", EDGE, [(None, "sampler.trust", "edge", "name=edge 1 miscounted=never")]),
    Step("sampler disable", EDGE, [(None, "sampler.disable", "edge", "name=edge 1")]),
    Step("sampler disable", [*EDGE, "--enable"], [(None, "sampler.enable", "edge", "name=edge 1")]),
    Step("pcap reassemble", [JOB], [("small", "pcap.reassemble", "job", "")], "job",
         before="INSERT INTO pcaps (account_id, id, type, system, time_limit_s, packet_limit, filter, selection_method,"
         " selection_interval, selection_space, selection_probability_ppb, selection_secret, submitted, deadline, stage,"
         " parts_total, parts_assigned, expires) SELECT id, '%s', 'simple', 'magic-transit', 1, 1, '{}', 'none', 0, 0, 0,"
         " decode(repeat('00', 16), 'hex'), now(), now(), 'ready', 0, 0, now() + interval '1 h' FROM accounts"
         " WHERE name = 'small'; UPDATE pcaps SET stage = 'assembling' WHERE id = '%s';"
         " UPDATE pcaps SET stage = 'failed', attempts = 6 WHERE id = '%s'" % (JOB, JOB, JOB)),
)

# What fails changes nothing and leaves no row. After STEPS.
REFUSED = (
    ("account create", ["--name", "small"]),
    ("account create", ["--name", "other", "--prefixes", "192.0.2.0/25"]),
    ("account set", ["--account", "nobody", "--running-max", "1"]),
    ("account disable", ["--account", "nobody"]),
    ("prefix add", ["--account", "small", "--prefixes", "192.0.0.0/16"]),
    ("prefix remove", ["--account", "nobody", "--prefixes", "192.0.0.0/16"]),
    ("user create", ["--email", "no-at", "--account", "small", "--role", "admin"]),
    ("user create", ["--email", "a@example.net", "--account", "small", "--role", "root"]),
    ("user remove", [*ANN, "--account", "small"]),
    ("user disable", ["--email", "nobody@example.net"]),
    ("token create", ["--account", "small", "--name", "x", "--permissions", "write"]),
    ("token revoke", ["--account", "small", "--name", "ci"]),
    ("sampler create", [*EDGE, "--colo", "ord01"]),
    ("sampler create", ["--name", "edge 2", "--colo", "ORD 01"]),
    ("sampler token", ["--name", "nobody"]),
    ("sampler token", ["--name", "nobody", "--revoke-old"]),
    ("sampler trust", ["--name", "nobody"]),
    ("sampler disable", ["--name", "nobody"]),
    ("pcap reassemble", [JOB]),
)


def commands():
    return set(re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", run("--help", url=None).stdout, re.M))


def flags_of(command):
    return set(re.findall(r"^  (--[a-z-]+)", run(*command.split(), "--help", url=None).stdout, re.M)) - COMMON


def state():
    """A digest of every table but the audit's."""
    tables = sql("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
                 " AND NOT relispartition ORDER BY 1").split()
    assert set(AUDIT_TABLES) < set(tables) and len(tables) > 15, tables
    digest = "SELECT '%s ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM %s t"
    return sql(" UNION ALL ".join(digest % (t, t) for t in tables if t not in AUDIT_TABLES))


def rows():
    """All audit rows as the superuser sees them, oldest first: id -> (account's name, action, object, detail, actor, source, result)."""
    text = sql("SELECT concat_ws('|', replace(e.id::text, '-', ''), coalesce(a.name, '-'), e.action,"
               " coalesce(replace(e.object_id::text, '-', ''), '-'), e.actor, e.source, e.result, e.detail)"
               " FROM (SELECT account_id, id, at, action, object_id, actor, source, result, detail FROM audit_events"
               "  UNION ALL SELECT NULL, id, at, action, object_id, actor, source, result, detail FROM audit_fleet) e"
               " LEFT JOIN accounts a ON a.id = e.account_id ORDER BY e.at, e.id")
    found = {}
    for line in text.splitlines():
        key, account, action, what, actor, source, result, detail = line.split("|", 7)
        found[key] = (None if account == "-" else account, action, None if what == "-" else what, detail, actor, source, result)
    return found


def expected(of_account):
    """Actions of STEPS' rows in an account, None for the fleet; newest first."""
    return [row[1] for step in STEPS for row in step.rows if row[0] == of_account][::-1]


class Everything(Calls):
    """One walk over STEPS, which the tests look at."""

    @classmethod
    def setUpClass(cls):
        cls.names, cls.secrets, cls.problems = {}, [], []
        sql("SELECT partition_make('pcaps', '2024-11-01Z')")
        for step in STEPS:
            cls.walk(step)

    @classmethod
    def walk(cls, step):
        case = "%s %s" % (step.words, " ".join(step.flags))
        if step.before:
            sql(step.before)
        # without the right to leave a row nothing is done
        old, had = state(), rows()
        sql("REVOKE INSERT ON audit_events, audit_fleet FROM edgecap_admin")
        done = run(*step.words.split(), *step.flags)
        sql("GRANT INSERT ON audit_events, audit_fleet TO edgecap_admin")
        if done.returncode != 1 or "may not do this" not in done.stderr:
            cls.problems.append("%s: done without a row: %s" % (case, done))
        if (state(), rows()) != (old, had):
            cls.problems.append("%s: changed something without a row" % case)
        done = run(*step.words.split(), *step.flags, "--json")
        if done.returncode != 0:
            cls.problems.append("%s: %s" % (case, done))
            return
        cls.secrets += re.findall(r'"(?:key|token)":"([^"]+)"', done.stdout)
        if step.makes:
            cls.names[step.makes] = re.search(r'"id":"([0-9a-f]{32})"', done.stdout)[1]
        new = [row for key, row in rows().items() if key not in had]
        wanted = [(account, action, cls.names[what] if what else None, detail, ME, "local", "ok")
                  for account, action, what, detail in step.rows]
        if sorted(new, key=str) != sorted(wanted, key=str):
            cls.problems.append("%s: rows %s, not %s" % (case, new, wanted))

    def test_each_change_leaves_its_row_in_its_transaction(self):
        self.assertEqual(self.problems, [])

    def test_every_command_and_flag_is_here(self):
        self.assertEqual(commands(), {step.words for step in STEPS} | READS | ELSEWHERE)
        for command in {step.words for step in STEPS}:
            used = {flag for step in STEPS if step.words == command for flag in step.flags if flag.startswith("--")}
            self.assertEqual(used, flags_of(command), command)
        self.assertEqual({words for words, _ in REFUSED}, {step.words for step in STEPS})

    def test_what_is_refused_leaves_no_row(self):
        old, had = state(), rows()
        for words, flags in REFUSED:
            self.assertEqual(run(*words.split(), *flags).returncode, 1, (words, flags))
        self.assertEqual(rows(), had)
        self.assertEqual(state(), old)

    def test_what_reads_leaves_no_row(self):
        had = rows()
        for words in READS:
            self.ok(*words.split())
        self.assertEqual(rows(), had)

    def test_no_secret_is_in_a_row(self):
        self.assertEqual(len(self.secrets), 7)
        kept = sql("SELECT e::text FROM audit_events e UNION ALL SELECT e::text FROM audit_fleet e")
        digests = sql("SELECT encode(token_sha256, 'hex') FROM api_tokens UNION ALL SELECT encode(token_sha256, 'hex')"
                      " FROM samplers UNION ALL SELECT encode(key_sha256, 'hex') FROM api_keys").split()
        self.assertGreaterEqual(len(digests), 3)
        for secret in self.secrets + digests:
            self.assertNotIn(secret, kept)

    # --- what an operator asks ---

    def actions(self, *flags):
        return [row["action"] for row in self.ok("audit", "--limit", "100000", *flags)]

    def test_who_made_a_token_for_this_sampler(self):
        for url in (OPERATOR, OWNER):
            listed = self.ok("audit", "--object", self.names["edge"], url=url)
            self.assertEqual([row["action"] for row in listed], [a for a in expected(None) if a.startswith("sampler.")])
            for row in listed:
                self.assertRegex(row.pop("when"), TIME)
                self.assertRegex(row.pop("id"), HEX)
            self.assertEqual(listed[2], {"account": None, "actor": ME, "actor_id": None, "action": "sampler.trust",
                                         "object": self.names["edge"], "result": "ok", "source": "local", "request_id": None,
                                         "detail": "name=edge 1 miscounted=never"})
        table = run("audit", "--object", self.names["edge"], "--action", "sampler.trust").stdout.splitlines()
        self.assertEqual((len(table), table[1].split()[1:4]), (3, ["-", ME, "sampler.trust"]))

    def test_who_shared_this_prefix(self):
        listed = self.ok("audit", "--account", "small", "--action", "prefix.add")
        self.assertEqual([(row["actor"], row["detail"]) for row in listed],
                         [(ME, "none"), (ME, "shared=true 192.0.2.128/25"), (ME, "198.51.100.0/24,203.0.113.7")])

    def test_the_fleets_only_and_an_accounts_only(self):
        fleet = self.ok("audit", "--fleet", "--limit", "100000")
        self.assertEqual({row["account"] for row in fleet}, {None})
        migrated = [row["action"] for row in fleet].count("schema.migrate")
        self.assertEqual([row["action"] for row in fleet], expected(None) + ["schema.migrate"] * migrated)
        account = self.ok("audit", "--account", "small", "--limit", "100000")
        self.assertEqual({row["account"] for row in account}, {self.names["small"]})
        self.assertEqual([row["action"] for row in account], expected("small"))
        every = self.ok("audit", "--limit", "100000")
        self.assertEqual([row["id"] for row in every], list(rows())[::-1])
        for row in fleet + account:
            self.assertIn(row, every)
        self.fails(1, "--fleet: what is no account's", "audit", "--fleet", "--account", "small")

    def test_filters(self):
        fleet = self.ok("audit", "--fleet")
        self.assertEqual(self.ok("audit", "--fleet", "--limit", "2"), fleet[:2])
        self.assertEqual(self.ok("audit", "--fleet", "--since", fleet[2]["when"]), fleet[:3])
        self.assertEqual(self.ok("audit", "--fleet", "--until", fleet[2]["when"]), fleet[2:])
        self.assertEqual(self.actions("--fleet", "--action", "sampler.create"), ["sampler.create"])
        self.assertEqual(self.actions("--action", "account.create"), ["account.create"] * 2)
        self.assertEqual(self.actions("--fleet", "--action", "account.create"), [])
        self.assertEqual(len(self.actions("--actor", ME)), len(rows()))
        self.assertEqual(self.actions("--actor", ME + "x"), [])
        self.assertEqual(sorted(self.actions("--object", self.names["ann"])),
                         sorted(row[1] for step in STEPS for row in step.rows if row[2] == "ann"))
        self.assertEqual(self.actions("--object", self.names["ann"], "--account", "big", "--action", "user.remove"),
                         ["user.remove"])
        self.assertEqual(self.actions("--object", "0" * 32), [])
        self.fails(1, "--object: must be an id, 32 lower-case hex characters", "audit", "--object", "edge 1")


class Migrations(Calls):
    """migrate leaves a row for each file that it applied, from the one on that makes the table for it."""

    def setUp(self):
        sql("CREATE DATABASE fresh OWNER edgecap_owner")
        self.addCleanup(sql, "DROP DATABASE fresh WITH (FORCE)")
        self.url = OWNER.replace("dbname=edgecap", "dbname=fresh")
        self.dir = tempfile.mkdtemp(prefix="ecmigr.", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir)
        for name in os.listdir(TOP):
            if name.endswith(".sql"):
                shutil.copy(os.path.join(TOP, name), self.dir)

    def fresh_sql(self, statement):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", SOCKET, "-U", "postgres", "-d", "fresh", "-c",
                               statement], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def kept(self):
        return self.fresh_sql("SELECT actor, source, action, object_id, result, detail FROM audit_fleet ORDER BY at")

    def file(self, version, name, text):
        with open(os.path.join(self.dir, "%04d_%s.sql" % (version, name)), "w") as file:
            file.write(text + ";\n")
        return file.name

    def test_each_file_leaves_a_row(self):
        names = sorted(name[:-4] for name in os.listdir(self.dir))
        first = [name for name in names if name >= "0021"]
        row = ME + "|local|schema.migrate||ok|%s"
        self.assertEqual(self.ok("migrate", "--migrations-dir", self.dir)["applied"], names)
        self.assertEqual(self.kept(), [row % name for name in first])
        # nothing to apply: nothing was done
        self.assertEqual(self.ok("migrate", "--migrations-dir", self.dir)["applied"], [])
        self.assertEqual(len(self.kept()), len(first))
        # one that fails leaves none
        version = int(names[-1][:4]) + 1
        broken = self.file(version, "broken", "SELECT 1/0")
        self.fails(1, "migration %04d_broken.sql" % version, "migrate", "--migrations-dir", self.dir)
        self.assertEqual(len(self.kept()), len(first))
        os.unlink(broken)
        # also where housekeeping has not been there for so long that this month has no table
        for month in self.fresh_sql("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_fleet'::regclass"):
            self.fresh_sql("DROP TABLE " + month)
        self.file(version, "more", "SELECT 1")
        self.ok("migrate", "--migrations-dir", self.dir)
        self.assertEqual(self.kept(), [row % ("%04d_more" % version)])


if __name__ == "__main__":
    unittest.main()
