#!/usr/bin/python3
"""deploy/systemd: units that systemd takes without a word, as closed as docs/deploy.md says, and not closer than the programs need.

With every drop-in in place: `systemd-analyze verify` prints nothing; `systemd-analyze security` gives the scores that docs/deploy.md shows,
and none above CEILINGS; the sampler's own list of system calls (SYS_... in the confine.c that has SYS_exit_group) is within its unit's, whose
capabilities are the two that it begins with; the control plane's have none.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import sources

CEILINGS = {"edgecap-api@.service": 1.2, "edgecap-assembler.service": 1.2, "edgecap-sampler.service": 2.1}
CAPABILITIES = {"edgecap-sampler.service": {"CAP_NET_RAW", "CAP_SETPCAP"}}
DROP_INS = {
    "edgecap-api@.service": ("api-file-store", "s3-store", "api-s3-upload", "buckets"),
    "edgecap-assembler.service": ("assembler-file-store", "s3-store", "buckets"),
    "edgecap-sampler.service": ("sampler-client-cert",),
}
SCORE = re.compile(r"Overall exposure level for \S+: ([\d.]+) ")


def analyze(*words):
    done = subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def copy_units(root, folder):
    """The units with all their drop-ins; programs that are certainly there in the place of ours."""
    given = Path(root) / "deploy/systemd"
    for unit in sorted(given.glob("*.service")) + sorted(given.glob("*.target")):
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
        (folder / unit.name).write_text(text)
        for name in DROP_INS.get(unit.name, ()):
            (folder / (unit.name + ".d")).mkdir(exist_ok=True)
            shutil.copy(given / "drop-in" / (name + ".conf"), folder / (unit.name + ".d"))


def instance(folder, name):
    return folder / name.replace("@.", "@1.")


def check_known(root, problems):
    """Each unit and drop-in is one that is looked at here."""
    given = Path(root) / "deploy/systemd"
    for path in given.glob("*.service"):
        if path.name not in CEILINGS:
            problems.append(f"deploy/systemd/{path.name}:1: has no ceiling in tests/lint/units.py")
    used = {name for names in DROP_INS.values() for name in names}
    for path in (given / "drop-in").glob("*"):
        if path.stem not in used:
            problems.append(f"deploy/systemd/drop-in/{path.name}:1: is used with no unit in tests/lint/units.py")


def check_verify(folder, problems):
    for name in [*CEILINGS, "edgecap.target"]:
        status, said = analyze("verify", "--man=no", "--recursive-errors=one", instance(folder, name))
        if status or said:
            problems.append(f"deploy/systemd/{name}:1: systemd-analyze verify: {said}")


def check_scores(root, folder, problems):
    document = Path(root) / "docs/deploy.md"
    text = document.read_text() if document.exists() else ""
    for name, ceiling in CEILINGS.items():
        _, said = analyze("security", "--offline=yes", "--no-pager", instance(folder, name))
        found = SCORE.search(said)
        if not found:
            problems.append(f"deploy/systemd/{name}:1: no score: {said[-200:]}")
            continue
        if float(found[1]) > ceiling:
            problems.append(f"deploy/systemd/{name}:1: exposure {found[1]} is above {ceiling}")
        if not re.search(rf"`{re.escape(name)}` *\| *{re.escape(found[1])} *\|", text):
            problems.append(f"docs/deploy.md:1: does not show that {name} has {found[1]}")


def directive(text, name):
    """All values of a directive, in order."""
    return [m[1].strip() for m in re.finditer(rf"^{name}=(.*)$", text, re.M)]


def expand(word, sets):
    """The system calls of a name or a @set."""
    if not word.startswith("@"):
        return {word}
    if word not in sets:
        _, said = analyze("syscall-filter", "--no-pager", word)
        sets[word] = [w for line in said.splitlines()[1:] if (w := line.strip()) and not w.startswith("#")]
    return set().union(*(expand(w, sets) for w in sets[word]))


def allowed_calls(text):
    """What the SystemCallFilter lines of a unit leave; the first is a list of what is allowed."""
    sets, allowed = {}, expand("@default", {})
    for line in directive(text, "SystemCallFilter"):
        calls = set().union(*(expand(word, sets) for word in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def confined_calls(root):
    """What the sampler allows itself once it works."""
    names = set()
    for name in sources.list_files(root):
        if name.endswith(".c") and not name.startswith("tests/"):
            text = sources.read(root, name)
            if "SYS_exit_group" in text:
                names |= {n for line in text.splitlines() if not re.search(r"\.error = |put_refusal|equal, SYS_clone3", line)
                          for n in re.findall(r"\bSYS_(\w+)", line)}
    return names


def check_calls(root, problems):
    sampler = Path(root) / "deploy/systemd/edgecap-sampler.service"
    needed = confined_calls(root)
    missing = needed - allowed_calls(sampler.read_text()) - {"sched_setaffinity"}  # allowed, but not made
    if not needed:
        problems.append("deploy/systemd/edgecap-sampler.service:1: found no list of the sampler's own")
    if missing:
        problems.append(f"deploy/systemd/edgecap-sampler.service:1: SystemCallFilter lacks {sorted(missing)}")
    return len(needed)


def check_capabilities(root, problems):
    for name in CEILINGS:
        text = (Path(root) / "deploy/systemd" / name).read_text()
        for kind in ("CapabilityBoundingSet", "AmbientCapabilities"):
            values = directive(text, kind)
            if len(values) != 1 or set(values[0].split()) != CAPABILITIES.get(name, set()):
                problems.append(f"deploy/systemd/{name}:1: {kind} is {values}")


def main():
    root = sources.root_from_argv()
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        copy_units(root, Path(folder))
        check_known(root, problems)
        check_verify(Path(folder), problems)
        check_scores(root, Path(folder), problems)
    check_calls(root, problems)
    check_capabilities(root, problems)
    return sources.report("units", problems, len(CEILINGS))


if __name__ == "__main__":
    sys.exit(main())
