#!/usr/bin/python3
"""Members, tokens and samplers: admin_rig.py."""

import hashlib
import unittest

from admin_rig import OWNER, SECRET, TIME, Calls, run, setUpModule, sql  # noqa: F401


class Credentials(Calls):
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

    def test_members_come_and_go(self):
        one, two = self.account(), self.account()
        bob = self.name() + "@example.net"
        who = ("--email", bob)
        made = self.ok("user", "create", *who, "--account", one["id"], "--role", "collector")
        self.ok("user", "create", *who, "--account", two["id"], "--role", "admin")
        mine = [(m["account"], m["role"], m["disabled"]) for m in self.ok("user", "list") if m["id"] == made["id"]]
        self.assertEqual(sorted(mine), sorted([(one["id"], "collector", False), (two["id"], "admin", False)]))
        self.assertEqual([m["email"] for m in self.ok("user", "list", "--account", one["id"])], [bob])
        in_use = "SELECT count(*) FROM api_keys WHERE user_id = '%s' AND revoked_at IS NULL" % made["id"]
        # out of one account the key is good for the other
        gone = self.ok("user", "remove", "--email", bob.upper(), "--account", one["name"])
        self.assertEqual((gone["id"], gone["account"], gone["removed"]), (made["id"], one["id"], True))
        self.assertEqual((self.ok("user", "list", "--account", one["id"]), sql(in_use)), ([], "1"))
        self.fails(1, "is no member of the account", "user", "remove", *who, "--account", one["id"])
        self.fails(1, 'there is no user "nobody@example.net"', "user", "remove", "--email", "nobody@example.net",
                   "--account", one["id"])
        # out of the last one it is revoked, and who comes back gets a new one
        self.ok("user", "remove", *who, "--account", two["id"])
        self.assertEqual(sql(in_use), "0")
        back = self.ok("user", "create", *who, "--account", two["id"], "--role", "reader")
        self.assertEqual(back["id"], made["id"])
        self.assertRegex(back["key"], SECRET)
        self.assertNotEqual(back["key"], made["key"])
        self.assertEqual(sql("SELECT string_agg(action || ' ' || detail, ', ' ORDER BY at) FROM audit_events"
                             " WHERE account_id = '%s' AND object_id = '%s'" % (two["id"], made["id"])),
                         "user.create email=%s role=admin, user.remove email=%s key_revoked, user.create email=%s role=reader new_key"
                         % (bob, bob, bob))

    def test_a_users_key_shows_when_it_was_last_used(self):
        """Of the key in use: a new one was never used."""
        account, other, dora = self.account(), self.account(), self.name() + "@example.net"
        made = self.ok("user", "create", "--email", dora, "--account", account["id"], "--role", "reader")
        self.ok("user", "create", "--email", dora, "--account", other["id"], "--role", "reader")

        def listed():
            rows = [m for m in self.ok("user", "list") if m["id"] == made["id"]]
            self.assertEqual(len(rows), 2)
            self.assertEqual(rows[0]["key_last_used"], rows[1]["key_last_used"])
            self.assertRegex(rows[0]["key_created"], TIME)
            return rows[0]["key_last_used"]

        self.assertIsNone(listed())
        sql("UPDATE api_keys SET last_used_at = '2026-01-02 03:04:05Z' WHERE user_id = '%s'" % made["id"])
        self.assertTrue(listed().startswith("2026-01-02T03:04:05"), listed())
        shown = run("user", "list", "--account", account["id"], url=self.url)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("KEY_LAST_USED", shown.stdout.splitlines()[0])
        self.assertIn("2026-01-02T03:04:05", shown.stdout.splitlines()[1])
        self.ok("user", "create", "--email", dora, "--account", account["id"], "--role", "reader", "--new-key")
        self.assertIsNone(listed())

    def test_user_disable(self):
        account, eve = self.account(), self.name() + "@example.net"
        made = self.ok("user", "create", "--email", eve, "--account", account["id"], "--role", "admin")
        self.assertEqual(self.ok("user", "disable", "--email", eve.upper()),
                         {"id": made["id"], "email": eve.upper(), "disabled": True})
        self.assertTrue(self.ok("user", "list", "--account", account["id"])[0]["disabled"])
        self.assertFalse(self.ok("user", "disable", "--email", eve, "--enable")["disabled"])
        self.assertEqual(sql("SELECT string_agg(action, ',' ORDER BY at) FROM audit_events WHERE object_id = '%s'" % made["id"]),
                         "user.create,user.disable,user.enable")
        self.fails(1, "there is no user", "user", "disable", "--email", "nobody@example.net")

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
                          ("::1,::ffff:192.0.2.0/120", "write it as IPv4"),
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


class CredentialsAsOwner(Credentials):
    url = OWNER


if __name__ == "__main__":
    unittest.main()
