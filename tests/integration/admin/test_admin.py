#!/usr/bin/python3
"""The program itself, accounts, prefixes, captures, and what its role may: admin_rig.py."""

import os
import pwd
import re
import subprocess
import time
import unittest

from admin_rig import ADMIN, HEX, OPERATOR, OWNER, SOCKET, SUPERUSER, TIME, Calls, run, setUpModule, sql  # noqa: F401


class Admin(Calls):
    # --- the program ---

    def test_help_of_everything(self):
        done = run("--help", url=None)
        self.assertEqual(done.returncode, 0)
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", done.stdout, re.M)
        self.assertEqual(len(commands), 21)
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
        chosen = "0011223344556677aabbccddeeff%04d" % Calls.number
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
        job = "0193" + "0" * 8 + "70008" + "%015d" % Calls.number
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
