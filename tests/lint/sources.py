"""The project's files and C texts, as the lint checks see them."""

import re
import subprocess
import sys
from pathlib import Path

PRODUCT_FOLDERS = ("base", "sandbox", "packet", "jobqueue", "storage", "sampler", "assembler", "api", "admin")

# What .gitignore names, for a folder without git.
IGNORED = {"build", ".run", ".cache", "__pycache__", ".pytest_cache"}


def list_files(root):
    """Paths relative to root of all files that are tracked or could be; without git, of all files."""
    root = Path(root)
    if (root / ".git").exists():
        # A checkout of another user is read as well: nothing of it is executed.
        out = subprocess.run(["git", "-c", f"safe.directory={root.resolve()}", "-C", str(root), "ls-files", "-z",
                              "-co", "--exclude-standard"], check=True, capture_output=True, text=True).stdout
        names = sorted({name for name in out.split("\0") if name})
    else:
        names = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
        names = [n for n in names if not set(n.split("/")) & IGNORED]
    return [name for name in names if (root / name).is_file()]


def c_files(root, suffixes=(".c", ".h")):
    """The C files among list_files."""
    return [name for name in list_files(root) if name.endswith(suffixes)]


def read(root, name):
    return (Path(root) / name).read_text(encoding="utf-8", errors="replace")


# A comment, a string or a character constant; what comes first in the text wins.
TOKEN = re.compile(r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.X)


def blank(text, keep=()):
    """text with comments, strings and constants replaced by spaces, except of the kinds in keep.

    Kinds are "comment" and "string". Offsets and line numbers stay the same.
    """
    def replace(match):
        kind = "comment" if match[0].startswith("/") else "string"
        return match[0] if kind in keep else re.sub(r"[^\n]", " ", match[0])

    return TOKEN.sub(replace, text)


def comments(text):
    """(begin, end) offsets of each comment."""
    return [m.span() for m in TOKEN.finditer(text) if m[0].startswith("/")]


def blank_directives(code):
    """code (already blanked) with preprocessor lines and their continuations replaced by spaces."""
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def matching_paren(code, close):
    """Offset of the '(' that the ')' at close belongs to; -1 when there is none."""
    depth = 0
    for i in range(close, -1, -1):
        if code[i] == ")":
            depth += 1
        elif code[i] == "(":
            depth -= 1
            if depth == 0:
                return i
    return -1


def report(what, problems, looked_at):
    """Print the outcome and return the exit code. A check that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    if not looked_at:
        print(f"{what}: nothing to look at")
        return 1
    print(f"{what}: {looked_at} looked at, {len(problems)} wrong")
    return 1 if problems else 0


def root_from_argv():
    """The folder to check: the first argument, else the project's."""
    return Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
