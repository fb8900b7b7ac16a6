#!/usr/bin/python3
"""Shell scripts pass bash -n and shellcheck, Python scripts parse; the ones with #! are executable."""

import os
import re
import subprocess
import sys
from pathlib import Path

import sources


def kind_of(root, name):
    """"shell", "python" or None, by the ending or the #! line."""
    with open(Path(root) / name, "rb") as file:
        first = file.readline(100).decode("utf-8", "replace")
    if re.match(r"#!.*\b(bash|sh)\b", first) or name.endswith(".sh"):
        return "shell"
    if re.match(r"#!.*\bpython3?\b", first) or name.endswith(".py"):
        return "python"
    return None


def check_shell(root, name):
    problems = []
    for command in (["bash", "-n", name], ["shellcheck", "--format=gcc", "--external-sources", name]):
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode != 0:
            problems += (done.stdout + done.stderr).strip().splitlines()
    return problems


def check_python(root, name):
    text = sources.read(root, name)
    try:
        compile(text, name, "exec")
    except SyntaxError as err:
        return [f"{name}:{err.lineno}: {err.msg}"]
    return []


def main():
    root = sources.root_from_argv()
    count, problems = 0, []
    for name in sources.list_files(root):
        kind = kind_of(root, name)
        if not kind:
            continue
        count += 1
        problems += check_shell(root, name) if kind == "shell" else check_python(root, name)
        has_shebang = sources.read(root, name).startswith("#!")
        if has_shebang and not os.access(Path(root) / name, os.X_OK):
            problems.append(f"{name}:1: has #! but is not executable")
    return sources.report("scripts", problems, count)


if __name__ == "__main__":
    sys.exit(main())
