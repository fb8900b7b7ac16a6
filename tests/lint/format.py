#!/usr/bin/python3
"""All C files are as clang-format would write them."""

import re
import subprocess
import sys

import sources

BATCH = 12


def main():
    root = sources.root_from_argv()
    names = sources.c_files(root)
    batches = [names[i:i + BATCH] for i in range(0, len(names), BATCH)]
    problems = []
    running = [subprocess.Popen(["clang-format", "--style=file", "--dry-run", "-Werror", *batch], cwd=root,
                                stderr=subprocess.PIPE, text=True) for batch in batches[:2]]
    waiting = batches[2:]
    while running:
        process = running.pop(0)
        _, err = process.communicate()
        if waiting:
            running.append(subprocess.Popen(["clang-format", "--style=file", "--dry-run", "-Werror",
                                             *waiting.pop(0)], cwd=root, stderr=subprocess.PIPE, text=True))
        places = re.findall(r"^(\S+?):(\d+):\d+: error", err, re.M)
        seen = {}
        for name, line in places:
            seen.setdefault(name, line)
        problems += [f"{name}:{line}: not formatted (clang-format -i {name})" for name, line in seen.items()]
        if process.returncode != 0 and not places:
            problems.append(f"clang-format failed: {err.strip()}")
    return sources.report("format: files", problems, len(names))


if __name__ == "__main__":
    sys.exit(main())
