#!/usr/bin/python3
"""edgecap-admin as an operator calls it: test_admin.py PATH_OF_EDGECAP_ADMIN, under with-postgres.

`migrate` as the owner of the tables. Everything else twice: as a role that is no more than a member of edgecap_admin, and as the owner.
"""

import hashlib
import json
import os
import pwd
import re
import subprocess
import sys
import time
import unittest

ADMIN = os.path.abspath(sys.argv.pop(1))
OWNER = os.environ["EDGECAP_TEST_DATABASE_URL"]
SOCKET = os.environ["EDGECAP_TEST_PG_SOCKET"]
SUPERUSER = "host=%s user=postgres dbname=edgecap" % SOCKET
OPERATOR = "host=%s user=operator dbname=edgecap" % SOCKET
HEX = re.compile(r"^[0-9a-f]{32}$")
SECRET = re.compile(r"^[A-Za-z0-9_-]{43}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def run(*args, url=OPERATOR, **env):
    """The finished process of one call; EDGECAP_ variables only as given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
    if url:
        clean["EDGECAP_DATABASE_URL"] = url
    done = subprocess.run([ADMIN, *args], capture_output=True, text=True, env={**clean, **env}, timeout=60)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def sql(statement):
    """As superuser, past the row-level policies."""
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", SOCKET, "-U", "postgres", "-d", "edgecap",
                           "-c", statement],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def setUpModule():
    assert run("migrate", url=OWNER).returncode == 0
    sql("CREATE ROLE operator LOGIN IN ROLE edgecap_admin")


class Admin(unittest.TestCase):
    maxDiff = None
    number = 0
    url = OPERATOR

    def ok(self, *args, **env):
        done = run(*args, "--json", **{"url": self.url, **env})
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.args)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def fails(self, status, text, *args, **env):
        done = run(*args, **{"url": self.url, **env})
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertIn(text, done.stderr)
        self.assertTrue(done.stderr.startswith("edgecap-admin: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def name(self):
        Admin.number += 1
        return "name-%d" % Admin.number

    def account(self, *args):
        """A new account; several tests use the same prefixes."""
        shared = ["--shared"] if "--prefixes" in args else []
        return self.ok("account", "create", "--name", self.name(), *args, *shared)

    # --- the program ---

    def test_help_of_everything(self):
        done = run("--help", url=None)
        self.assertEqual(done.returncode, 0)
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", done.stdout, re.M)
        self.assertEqual(len(commands), 18)
        for command in commands:
            done = run(*command.split(), "--help", url=None)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Usage: edgecap-admin " + command, done.stdout)
            self.assertIn("--database-url", done.stdout)
        self.assertRegex(run("--version", url=None).stdout, r"^edgecap-admin \d+\.\d+\.\d+\n$")

    def test_usage_errors(self):
        for args in ([], ["nonsense"], ["account"], ["account", "destroy"], ["--json"]):
            done = run(*args, url=None)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertIn("account create", done.stderr)
        self.fails(2, "EDGECAP_NAME (--name) is required", "account", "create")
        self.fails(2, "unknown flag --nmae", "account", "create", "--nmae", "x")
        self.fails(2, "unexpected operand \"x\"", "account", "list", "x")
        self.fails(2, "EDGECAP_DATABASE_URL (--database-url) is required", "account", "list", url=None)

    def test_database_errors_do_not_show_the_password(self):
        for url in ("host=/nonexistent password=hunter2", "postgresql://u:hunter2@127.0.0.1:1/x",
                    "hots=/x password=hunter2"):
            done = run("account", "list", url=url)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertNotIn("hunter2", done.stderr)
            self.assertRegex(done.stderr, "^edgecap-admin: (cannot connect to the database|database URL): ")

    def test_url_from_a_file(self):
        path = "/tmp/ecadm.%d" % os.getpid()
        with open(path, "w") as file:
            file.write(self.url + "\n")
        try:
            self.assertEqual(run("account", "list", url=None, EDGECAP_DATABASE_URL_FILE=path).returncode, 0)
        finally:
            os.unlink(path)

    def test_closed_stdout_is_an_error(self):
        clean = {**os.environ, "EDGECAP_DATABASE_URL": self.url}
        with open("/dev/full", "w") as full:
            done = subprocess.run([ADMIN, "account", "list"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=clean, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write to stdout", done.stderr)

    def test_audit_of_what_an_operator_does(self):
        sql("DELETE FROM account_prefixes")
        name = self.name()
        account = self.ok("account", "create", "--name", name, "--prefixes", "192.0.2.0/24")["id"]
        token = self.ok("token", "create", "--account", name, "--name", "ci", "--permissions", "read,admin")
        self.ok("token", "revoke", "--account", name, "--name", "ci")
        rows = self.ok("audit", "--account", name)
        self.assertEqual([row["action"] for row in rows],
                         ["token.revoke", "token.create", "prefix.add", "account.create"])
        for row in rows:
            self.assertEqual((row["account"], row["source"], row["result"]), (account, "local", "ok"))
            self.assertEqual(row["actor"], "operator:" + pwd.getpwuid(os.getuid()).pw_name)
            self.assertRegex(row["when"], TIME)
            self.assertNotIn(token["token"], str(row))
        self.assertEqual([row["object"] for row in rows], [token["id"], token["id"], None, None])
        self.assertEqual(rows[1]["detail"], "name=ci permissions=read,admin")
        self.assertEqual(rows[2]["detail"], "192.0.2.0/24")
        self.assertEqual(self.ok("audit", "--account", account, "--action", "prefix.add"), [rows[2]])
        self.assertEqual(self.ok("audit", "--account", account, "--limit", "1"), [rows[0]])
        self.assertEqual(self.ok("audit", "--account", account, "--since", rows[1]["when"]), rows[:2])
        self.assertEqual(self.ok("audit", "--account", account, "--until", rows[1]["when"]), rows[1:])
        self.assertEqual(self.ok("audit", "--limit", "4"), rows)  # of all accounts
        table = run("audit", "--account", name, url=self.url).stdout.splitlines()
        self.assertEqual((len(table), table[0].split()[:3]), (5, ["WHEN", "ACCOUNT", "ACTOR"]))
        self.fails(1, "--since: must be an RFC 3339 time", "audit", "--since", "yesterday")
        self.fails(1, "--since: is later", "audit", "--since", rows[0]["when"], "--until", rows[3]["when"])
        self.fails(1, "there is no account", "audit", "--account", "nobody")

    def test_migrate_twice_and_from_a_directory(self):
        migrated = self.ok("migrate", url=OWNER)
        self.assertEqual(migrated["applied"], [])
        self.assertEqual(migrated["version"], int(sql("SELECT max(version) FROM schema_migrations")))
        top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../migrations")
        self.assertEqual(self.ok("migrate", "--migrations-dir", top, url=OWNER), migrated)
        self.fails(1, "/nonexistent", "migrate", "--migrations-dir", "/nonexistent", url=OWNER)

    # --- accounts and prefixes ---

    def test_account_create(self):
        made = self.account("--prefixes", "192.0.2.0/24,2001:db8::/32,198.51.100.7", "--collect-interval", "5m",
                            "--running-max", "3", "--unrestricted")
        self.assertRegex(made["id"], HEX)
        self.assertEqual({k: made[k] for k in made if k not in ("id", "name")}, {
            "collect_interval_s": 300, "running_max": 3, "full_running_max": 1, "retention_s": None,
            "unrestricted": True, "disabled": False, "prefixes": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
            "shared": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]})
        listed = [a for a in self.ok("account", "list") if a["id"] == made["id"]][0]
        for key in ("prefixes", "shared"):
            self.assertEqual(sorted(listed.pop(key)), sorted(made.pop(key)))
        self.assertRegex(listed.pop("created"), TIME)
        self.assertEqual(listed, made)
        plain = self.account()
        self.assertEqual((plain["collect_interval_s"], plain["running_max"], plain["unrestricted"]),
                         (60, 16, False))

    def test_account_id_can_be_chosen(self):
        chosen = "0011223344556677aabbccddeeff%04d" % Admin.number
        self.assertEqual(self.account("--account-id", chosen)["id"], chosen)
        self.fails(1, "already", "account", "create", "--name", self.name(), "--account-id", chosen)
        self.fails(1, "--account-id: must be 32", "account", "create", "--name", self.name(),
                   "--account-id", chosen.upper())

    def test_account_errors(self):
        name = self.account()["name"]
        self.fails(1, "there is an account of the name \"%s\"" % name, "account", "create", "--name", name)
        self.fails(2, "must be a duration", "account", "create", "--name", "x", "--collect-interval", "2d")
        self.fails(1, "whole seconds", "account", "create", "--name", "x", "--collect-interval", "1500ms")
        self.fails(1, "prefix \"192.0.2.1/24\"", "account", "create", "--name", "x", "--prefixes", "192.0.2.1/24")
        self.fails(1, "control character", "account", "create", "--name", "a\tb")
        self.fails(2, "1..128 characters", "account", "create", "--name", "x" * 129)
        self.assertEqual(sql("SELECT count(*) FROM accounts WHERE name = 'x'"), "0")

    def test_account_table(self):
        account = self.account("--prefixes", "192.0.2.0/24")
        lines = run("account", "list", url=self.url).stdout.splitlines()
        self.assertRegex(lines[0], "^ID +NAME +COLLECT_INTERVAL_S +RUNNING_MAX +FULL_RUNNING_MAX +RETENTION_S +UNRESTRICTED +DISABLED +PREFIXES +SHARED$")
        line = [x for x in lines if x.startswith(account["id"])][0]
        self.assertEqual(line.split(), [account["id"], account["name"], "60", "16", "1", "-", "no", "no", "192.0.2.0/24", "192.0.2.0/24"])
        self.assertEqual(line.index(account["name"]), lines[0].index("NAME"))

    def test_account_set(self):
        account = self.account("--prefixes", "192.0.2.0/24,2001:db8::/32", "--running-max", "3")
        where = ("account", "set", "--account", account["name"])
        steps = ((("--full-running-max", "2"), {"full_running_max": 2}),
                 (("--collect-interval", "0s"), {"collect_interval_s": 0}),
                 (("--retention", "90m"), {"retention_s": 5400}),
                 (("--running-max", "5"), {"running_max": 5}),  # and the retention stays
                 (("--retention", "0s"), {"retention_s": None}),
                 (("--running-max", "100000", "--collect-interval", "24h"),
                  {"running_max": 100000, "collect_interval_s": 86400}),
                 (("--running-max", "1", "--collect-interval", "5m", "--full-running-max", "1000"),
                  {"running_max": 1, "collect_interval_s": 300, "full_running_max": 1000}))
        for flags, changes in steps:
            account.update(changes)
            self.assertEqual(self.ok(*where, *flags), account)
            listed = [a for a in self.ok("account", "list") if a["id"] == account["id"]][0]
            self.assertEqual({k: listed[k] for k in account}, account)
        self.assertEqual(self.ok("account", "set", "--account", account["id"], "--running-max", "7")["running_max"], 7)
        self.assertEqual(self.account()["running_max"], 16)  # nobody else's
        self.assertIn("FULL_RUNNING_MAX", run(*where, "--running-max", "7", url=self.url).stdout.upper())

    def test_account_set_errors(self):
        account = self.account()
        where = ("account", "set", "--account", account["id"])
        self.fails(1, "give at least one of --collect-interval, --running-max, --full-running-max and --retention",
                   *where)
        self.fails(1, "--collect-interval: must be whole seconds", *where, "--collect-interval", "1500ms")
        self.fails(1, "--retention: must be whole seconds", *where, "--retention", "1500ms")
        for flags in (("--collect-interval", "86401s"), ("--running-max", "0"), ("--running-max", "100001"),
                      ("--full-running-max", "0"), ("--full-running-max", "1001"), ("--full-running-max", "x"),
                      ("--retention", "3651d"), ("--retention", "x")):
            self.fails(2, flags[0], *where, *flags, "--account", account["id"])
        self.fails(1, "there is no account \"nobody\"", "account", "set", "--account", "nobody", "--running-max", "1")
        self.fails(2, "EDGECAP_ACCOUNT (--account) is required", "account", "set", "--running-max", "1")
        listed = [a for a in self.ok("account", "list") if a["id"] == account["id"]][0]
        self.assertEqual({k: listed[k] for k in account}, account)

    def test_account_disable(self):
        account = self.account()
        self.assertEqual(self.ok("account", "disable", "--account", account["name"]),
                         {"id": account["id"], "disabled": True})
        self.assertEqual(sql("SELECT disabled FROM accounts WHERE id = '%s'" % account["id"]), "t")
        self.assertFalse(self.ok("account", "disable", "--account", account["id"], "--enable")["disabled"])
        self.fails(1, "there is no account \"nobody\"", "account", "disable", "--account", "nobody")

    def test_prefixes(self):
        account = self.account("--prefixes", "192.0.2.0/24")
        where = ("--shared", "--account", account["id"], "--prefixes")
        self.assertEqual(self.ok("prefix", "add", *where, "192.0.2.0/24,198.51.100.0/24,203.0.113.5")["added"], 2)
        self.assertEqual(self.ok("prefix", "remove", *where[1:], "203.0.113.5,10.0.0.0/8")["removed"], 1)
        self.fails(2, "unknown flag --shared", "prefix", "remove", *where, "203.0.113.5")
        self.assertEqual(sql("SELECT string_agg(prefix::text, ' ' ORDER BY prefix) FROM account_prefixes"
                             " WHERE account_id = '%s'" % account["id"]), "192.0.2.0/24 198.51.100.0/24")
        many = ["10.%d.%d.0/24" % (i // 256, i % 256) for i in range(4095)]
        self.fails(1, "at most 4096, not 4097", "prefix", "add", *where, ",".join(many))
        self.assertEqual(self.ok("prefix", "add", *where, ",".join(many[:4094]))["added"], 4094)
        self.fails(1, "there is no account", "prefix", "add", "--account", "nobody", "--prefixes", "10.0.0.0/8")

    def test_no_overlap_unless_it_is_said(self):
        """Two accounts never hold overlapping prefixes unless the operator says so."""
        sql("DELETE FROM account_prefixes")
        first = self.ok("account", "create", "--name", self.name(), "--prefixes", "172.16.0.0/16,fd00:1::/32")
        self.assertEqual(first["shared"], [])
        other = self.account()
        where = ("prefix", "add", "--account", other["id"], "--prefixes")
        # wider, narrower, equal; in both families; one among good ones: none is added
        for prefix in ("172.16.0.0/16", "172.16.7.0/24", "172.16.255.255", "172.0.0.0/8", "0.0.0.0/0", "fd00:1:2::/48",
                       "fd00::/16", "::/0", "172.18.0.0/16,172.16.1.0/24", "fd00:1::1"):
            done = run(*where, prefix, url=self.url)
            self.assertEqual((done.returncode, done.stdout), (1, ""), prefix)
            self.assertRegex(done.stderr, r'^edgecap-admin: prefix [0-9a-f.:/]+ overlaps (172\.16\.0\.0/16|fd00:1::/32|[0-9a-f.:/]+)'
                             r' of account "name-\d+" \([0-9a-f]{32}\): both would see its packets; --shared allows it\n$')
            if "172.16" in prefix:
                self.assertIn("172.16.0.0/16 of account \"%s\" (%s)" % (first["name"], first["id"]), done.stderr)
            done = run("account", "create", "--name", "never", "--prefixes", prefix, url=self.url)
            self.assertEqual(done.returncode, 1, prefix)
        self.assertEqual(sql("SELECT count(*) FROM accounts WHERE name = 'never'"), "0")
        self.assertEqual(sql("SELECT count(*) FROM account_prefixes WHERE account_id = '%s'" % other["id"]), "0")
        # neighbours do not overlap; an account may nest its own
        self.assertEqual(self.ok(*where, "172.17.0.0/16,172.17.5.0/24,fd00:2::/32")["added"], 3)
        # declared
        self.assertEqual(self.ok(*where, "172.16.7.0/24", "--shared")["added"], 1)
        listed = {a["id"]: a for a in self.ok("account", "list")}
        self.assertEqual(listed[other["id"]]["shared"], ["172.16.7.0/24"])
        self.assertEqual(listed[first["id"]]["shared"], [])
        # a third's must be declared as well, also where only the shared one is in its way
        third = self.account()
        self.fails(1, "overlaps", "prefix", "add", "--account", third["id"], "--prefixes", "172.16.7.128/25")
        # what an account has is not judged again, nor changed
        self.assertEqual(self.ok(*where, "172.16.7.0/24")["added"], 0)
        self.assertEqual(self.ok("prefix", "add", "--account", first["id"], "--prefixes", "172.16.0.0/16", "--shared")
                         ["added"], 0)
        self.assertEqual(sql("SELECT count(*) FROM account_prefixes WHERE account_id = '%s' AND shared" % first["id"]), "0")
        # gone is gone
        self.ok("prefix", "remove", "--account", first["id"], "--prefixes", "172.16.0.0/16")
        self.fails(1, "overlaps 172.16.7.0/24", "prefix", "add", "--account", third["id"], "--prefixes", "172.16.0.0/16")
        self.ok("prefix", "remove", "--account", other["id"], "--prefixes", "172.16.7.0/24")
        self.assertEqual(self.ok("prefix", "add", "--account", third["id"], "--prefixes", "172.16.0.0/16")["added"], 1)

    def test_the_table_itself_refuses_an_overlap(self):
        """Whoever inserts: the rule is the database's."""
        sql("DELETE FROM account_prefixes")
        first = self.ok("account", "create", "--name", self.name(), "--prefixes", "172.20.0.0/16")
        other = self.account()
        for statement in ("INSERT INTO account_prefixes VALUES ('%s', '172.20.1.0/24')",
                          "BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO account_prefixes VALUES ('%s', '172.21.0.0/24')"):
            done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", SUPERUSER, "-c", statement % other["id"]],
                                  capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, "is not declared shared|READ COMMITTED only")
        sql("INSERT INTO account_prefixes VALUES ('%s', '172.20.1.0/24', now(), true)" % other["id"])
        done = subprocess.run(["psql", "-XAtq", "-d", SUPERUSER, "-c", "UPDATE account_prefixes SET shared = false"
                               " WHERE account_id = '%s'" % other["id"]], capture_output=True, text=True, timeout=60)
        self.assertIn("is not declared shared", done.stderr)
        self.assertEqual(first["shared"], [])

    def test_two_admins_at_one_moment(self):
        """Of overlapping prefixes that are added at the same time exactly one is had."""
        sql("DELETE FROM account_prefixes")
        for i in range(8):
            accounts = [self.account() for _ in range(4)]
            prefixes = ("10.%d.0.0/16", "10.%d.7.0/24", "10.%d.7.9", "10.%d.0.0/17")
            env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
            running = [subprocess.Popen([ADMIN, "prefix", "add", "--account", a["id"], "--prefixes", p % (100 + i)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        env={**env, "EDGECAP_DATABASE_URL": self.url})
                       for a, p in zip(accounts, prefixes)]
            ends = [(p.communicate(timeout=60)[1], p.returncode) for p in running]
            self.assertEqual(sorted(e[1] for e in ends), [0, 1, 1, 1], ends)
            for text, status in ends:
                self.assertTrue(status == 0 or "overlaps" in text, ends)

    def test_thousands_of_prefixes_beside_thousands(self):
        """The check costs no more than adding them does."""
        sql("DELETE FROM account_prefixes")
        many = self.name()
        sql("INSERT INTO accounts (id, name) SELECT gen_random_uuid(), '%s-many-' || i FROM generate_series(1, 16) i" % many)
        sql("INSERT INTO account_prefixes (account_id, prefix) SELECT a.id,"
            " ('fd42:' || to_hex(a.n) || ':' || to_hex(i) || '::/48')::cidr FROM generate_series(0, 4095) i,"
            " (SELECT id, row_number() OVER () AS n FROM accounts WHERE name LIKE '%s-many-%%') a" % many)
        account = self.account()
        prefixes = ["fd43:0:%x::/48" % i for i in range(4096)]
        begin = time.monotonic()
        self.assertEqual(self.ok("prefix", "add", "--account", account["id"], "--prefixes", ",".join(prefixes))["added"], 4096)
        took = time.monotonic() - begin
        self.assertLess(took, 30)  # half a second on a quiet machine; a scan for each would take minutes
        begin = time.monotonic()
        self.fails(1, "overlaps fd43::/48", "prefix", "add", "--account", self.account()["id"], "--prefixes",
                   ",".join("fd44:0:%x::/48" % i for i in range(4095)) + ",fd43::/40")
        self.assertLess(time.monotonic() - begin, 30)

    # --- captures ---

    def test_pcap_reassemble(self):
        job = "0193" + "0" * 8 + "70008" + "%015d" % Admin.number
        self.fails(1, "which capture? Give its id", "pcap", "reassemble")
        self.fails(2, "unexpected operand", "pcap", "reassemble", job, job)
        for text in (job.upper().replace("0193", "ABCD"), job[1:], "name", ""):
            self.fails(1, "a capture's id has 32 lower-case hex characters", "pcap", "reassemble", text)
        self.fails(1, job + ": there is no such capture", "pcap", "reassemble", job)
        account = self.account()
        sql("SELECT partition_make('pcaps', '2024-11-01Z')")
        sql("INSERT INTO pcaps (account_id, id, type, system, time_limit_s, packet_limit, filter, selection_method,"
            " selection_interval, selection_space, selection_probability_ppb, selection_secret, submitted, deadline, stage,"
            " parts_total, parts_assigned) VALUES ('%s', '%s', 'simple', 'magic-transit', 1, 1, '{}', 'none', 0, 0, 0,"
            " decode(repeat('00', 16), 'hex'), now(), now(), 'ready', 0, 0)" % (account["id"], job))
        self.fails(1, job + ": the capture has not failed", "pcap", "reassemble", job)
        sql("UPDATE pcaps SET stage = 'assembling' WHERE id = '%s'" % job)
        sql("UPDATE pcaps SET stage = 'failed', attempts = 6 WHERE id = '%s'" % job)
        self.fails(1, job + ": nothing is left of the capture's chunks", "pcap", "reassemble", job)
        sql("UPDATE pcaps SET expires = now() + interval '1 h' WHERE id = '%s'" % job)
        self.assertEqual(self.ok("pcap", "reassemble", job), {"id": job, "stage": "ready"})
        self.assertEqual(sql("SELECT stage, attempts FROM pcaps WHERE id = '%s'" % job), "ready|0")
        self.fails(1, job + ": the capture has not failed", "pcap", "reassemble", job)

    # --- credentials ---

    def test_user_create(self):
        one, two, domain = self.account(), self.account(), self.name()
        made = self.ok("user", "create", "--email", "Ann@%s.example" % domain, "--account", one["id"], "--role", "collector")
        self.assertRegex(made["key"], SECRET)
        self.assertEqual((made["account"], made["role"]), (one["id"], "collector"))
        self.assertEqual(sql("SELECT encode(key_sha256, 'hex') FROM api_keys WHERE user_id = '%s'" % made["id"]),
                         hashlib.sha256(made["key"].encode()).hexdigest())
        again = self.ok("user", "create", "--email", "ann@%s.example" % domain, "--account", two["name"], "--role", "reader")
        self.assertEqual((again["id"], again["key"]), (made["id"], None))
        new = self.ok("user", "create", "--email", "ann@%s.example" % domain, "--account", two["name"], "--role", "admin",
                      "--new-key")
        self.assertRegex(new["key"], SECRET)
        self.assertNotEqual(new["key"], made["key"])
        self.assertEqual(sql("SELECT count(*) FROM api_keys WHERE user_id = '%s' AND revoked_at IS NULL" % made["id"]),
                         "1")
        self.fails(1, "role: must be", "user", "create", "--email", "a@b", "--account", one["id"], "--role", "root")
        self.fails(1, "\"no-at\" is no address", "user", "create", "--email", "no-at", "--account", one["id"],
                   "--role", "admin")

    def test_tokens(self):
        account = self.account()
        where = ("--account", account["name"])
        made = self.ok("token", "create", *where, "--name", "ci", "--permissions", "collect,read", "--expires-in", "30d")
        self.assertRegex(made["token"], SECRET)
        self.assertRegex(made["expires"], TIME)
        self.assertEqual(made["permissions"], ["read", "collect"])
        self.assertEqual(sql("SELECT encode(token_sha256, 'hex') || ' ' || round(extract(epoch FROM expires_at"
                             " - created_at) / 86400) FROM api_tokens WHERE id = '%s'" % made["id"]),
                         hashlib.sha256(made["token"].encode()).hexdigest() + " 30")
        default = self.ok("token", "create", *where, "--name", "default")
        self.assertEqual((default["permissions"], default["expires"]), (["read", "download", "collect"], None))
        self.fails(1, "has a token of the name \"ci\" already", "token", "create", *where, "--name", "ci")
        self.fails(1, "\"write\" is none of", "token", "create", *where, "--name", "x", "--permissions", "write")
        self.assertEqual(self.ok("token", "revoke", *where, "--name", "ci"), {"id": made["id"], "revoked": True})
        self.fails(1, "has no token \"ci\" in use", "token", "revoke", *where, "--name", "ci")
        self.ok("token", "create", *where, "--name", "ci")  # the name is free again
        listed = self.ok("token", "list", *where)
        self.assertEqual([t["name"] for t in listed], ["ci", "ci", "default"])
        self.assertEqual([bool(t["revoked"]) for t in listed], [True, False, False])
        self.assertNotIn(made["token"], run("token", "list", *where, url=self.url).stdout)
        self.assertGreaterEqual(len(self.ok("token", "list")), 3)
        self.assertEqual(self.ok("token", "revoke", *where, "--name", default["id"])["id"], default["id"])

    def test_tokens_for_some_networks(self):
        account = self.account()
        where = ("--account", account["name"])
        made = self.ok("token", "create", *where, "--name", "here", "--source", "192.0.2.0/24,2001:db8::1")
        self.assertEqual(made["sources"], ["192.0.2.0/24", "2001:db8::1"])
        self.assertEqual(self.ok("token", "create", *where, "--name", "any")["sources"], [])
        listed = {t["name"]: t for t in self.ok("token", "list", *where)}
        self.assertEqual(listed["here"]["sources"], made["sources"])
        self.assertEqual((listed["any"]["sources"], listed["any"]["last_used"]), ([], None))
        sql("UPDATE api_tokens SET last_used_at = now() WHERE id = '%s'" % made["id"])
        listed = {t["name"]: t for t in self.ok("token", "list", *where)}
        self.assertRegex(listed["here"]["last_used"], TIME)
        self.assertIn("192.0.2.0/24,2001:db8::1", run("token", "list", *where).stdout)
        self.assertIn("--source", run("token", "create", "--help", url=None).stdout)
        for bad, text in (("192.0.2.1/24", "192.0.2.1/24"), ("host", "\"host\""),
                          (",".join("192.0.2.%d" % i for i in range(33)), "at most 32")):
            self.fails(1, text, "token", "create", *where, "--name", "bad", "--source", bad)

    # --- samplers ---

    def test_samplers(self):
        name = self.name()
        made = self.ok("sampler", "create", "--name", name, "--colo", "ord01")
        self.assertRegex(made["token"], SECRET)
        self.assertEqual(sql("SELECT encode(token_sha256, 'hex') FROM samplers WHERE id = '%s'" % made["id"]),
                         hashlib.sha256(made["token"].encode()).hexdigest())
        self.fails(1, "there is a sampler \"%s\" already" % name, "sampler", "create", "--name", name, "--colo", "x")
        self.fails(1, "colo: must have", "sampler", "create", "--name", "x", "--colo", "ORD 01")
        sql("UPDATE samplers SET last_seen = now(), host = 'h', software = 's',"
            " interfaces = '[{\"name\":\"eth0\"},{\"name\":\"eth1\"}]' WHERE id = '%s'" % made["id"])
        listed = [s for s in self.ok("sampler", "list") if s["id"] == made["id"]][0]
        self.assertRegex(listed.pop("created"), TIME)
        self.assertRegex(listed.pop("last_seen"), TIME)
        self.assertEqual(listed, {"id": made["id"], "name": name, "colo": "ord01", "enabled": True, "host": "h",
                                  "software": "s", "interfaces": ["eth0", "eth1"], "old_tokens_until": None,
                                  "trusted": True, "miscounted": None, "alarms": {
                                      "packets_out_of_scope": 0, "parts_miscounted": 0, "chunks_unusable": 0,
                                      "last": None}})
        self.assertEqual(self.ok("sampler", "disable", "--name", name), {"id": made["id"], "enabled": False})
        self.assertTrue(self.ok("sampler", "disable", "--name", made["id"], "--enable")["enabled"])
        self.fails(1, "there is no sampler \"nobody\"", "sampler", "disable", "--name", "nobody")

    def tokens_of(self, sampler):
        """SHA-256 in hex of the tokens that are good: the one in use, and the replaced ones."""
        return (sql("SELECT encode(token_sha256, 'hex') FROM samplers WHERE id = '%s'" % sampler),
                sql("SELECT string_agg(encode(token_sha256, 'hex'), ' ' ORDER BY valid_until) FROM sampler_old_tokens"
                    " WHERE sampler_id = '%s' AND valid_until > now()" % sampler).split())

    def test_sampler_token_is_replaced(self):
        name = self.name()
        made = self.ok("sampler", "create", "--name", name, "--colo", "ord01")
        digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
        second = self.ok("sampler", "token", "--name", name)
        self.assertEqual(set(second), {"id", "token"})
        self.assertRegex(second["token"], SECRET)
        self.assertEqual(self.tokens_of(made["id"]), (digest(second["token"]), [digest(made["token"])]))
        left = sql("SELECT round(extract(epoch FROM valid_until - now())) FROM sampler_old_tokens WHERE sampler_id = '%s'"
                   % made["id"])
        self.assertTrue(86400 - 60 < int(left) <= 86400, left)
        listed = [s for s in self.ok("sampler", "list") if s["id"] == made["id"]][0]
        self.assertRegex(listed["old_tokens_until"], TIME)
        # a second replacement locks nobody out: the host may use any of the three; none outlives what was said last
        third = self.ok("sampler", "token", "--name", made["id"], "--overlap", "1h")
        self.assertEqual(self.tokens_of(made["id"])[0], digest(third["token"]))
        self.assertEqual(set(self.tokens_of(made["id"])[1]), {digest(made["token"]), digest(second["token"])})
        self.assertEqual(sql("SELECT count(*) FROM sampler_old_tokens WHERE sampler_id = '%s'"
                             " AND valid_until > now() + interval '1 h'" % made["id"]), "0")
        self.assertEqual(self.ok("sampler", "token", "--name", name, "--revoke-old"), {"id": made["id"], "revoked": 2})
        self.assertEqual(self.tokens_of(made["id"]), (digest(third["token"]), []))
        self.assertEqual(self.ok("sampler", "token", "--name", name, "--revoke-old")["revoked"], 0)
        # without an overlap
        fourth = self.ok("sampler", "token", "--name", name, "--overlap", "0s")
        self.assertEqual(self.tokens_of(made["id"]), (digest(fourth["token"]), []))
        # bounded
        for _ in range(8):
            self.ok("sampler", "token", "--name", name)
        before = self.tokens_of(made["id"])
        self.fails(1, "8 replaced tokens of this sampler are still good", "sampler", "token", "--name", name)
        self.assertEqual(self.tokens_of(made["id"]), before)
        # those that are over make room
        sql("UPDATE sampler_old_tokens SET valid_until = now() - interval '1 s' WHERE sampler_id = '%s'" % made["id"])
        self.ok("sampler", "token", "--name", name)
        self.assertEqual(len(self.tokens_of(made["id"])[1]), 1)
        self.fails(1, "there is no sampler \"nobody\"", "sampler", "token", "--name", "nobody")
        self.fails(1, "there is no --overlap", "sampler", "token", "--name", name, "--revoke-old", "--overlap", "1h")
        self.fails(1, "whole seconds", "sampler", "token", "--name", name, "--overlap", "1500ms")
        self.fails(2, "--overlap", "sampler", "token", "--name", name, "--overlap", "31d")

    def test_sampler_alarms_and_trust(self):
        name = self.name()
        made = self.ok("sampler", "create", "--name", name, "--colo", "ord01")
        sql("UPDATE samplers SET miscounted_at = now() WHERE id = '%s'" % made["id"])
        sql("INSERT INTO sampler_alarms VALUES ('%s', 5, 1, 2, now(), gen_random_uuid(), gen_random_uuid())" % made["id"])
        listed = [s for s in self.ok("sampler", "list") if s["id"] == made["id"]][0]
        self.assertFalse(listed["trusted"])
        self.assertRegex(listed["miscounted"], TIME)
        self.assertRegex(listed["alarms"].pop("last"), TIME)
        self.assertEqual(listed["alarms"], {"packets_out_of_scope": 5, "parts_miscounted": 1, "chunks_unusable": 2})
        line = [x for x in run("sampler", "list", url=self.url).stdout.splitlines() if x.startswith(made["id"])][0]
        self.assertEqual(line.split()[4], "no", line)
        self.assertEqual(self.ok("sampler", "trust", "--name", name), {"id": made["id"], "trusted": True})
        listed = [s for s in self.ok("sampler", "list") if s["id"] == made["id"]][0]
        self.assertEqual((listed["trusted"], listed["miscounted"], listed["alarms"]["packets_out_of_scope"]), (True, None, 5))
        self.fails(1, "there is no sampler \"nobody\"", "sampler", "trust", "--name", "nobody")

    # --- rights ---

    def test_reads_no_secret(self):
        """What a command prints is all that its role can read."""
        for table, column in (("api_tokens", "token_sha256"), ("api_keys", "key_sha256"), ("samplers", "token_sha256")):
            done = subprocess.run(["psql", "-XAtq", "-d", OPERATOR, "-c", "SELECT %s FROM %s" % (column, table)],
                                  capture_output=True, text=True, timeout=60)
            self.assertIn("permission denied for table " + table, done.stderr)

    def test_migrate_is_the_owners(self):
        self.fails(1, "migrate runs as the role that owns the tables, edgecap_owner, not as operator", "migrate",
                   url=OPERATOR)
        sql("CREATE DATABASE bare")
        self.fails(1, "the role \"operator\" may not do this", "migrate", url=OPERATOR.replace("dbname=edgecap", "dbname=bare"))
        sql("DROP DATABASE bare")

    def test_a_right_that_is_missing_is_told(self):
        sql("CREATE ROLE nobody LOGIN")
        try:
            for words in (("account", "list"), ("token", "list"), ("sampler", "list"), ("pcap", "reassemble", "0" * 32),
                          ("account", "create", "--name", "x"), ("sampler", "create", "--name", "x", "--colo", "x")):
                self.fails(1, "the role \"nobody\" may not do this; edgecap-admin runs as a member of edgecap_admin",
                           *words, url=OPERATOR.replace("=operator", "=nobody"))
        finally:
            sql("DROP ROLE nobody")

    def test_backup_by_the_owner(self):
        """The policies bind the owner: a dump without a scope must fail, not be empty; with it, it can be restored."""
        account = self.account("--prefixes", "192.0.2.0/24")
        plain = subprocess.run(["pg_dump", "-d", OWNER], capture_output=True, text=True, timeout=60)
        self.assertIn("row-level security policy", plain.stderr)
        dump = subprocess.run(["pg_dump", "--enable-row-security", "-d", OWNER], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PGOPTIONS": "-c edgecap.scope=admin"})
        self.assertEqual((dump.returncode, dump.stderr), (0, ""))
        sql("DROP DATABASE IF EXISTS restored")
        sql("CREATE DATABASE restored OWNER edgecap_owner")
        url = "host=%s user=postgres dbname=restored" % SOCKET
        done = subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url], input=dump.stdout, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        listed = self.ok("account", "list", url=self.url.replace("dbname=edgecap", "dbname=restored"))
        self.assertIn(account["id"], [a["id"] for a in listed])
        self.assertEqual(listed, self.ok("account", "list"))

    def test_no_scope_stays_in_the_session(self):
        """Behind a pooler the next one to have the session is somebody else."""
        sql("ALTER ROLE operator SET log_statement = 'all'; ALTER ROLE edgecap_owner SET log_statement = 'all'")
        self.account("--prefixes", "192.0.2.0/24")
        self.ok("account", "list")
        with open(os.path.join(SOCKET, "log"), errors="replace") as file:
            said = re.findall(r"statement: .*edgecap\.scope.*", file.read())
        self.assertTrue(said)
        self.assertTrue(all("SET LOCAL edgecap.scope = 'admin'" in line for line in said), said)


class AdminAsOwner(Admin):
    url = OWNER


if __name__ == "__main__":
    unittest.main()
