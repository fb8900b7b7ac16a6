"""Libraries that are preloaded into a program under test: built where they are needed, and the variables that the program is to have."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def library(folder, name):
    """Build tests/support/<name>.c in folder, which the program must be able to read; its path."""
    path = Path(folder) / (name + ".so")
    if not path.exists():
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE", "-o", path, HERE / (name + ".c"), "-ldl"],
            check=True,
        )
    return str(path)


def violation(folder, what, after_ms=1000, paths=(), hold_ms=1000):
    """For a sampler that tries `what` from within; see violation.c."""
    return {
        "LD_PRELOAD": library(folder, "violation"),
        "VIOLATION": what,
        "VIOLATION_MS": str(after_ms),
        "VIOLATION_HOLD_MS": str(hold_ms),
        "VIOLATION_PATHS": ":".join(map(str, paths)),
    }


def old_kernel(folder, *lacks):
    """For a program that finds no "landlock", no "mounts" or no "seccomp"; see old_kernel.c."""
    return {"LD_PRELOAD": library(folder, "old_kernel"), "OLD_KERNEL": ",".join(lacks)}
