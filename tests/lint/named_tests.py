#!/usr/bin/python3
"""Every test that a document names is there.

In docs and in ARCHITECTURE.md `unit/base/test_parse` names a test as ctest does, and `e2e/scope::test_v6` one case in its file. A promise whose
test was renamed or removed is a promise that nobody holds.
"""

import re

import sources

KINDS = ("unit", "integration", "e2e", "fuzz", "lint", "bench")
NAME = re.compile(r"`((?:%s)/[\w/]+)(?:::(\w+))?`" % "|".join(KINDS))
ALONE = re.compile(r"`(test_\w+)`")  # nobody finds that, and so nobody misses it
DOCUMENTS = re.compile(r"^(?:docs/.*|ARCHITECTURE|README)\.md$")
SUFFIXES = (".py", ".c", ".sh", "")


def candidates(name):
    """Where the source of a test of this name may be."""
    folder, _, last = name.rpartition("/")
    for prefix in ("", "test_", "fuzz_", "bench_"):
        for suffix in SUFFIXES:
            yield "tests/%s/%s%s%s" % (folder, prefix, last, suffix)


def find(files, folders, name):
    """The file, or a folder, of a test; None when there is none."""
    return next((path for path in candidates(name) if path in files or path in folders), None)


def problems_of(root, document, files, folders):
    """(number of names, what is wrong with them)."""
    text = sources.read(root, document)
    problems, count = [], 0
    for match in NAME.finditer(text):
        count += 1
        where = "%s:%d" % (document, sources.line_of(text, match.start()))
        name, case = match.groups()
        path = find(files, folders, name)
        if path is None:
            problems.append("%s: there is no test %s" % (where, name))
        elif case and not re.search(r"\b%s\(" % re.escape(case), "".join(
                sources.read(root, f) for f in files if f == path or f.startswith(path + "/"))):
            problems.append("%s: %s has no case %s" % (where, path, case))
    for match in ALONE.finditer(text):
        problems.append("%s:%d: %s is named without its file" % (document, sources.line_of(text, match.start()), match.group(1)))
    return count, problems


def main():
    root = sources.root_from_argv()
    files = set(sources.list_files(root))
    folders = {"/".join(f.split("/")[:n]) for f in files for n in range(1, f.count("/") + 1)}
    total, problems = 0, []
    for document in sorted(f for f in files if DOCUMENTS.search(f)):
        count, wrong = problems_of(root, document, files, folders)
        total += count
        problems += wrong
    return sources.report("named tests", problems, total)


if __name__ == "__main__":
    raise SystemExit(main())
