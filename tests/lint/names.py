#!/usr/bin/python3
"""Nothing in the project names the machine it was written on.

Paths of a home or workplace, fixed folders in /tmp (tests make their own) and host names of private networks.
"""

import re
import sys
from pathlib import Path

import sources

PATTERNS = (
    (re.compile(r"(?<![\w.}$*)-])/(?:home|work|Users|root)/[\w.-]+"), "a path of somebody's machine"),
    (re.compile(r"(?<![\w.}$*)-])/tmp/[\w-]+/"), "a fixed folder in /tmp"),
    (re.compile(r"https?://(?:[\w-]+\.)+(?:internal|corp|lan|intranet)\b"), "a private host"),
    (re.compile(r"\bpyenv\b"), "a tool of somebody's machine"),
)
SELF = ("tests/lint/names.py", "tests/lint/test_lint.py")


def main():
    root = sources.root_from_argv()
    count, problems = 0, []
    for name in sources.list_files(root):
        data = (Path(root) / name).read_bytes()
        if name in SELF or b"\0" in data:
            continue
        count += 1
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            for pattern, what in PATTERNS:
                found = pattern.search(line)
                if found:
                    problems.append(f"{name}:{number}: {what}: {found[0]}")
    return sources.report("names: files", problems, count)


if __name__ == "__main__":
    sys.exit(main())
