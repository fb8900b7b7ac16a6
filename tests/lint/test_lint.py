#!/usr/bin/python3
"""Each lint check fails on a bad sample and passes on a good one."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent

GOOD_H = """/* Things. */
#pragma once

#include "base/bytes.h"

/* Make a thing. */
int thing_make(int a, char *b);
"""
GOOD_C = """#include "packet/thing.h"

#include <stdio.h>

int thing_make(int a, char *b)
{
	return a && b;
}
"""


class Sample:
    """A small project in a temporary folder."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        for name, text in files.items():
            path = Path(self.folder.name) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)

    def run(self, check):
        done = subprocess.run([sys.executable, str(HERE / check), self.folder.name],
                              capture_output=True, text=True)
        self.folder.cleanup()
        return done.returncode, done.stdout + done.stderr


class LintTest(unittest.TestCase):
    def good(self, check, files):
        code, out = Sample(files).run(check)
        self.assertEqual(code, 0, out)

    def bad(self, check, files, want):
        code, out = Sample(files).run(check)
        self.assertEqual(code, 1, out)
        self.assertIn(want, out)


class Empty(LintTest):
    def test_a_check_that_sees_nothing_fails(self):
        for check in ("include_arrows.py", "documented_prototypes.py", "ceilings.py", "names.py",
                      "format.py", "scripts.py", "named_tests.py"):
            self.bad(check, {}, "nothing to look at")


class NamedTests(LintTest):
    check = "named_tests.py"
    there = {"tests/e2e/test_scope.py": "def test_v6():\n    pass\n", "tests/unit/base/test_parse.c": "int main(void);\n"}

    def test_good(self):
        self.good(self.check, {**self.there, "docs/x.md": "`e2e/scope::test_v6`, `unit/base/test_parse`\n"})

    def test_no_such_test(self):
        self.bad(self.check, {**self.there, "ARCHITECTURE.md": "held by `unit/base/test_gone`"}, "there is no test unit/base/test_gone")

    def test_a_case_without_its_file(self):
        self.bad(self.check, {**self.there, "docs/x.md": "`e2e/scope::test_v6`, `test_v6`"}, "docs/x.md:1: test_v6 is named without its file")

    def test_no_such_case(self):
        self.bad(self.check, {**self.there, "docs/x.md": "\n`e2e/scope::test_v4`"}, "docs/x.md:2: tests/e2e/test_scope.py has no case")


class IncludeArrows(LintTest):
    check = "include_arrows.py"

    def source(self, folder, line):
        return {f"{folder}/x.c": f"{line}\n"}

    def test_good(self):
        self.good(self.check, {"packet/thing.h": GOOD_H, "packet/thing.c": GOOD_C})

    def test_arrows(self):
        for folder, header in (("base", "packet/filter.h"), ("packet", "sampler/engine.h"),
                               ("jobqueue", "storage/store.h"), ("storage", "jobqueue/jobs.h"),
                               ("sampler", "jobqueue/jobs.h"), ("api", "assembler/merge.h"),
                               ("assembler", "api/routes.h"), ("packet", "api/routes.h")):
            want = f"x.c:1: {folder}/ must not use {header.split('/')[0]}/"
            self.bad(self.check, self.source(folder, f'#include "{header}"'), want)
            self.bad(self.check, self.source(folder, f"# include <{header}>"), want)

    def test_homes(self):
        for folder, header in (("base", "h2o.h"), ("jobqueue", "h2o/http1.h"), ("api", "libpq-fe.h"),
                               ("packet", "pcap/pcap.h"), ("assembler", "pcap.h"), ("api", "curl/curl.h"),
                               ("sampler", "libpq-fe.h")):
            self.bad(self.check, self.source(folder, f"#include <{header}>"), "only")
        for folder, header in (("api", "h2o.h"), ("jobqueue", "libpq-fe.h"), ("sampler", "pcap/pcap.h"),
                               ("sampler", "curl/curl.h"), ("storage", "curl/curl.h")):
            self.good(self.check, self.source(folder, f"#include <{header}>"))

    def test_a_comment_is_no_include(self):
        self.good(self.check, self.source("base", "/*\n#include <h2o.h>\n*/"))

    def test_own_header_first(self):
        late = GOOD_C.replace('#include "packet/thing.h"\n', "").replace(
            "#include <stdio.h>", '#include <stdio.h>\n#include "packet/thing.h"')
        self.bad(self.check, {"packet/thing.h": GOOD_H, "packet/thing.c": late}, "own header")
        self.bad(self.check, {"packet/thing.h": GOOD_H, "packet/thing.c": "int x;\n"}, "own header")

    def test_other_faults(self):
        self.bad(self.check, {"base/x.h": "int x;\n"}, "no #pragma once")
        self.bad(self.check, self.source("base", '#include "base/y.c"'), ".c file")
        self.bad(self.check, self.source("base", '#include "y.h"'), "not named from the top")
        self.bad(self.check, self.source("base", "#include <base/y.h>"), "with <>")
        self.good(self.check, self.source("base", '#include "version.h"'))

    def test_links(self):
        files = self.source("base", "")
        self.bad(self.check, files | {"CMakeLists.txt": "ec_module(packet DEPS base sampler LINK x)\n"},
                 "CMakeLists.txt:1: packet must not depend on sampler")
        self.good(self.check, files | {"CMakeLists.txt": "ec_module(packet DEPS base LINK x)\n"})


class DocumentedPrototypes(LintTest):
    check = "documented_prototypes.py"

    def header(self, text):
        return {"base/x.h": "/* Things. */\n#pragma once\n\n" + text}

    def test_good(self):
        for text in ("/* Does it all. */\nint f(void);\n",
                     "int f(void); /* Does it all. */\n",
                     "int f(int a,\n      int b) EC_MUST_CHECK; /* Does it all. */\n",
                     "/* Does it\n * all. */\nEC_NORETURN void f(const char *s) EC_PRINTF(1, 2);\n",
                     "/* Does it all. */\nstruct s f(struct s *s) __attribute__((sentinel));\n",
                     "// Does it all.\nint f(void);\n",
                     "/* Is one less. */\nstatic inline int f(int a)\n{\n\treturn a - 1;\n}\n"):
            self.good(self.check, self.header(text))

    def test_bad(self):
        for text in ("int f(void);\n",
                     "/* Too far away. */\n\nint f(void);\n",
                     "/* About another. */\nint g(void);\nint f(void);\n",
                     "int g(void); /* About another. */\nint f(void);\n",
                     "struct s {\n\tint a; /* About a member. */\n};\nint f(void);\n",
                     "struct s {\n\tint a;\n} __attribute__((packed)); /* Of s alone. */\nint f(struct s *);\n",
                     "/* Of an enum. */\nenum e { A, B };\nint f(void);\n",
                     "#define X(a) a /* Of a macro. */\nint f(void);\n",
                     "/* */\nint f(void);\n",
                     "/* ok */\nint f(void);\n",
                     "/* About inline. */\nstatic inline int g(void)\n{\n\treturn 1;\n}\nint f(void);\n",
                     "EC_NORETURN void f(void) EC_MUST_CHECK;\n",
                     "static inline int f(void)\n{\n\t/* Not above. */\n\treturn 1;\n}\n".replace(
                         "\t/* Not above. */\n", "")):
            self.bad(self.check, self.header("/* Good one. */\nint ok(void);\n\n" + text), "f has no comment")

    def test_what_is_no_prototype(self):
        self.good(self.check, self.header(
            "/* Does it all. */\nint f(void);\n\n"
            "struct s {\n\tvoid (*cb)(int);\n\tint (*other)(void);\n};\nextern int variable;\n"
            "typedef void (*done_cb)(void *arg);\n"
            "_Static_assert(sizeof(int) == 4, \"int f(void);\");\n#define CALL(x) f(x)\n"
            "enum { A = sizeof(int) };\n"))


class Ceilings(LintTest):
    check = "ceilings.py"

    def body(self, inside, params="void"):
        return {"base/x.c": f"static int f({params})\n{{\n{inside}}}\n"}

    def nested(self, depth, opening="if (a) {"):
        return f"{opening}\n" * depth + "}\n" * depth

    def test_file(self):
        self.good(self.check, self.body("\treturn 1;\n") | {"base/y.h": "\n" * 600})
        self.bad(self.check, self.body("\treturn 1;\n") | {"base/y.h": "\n" * 601}, "601 lines")
        self.bad(self.check, self.body("\treturn 1;\n") | {"tests/y.py": "\n" * 601}, "601 lines")

    def test_function_lines(self):
        self.good(self.check, self.body("\ta;\n" * 77))
        self.bad(self.check, self.body("\ta;\n" * 78), "x.c:1: f has 81 lines")
        self.bad(self.check, self.body("/*\n" + "\n" * 77 + "*/\n"), "f has")

    def test_nesting(self):
        self.good(self.check, self.body(self.nested(4)))
        self.bad(self.check, self.body(self.nested(5)), "nests blocks 5 deep")
        self.bad(self.check, self.body(self.nested(4) + self.nested(5)), "nests blocks 5 deep")
        for opening in ("for (;;) {", "do {", "{", "} else {", "item_for_each(a, b) {", "switch (a) {"):
            if opening != "} else {":
                self.bad(self.check, self.body(self.nested(5, opening)), "nests")
        self.bad(self.check, self.body("if (a) {} else {" + self.nested(4) + "}"), "nests blocks 5")

    def test_initialisers_are_no_blocks(self):
        self.good(self.check, self.body(
            "if (a) {if (b) {if (c) {if (d) {\nstruct x x = {.a = {{1}}};\n"
            "g((struct x){{{1}}});\nreturn (struct x){{1}};\n}}}}\n"))

    def test_braces_in_texts_do_not_count(self):
        self.good(self.check, self.body("\tputs(\"{{{{{{{{\"); /* {{{{{{ */ char c = '{';\n"))

    def test_parameters(self):
        six = "int a, int b, int c, int d, int (*e)(int, int), const char *fmt, ..."
        seven = "int a, int b, int c, int d, int e, int f, int g"
        self.good(self.check, self.body("\treturn 1;\n", six))
        self.bad(self.check, self.body("\treturn 1;\n", seven), "7 parameters")
        self.bad(self.check, self.body("\treturn 1;\n") | {"base/y.h": f"int p({seven}) EC_MUST_CHECK;\n"},
                 "y.h:1: p has 7 parameters")


class Names(LintTest):
    check = "names.py"

    def test_names(self):
        self.good(self.check, {"README.md": "see /var/lib/x, /tmp/x.XXXXXX, $HOME/work/x and a/work/b\n"})
        for text in ("cd /home/" + "me/x", "include /wo" + "rk/main/x.h", "path=/Users/" + "me",
                     "/tmp/" + "abc/wt", "http://mirror.corp/" + "x", "py" + "env"):
            self.bad(self.check, {"README.md": f"line\n{text}\n"}, "README.md:2:")


class Format(LintTest):
    check = "format.py"
    style = (HERE.parents[1] / ".clang-format").read_text()

    def test_format(self):
        self.good(self.check, {".clang-format": self.style, "base/x.c": "int x;\n"})
        self.bad(self.check, {".clang-format": self.style, "base/x.c": "int  x ;\n"}, "base/x.c:1: not formatted")
        many = {f"base/x{i}.c": "int x;\n" for i in range(40)}
        self.bad(self.check, many | {".clang-format": self.style, "base/x39.c": "int  x ;\n"}, "x39.c:1:")


class Scripts(LintTest):
    check = "scripts.py"

    def test_scripts(self):
        self.good(self.check, {"run": "#!/bin/bash\necho hello\n", "x.py": "print(1)\n"})
        self.bad(self.check, {"run": "#!/bin/bash\nif true; then\n"}, "run")
        self.bad(self.check, {"run": "#!/usr/bin/env bash\nrm $1\n"}, "SC2086")
        self.bad(self.check, {"lib.sh": "# shellcheck shell=bash\nrm $1\n"}, "SC2086")
        self.bad(self.check, {"x.py": "print(\n"}, "x.py:1:")

    def test_executable(self):
        sample = Sample({"run": "#!/bin/bash\necho hello\n"})
        (Path(sample.folder.name) / "run").chmod(0o644)
        code, out = sample.run(self.check)
        self.assertEqual(code, 1)
        self.assertIn("not executable", out)


class OpenApi(LintTest):
    """On the project's own files, each changed in one place."""

    FILES = ("api/openapi.yaml", "api/routes.c", "api/errors.h")

    def files(self, *changes):
        """The project's, with each (name, old, new, ...) replaced once."""
        texts = {f: (HERE.parents[1] / f).read_text() for f in self.FILES}
        for name, old, new, *_ in changes:
            self.assertIn(old, texts[name])
            texts[name] = texts[name].replace(old, new, 1)
        return texts

    def test_good(self):
        self.good("openapi.py", self.files())

    def all_bad(self, changes):
        """One run, which finds all of them."""
        code, out = Sample(self.files(*changes)).run("openapi.py")
        self.assertEqual(code, 1, out)
        for *_, want in changes:
            self.assertIn(want, out)

    def test_references_and_schemas(self):
        yaml = self.FILES[0]
        self.all_bad((
            (yaml, "schemas/BucketRequest'", "schemas/Nothing'", "does not resolve"),
            (yaml, "    Limit:", "    Spare: {type: object}\n    Limit:", "schemas/Spare is not used"),
            (yaml, "type: integer, minimum: 1,", "type: whole, minimum: 1,", "not valid"),
        ))

    def test_operations(self):
        yaml, routes, errors = self.FILES
        self.all_bad((
            (yaml, "per_page: 100, count", "per_page: 101, count", "101 is greater than"),
            (yaml, "operationId: stopPcap", "operationId: getPcap", "operationId is not unique"),
            (yaml, "Permission `download`", "Permission", "permission download is not named"),
            (yaml, "code: {const: 1416}", "code: {const: 1417}", "416 with code 1416 (API_RANGE) does not occur"),
            (yaml, "code: {const: 1410}", "code: {const: 1417}", "410 with code 1417 is not in api/errors.h"),
            (yaml, "        Retry-After: {", "        Retry-Before: {", "Retry-After is there for 429 and 503"),
            (yaml, "        X-Request-Id: {", "        X-Request: {", "no X-Request-Id"),
            (yaml, "        '413': {$ref: '#/components/responses/TooLarge'}\n", "", "no 413"),
            (yaml, "x-listeners: [edge]", "x-listeners: [ops]", "POST /edge/v1/sync is served by edge"),
            (routes, 'PCAPS "/limits"', 'PCAPS "/limit"', "limit of api/routes.c is not described"),
            (routes, '{API_TENANTS, "PUT", PCAPS', '{API_EDGE, "PUT", PCAPS', "/stop is served by edge"),
            (routes, 'API_OPS, "GET", "/metrics"', 'API_OPS, "GET", "/metric"', "GET /metrics has no route"),
            (errors, "422, 1422", "422, 1423", "422 with code 1423 (API_KEY_REUSED) does not occur"),
        ))

    def test_redocly(self):
        yaml = self.FILES[0]
        changes = (
            (yaml, "- token: []", "- tokens: []", "(security-defined)"),
            (yaml, "operationId: stopPcap", "operation: stopPcap", "(struct)"),
            (yaml, "{account_id}/pcaps/limits", "{account}/pcaps/limits", "(path-parameters-defined)"),
            (yaml, "      description: Permission `read`.\n", "", "(operation-description)"),
            (yaml, "page: 1, per_page: 100", "page: 0, per_page: 100", "(no-invalid-media-type-examples)"),
        )
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(self.files(*changes)[yaml])
            file.flush()
            done = subprocess.run(["node", str(HERE / "redocly/lint.js"), str(HERE.parents[1] / "build/redocly"), file.name],
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for *_, want in changes:
            self.assertIn(want, done.stdout)


class Units(LintTest):
    """On the project's own units, each changed in one place."""

    API, SAMPLER, DOCUMENT = "deploy/systemd/edgecap-api@.service", "deploy/systemd/edgecap-sampler.service", "docs/deploy.md"

    def files(self, *changes):
        top = HERE.parents[1]
        names = [str(p.relative_to(top)) for p in (top / "deploy/systemd").rglob("*.*") if p.is_file()]
        names += [self.DOCUMENT, "sampler/confine.c"]
        texts = {name: (top / name).read_text() for name in names}
        for name, old, new in changes:
            self.assertIn(old, texts[name])
            texts[name] = texts[name].replace(old, new, 1)
        return texts

    def test_good(self):
        self.good("units.py", self.files())

    def test_bad(self):
        for change, want in (
            ((self.API, "NoNewPrivileges=yes", "NoNewPrivilege=yes"), "systemd-analyze verify: "),
            ((self.API, "RestrictNamespaces=yes", "RestrictNamespaces=no"), "is above 1.2"),
            ((self.SAMPLER, "BoundingSet=CAP_NET_RAW", "BoundingSet=CAP_NET_RAW CAP_NET_ADMIN"), "CapabilityBoundingSet is "),
            ((self.SAMPLER, "SystemCallFilter=capset", "SystemCallFilter=~@io-event\nSystemCallFilter=capset"), "'epoll_ctl', 'epoll_pwait'"),
            ((self.DOCUMENT, "| 1.2 |", "| 0.9 |"), "does not show that edgecap-api@.service has 1.2"),
        ):  # fmt: skip
            self.bad("units.py", self.files(change), want)
        more = {**self.files(), "deploy/systemd/other.service": "[Service]\nExecStart=/bin/true\n"}
        self.bad("units.py", more, "has no ceiling")


if __name__ == "__main__":
    unittest.main()
