"""edgecap-admin as an operator calls it: test_x.py PATH_OF_EDGECAP_ADMIN, under with-postgres.

`migrate` as the owner of the tables. Everything else twice: as a role that is no more than a member of edgecap_admin, and as the owner.
"""

import json
import os
import re
import subprocess
import sys
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
    done = subprocess.run([ADMIN, *args], capture_output=True, text=True, env={**clean, **env}, timeout=240)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def sql(statement):
    """As superuser, past the row-level policies."""
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", SOCKET, "-U", "postgres", "-d", "edgecap",
                           "-c", statement],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def setUpModule():
    """The tables, and an operator."""
    assert run("migrate", url=OWNER).returncode == 0
    sql("CREATE ROLE operator LOGIN IN ROLE edgecap_admin")


class Calls(unittest.TestCase):
    """What all tests call edgecap-admin with."""

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
        Calls.number += 1
        return "name-%d" % Calls.number

    def account(self, *args):
        """A new account; several tests use the same prefixes."""
        shared = ["--shared"] if "--prefixes" in args else []
        return self.ok("account", "create", "--name", self.name(), *args, *shared)
