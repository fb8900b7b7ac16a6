#!/usr/bin/python3
"""Fetch real captures to test with: those in Debian's source packages of tcpdump and wireshark.

Usage: fetch_captures.py CACHE

CACHE/captures is filled once with the plain capture files, named <package>/<path>. The packages come through apt-get
from the machine's own configured archive: its `deb` entries for this release are read as `deb-src`, with state
folders of our own, so that the system's lists are not touched. Nothing is installed and nothing but captures is unpacked.
"""

import fcntl
import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

# Package and where its captures are.
PACKAGES = {"tcpdump": "tests/", "wireshark": "test/captures/"}
ENDINGS = (".pcap", ".pcapng", ".cap", ".ntar", ".gz")
CAPTURE_BYTES_MAX = 64 * 1024 * 1024
STAMP = "complete"


def release_codename():
    """This release's name ("bookworm"): entries of other archives are left out, they have no sources of ours."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip().strip('"')
    sys.exit("fetch_captures: /etc/os-release names no VERSION_CODENAME")


def one_line_sources(text, codename):
    """`deb` lines of this release as `deb-src` lines."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb(\s+\[[^]]*\])?(\s+\S+)(\s+\S+)(.*)$", line)
        if match and match[3].strip().split("-")[0].split("/")[0] in (codename, "stable"):
            found.append("deb-src" + (match[1] or "") + match[2] + match[3] + match[4])
    return found


def deb822_sources(text, codename):
    """`Types: deb` stanzas of this release as `deb-src` stanzas."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1] for line in lines
                  if ":" in line and not line[:1].isspace()}
        suites = {suite.split("-")[0].split("/")[0] for suite in fields.get("suites", "").split()}
        disabled = fields.get("enabled", "yes").strip().lower() in ("no", "false", "0")
        if "deb" in fields.get("types", "").split() and suites & {codename, "stable"} and not disabled:
            found.append("\n".join("Types: deb-src" if line.lower().startswith("types:") else line
                                   for line in lines if line.strip()))
    return found


def write_sources(folder):
    """The private source entries. Returns how many."""
    etc = Path("/etc/apt")
    codename = release_codename()
    lists = [p for p in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))] if p.is_file()]
    lines = [line for p in lists for line in one_line_sources(p.read_text(), codename)]
    stanzas = [s for p in sorted(etc.glob("sources.list.d/*.sources"))
               for s in deb822_sources(p.read_text(), codename)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ours.list").write_text("".join(line + "\n" for line in lines))
    (folder / "ours.sources").write_text("\n\n".join(stanzas) + "\n")
    return len(lines) + len(stanzas)


def apt(work, *arguments):
    """Run apt-get with the private entries and folders. Returns the exit code; output goes to stderr."""
    for name in ("state/lists/partial", "cache/archives/partial", "packages", "empty"):
        (work / name).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": work / "sources",
        "Dir::State": work / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "",  # the folders are the caller's
        "APT::Update::Post-Invoke": "",
        "APT::Update::Post-Invoke-Success": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    command = ["apt-get", "-q"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return subprocess.run(command + list(arguments), cwd=work / "packages", stdout=sys.stderr).returncode


def unpack(work, package, inside, target):
    """Captures of a package's upstream archive to target/package. Returns how many."""
    archives = sorted((work / "packages").glob(f"{package}_*.orig.tar.*"))
    archives = [p for p in archives if p.suffix != ".asc"]
    if not archives:
        sys.exit(f"fetch_captures: apt-get brought no {package}_*.orig.tar.*")
    count = 0
    with tarfile.open(archives[-1]) as tar:
        for member in tar:
            path = member.name.split("/", 1)[-1]
            if not member.isfile() or not path.startswith(inside) or not path.endswith(ENDINGS):
                continue
            if member.size > CAPTURE_BYTES_MAX:
                continue
            data = tar.extractfile(member).read()
            name = re.sub(r"[^\w.-]", "_", path[len(inside):])
            if name.endswith(".gz"):
                try:
                    data, name = gzip.decompress(data), name[:-3]
                except (OSError, EOFError):
                    continue  # a damaged one, made to test wireshark's unpacking
            (target / package).mkdir(parents=True, exist_ok=True)
            (target / package / name).write_bytes(data)
            count += 1
    return count


def fetch(cache):
    work, target = cache / "apt", cache / "captures.new"
    shutil.rmtree(target, ignore_errors=True)
    if write_sources(work / "sources") == 0:
        sys.exit("fetch_captures: no `deb` entry of this release in /etc/apt")
    apt(work, "update")  # one archive that fails is no matter: what counts is the next step
    if apt(work, "source", "--download-only", *PACKAGES) != 0:
        sys.exit("fetch_captures: apt-get could not fetch the source packages " + ", ".join(PACKAGES))
    for package, inside in PACKAGES.items():
        print(f"{package}: {unpack(work, package, inside, target)} captures", file=sys.stderr)
    (target / STAMP).touch()
    shutil.rmtree(cache / "captures", ignore_errors=True)
    target.rename(cache / "captures")
    shutil.rmtree(work)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cache = Path(sys.argv[1]).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several builds may share the cache
        if not (cache / "captures" / STAMP).exists():
            fetch(cache)
    print(cache / "captures")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
