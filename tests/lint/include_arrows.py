#!/usr/bin/python3
"""Arrows between folders point one way, and each third-party API has one home (ARCHITECTURE.md)."""

import re
import sys
from pathlib import Path

import sources

# Each folder and those whose headers it may use.
ARROWS = {
    "base": (),
    "sandbox": ("base",),
    "packet": ("base",),
    "jobqueue": ("packet", "base"),
    "storage": ("packet", "base"),
    "sampler": ("packet", "sandbox", "base"),
    "assembler": ("jobqueue", "storage", "packet", "sandbox", "base"),
    "api": ("jobqueue", "storage", "packet", "sandbox", "base"),
    "admin": ("jobqueue", "storage", "packet", "base"),
}

# Third-party headers by their beginning, and the folders that may see them. Tests may see all.
HOMES = {
    "h2o": ("api",),
    "pcap": ("sampler",),
    "libpq": ("jobqueue",),
    "postgres": ("jobqueue",),
    "curl/": ("storage", "sampler"),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
GENERATED = ("version.h",)


def check_include(folder, kind, header):
    """What is wrong with this #include in a file of folder; None when nothing is."""
    top = header.split("/")[0] if "/" in header else None
    if header.endswith(".c"):
        return "a .c file is included"
    if top in ARROWS:
        if top != folder and top not in ARROWS[folder]:
            return f"{folder}/ must not use {top}/"
        return None if kind == '"' else f"our own {header} is included with <>"
    if kind == '"' and header not in GENERATED:
        return f'"{header}" is not named from the top folder'
    for begin, homes in HOMES.items():
        if header.startswith(begin) and folder not in homes:
            return f"<{header}> belongs to {', '.join(homes)}/ only"
    return None


def check_file(root, name):
    problems = []
    # Strings must stay: the header's name may be one.
    text = sources.blank(sources.read(root, name), keep=("string",))
    folder = name.split("/")[0]
    includes = list(INCLUDE.finditer(text))
    for match in includes:
        problem = check_include(folder, match[1], match[2])
        if problem:
            problems.append(f"{name}:{sources.line_of(text, match.start(2))}: {problem}")
    own = name[:-2] + ".h"
    if name.endswith(".c") and (Path(root) / own).exists() and (not includes or includes[0][2] != own):
        problems.append(f'{name}:1: does not include its own header "{own}" first')
    if name.endswith(".h") and not re.search(r"^#pragma once$", text, re.M):
        problems.append(f"{name}:1: no #pragma once")
    return problems


def check_links(root):
    """The libraries' dependencies in CMakeLists.txt follow the same arrows."""
    problems = []
    if not (Path(root) / "CMakeLists.txt").exists():
        return problems
    text = sources.read(root, "CMakeLists.txt")
    for match in re.finditer(r"ec_module\((\w+)(?:\s+DEPS((?:\s+[a-z]+)*))?", text):
        for dep in (match[2] or "").split():
            if dep not in ARROWS.get(match[1], ()):
                line = sources.line_of(text, match.start())
                problems.append(f"CMakeLists.txt:{line}: {match[1]} must not depend on {dep}")
    return problems


def main():
    root = sources.root_from_argv()
    names = [n for n in sources.c_files(root) if n.split("/")[0] in ARROWS]
    problems = [p for name in names for p in check_file(root, name)] + check_links(root)
    return sources.report("include arrows", problems, len(names))


if __name__ == "__main__":
    sys.exit(main())
