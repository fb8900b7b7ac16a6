#!/usr/bin/python3
"""Run a program in the cage of a systemd unit, as far as one process can build it without systemd.

under_unit.py UNIT [--user NAME] [--write PATH]... -- PROGRAM [ARGUMENTS], as root. What is made from the unit: user's capabilities (bounding and
ambient), NoNewPrivileges, ProtectSystem=strict with the paths of --write in the place of its own, ProtectProc and ProcSubset, ProtectKernelTunables,
PrivateIPC, UMask, LimitCORE, LimitNOFILE, and as seccomp filter SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute, RestrictNamespaces and
RestrictSUIDSGID. The programs of this machine only (x86-64). A directive that is neither built nor known not to matter here is an error.
"""

import argparse
import ctypes
import errno
import os
import pwd
import re
import resource
import socket
import stat
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))

from units import allowed_calls, directive  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, SYS_MOUNT_SETATTR = -100, 0x8000, 1, 442
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 24, 22, 38, 47
CAPABILITIES = {"CAP_SETPCAP": 8, "CAP_NET_RAW": 13}
AUDIT_ARCH_X86_64 = 0xC000003E
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PROT_WRITE, PROT_EXEC = 2, 4
NAMESPACES = 0x7E020080  # CLONE_NEW...: time, mount, cgroup, uts, ipc, user, pid, net
BUILT = {
    "User", "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "UMask", "ProtectSystem", "ProtectProc", "ProcSubset",
    "ProtectKernelTunables", "PrivateIPC", "SystemCallFilter", "SystemCallErrorNumber", "RestrictAddressFamilies",
    "MemoryDenyWriteExecute", "RestrictNamespaces", "RestrictSUIDSGID", "LimitCORE", "LimitNOFILE", "ReadWritePaths", "StateDirectory",
    "StateDirectoryMode", "PrivateMounts",
}  # fmt: skip
# Settings of the program, of its supervision, or of what a test machine may have no cgroups, devices or namespaces for.
LEFT = {
    "Type", "ExecStart", "Group", "EnvironmentFile", "Environment", "LoadCredential", "Restart", "RestartSec", "TimeoutStopSec",
    "TasksMax", "MemoryMax", "ProtectHome", "PrivateTmp", "PrivateDevices", "DevicePolicy", "PrivateUsers", "ProtectClock", "ProtectHostname",
    "ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelModules", "LockPersonality", "RestrictRealtime", "RemoveIPC",
    "KeyringMode", "SystemCallArchitectures",
}  # fmt: skip


def check(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (what, os.strerror(code)))


def service_text(path):
    text = Path(path).read_text().partition("[Service]")[2].partition("[Install]")[0]
    unknown = {m[1] for m in re.finditer(r"^(\w+)=", text, re.M)} - BUILT - LEFT
    assert not unknown, "under_unit.py does not know %s" % sorted(unknown)
    return text


def yes(text, name):
    return directive(text, name) == ["yes"]


# --- the file system


def set_read_only(path, on, recursive=True):
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY if on else 0, 0 if on else MOUNT_ATTR_RDONLY, 0, 0)
    check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, str(path).encode(), AT_RECURSIVE if recursive else 0, attributes,
                       len(attributes)), "mount_setattr " + str(path))  # fmt: skip


def mount(source, target, kind, flags, data=None):
    check(libc.mount(source, str(target).encode(), kind, flags, data), "mount " + str(target))


def build_files(text, writable):
    os_unshare(0x00020000 | (0x08000000 if yes(text, "PrivateIPC") else 0))
    mount(b"none", "/", None, MS_REC | MS_PRIVATE)
    for path in writable:
        mount(str(path).encode(), path, None, MS_BIND | MS_REC)
    assert directive(text, "ProtectSystem") == ["strict"]
    set_read_only("/", True)
    for path in [*writable, "/dev"]:
        set_read_only(path, False)
    options = ["hidepid=invisible"] if directive(text, "ProtectProc") == ["invisible"] else []
    options += ["subset=pid"] if directive(text, "ProcSubset") == ["pid"] else []
    mount(b"proc", "/proc", b"proc", 0, ",".join(options).encode())
    if yes(text, "ProtectKernelTunables") and "subset=pid" not in options:
        mount(b"/proc/sys", "/proc/sys", None, MS_BIND | MS_REC)
        set_read_only("/proc/sys", True)


def os_unshare(flags):
    check(libc.unshare(flags), "unshare")


# --- privileges


def give_up(text, user):
    bounding = {CAPABILITIES[name] for name in directive(text, "CapabilityBoundingSet")[0].split()}
    ambient = {CAPABILITIES[name] for name in directive(text, "AmbientCapabilities")[0].split()}
    for capability in range(64):
        if capability not in bounding and libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # the one before was the kernel's last
    check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keepcaps")
    row = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(row.pw_gid, row.pw_gid, row.pw_gid)
    os.setresuid(row.pw_uid, row.pw_uid, row.pw_uid)
    mask = sum(1 << c for c in ambient)
    header = struct.pack("Ii", 0x20080522, 0)
    check(libc.capset(header, struct.pack("IIIIII", mask, mask, mask, 0, 0, 0)), "capset")
    for capability in ambient:
        check(libc.prctl(PR_CAP_AMBIENT, 2, capability, 0, 0), "ambient")
    if yes(text, "NoNewPrivileges"):
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


# --- system calls


def numbers():
    text = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    return {m[1]: int(m[2]) for m in re.finditer(r"#define __NR_(\w+) (\d+)", text)}


class Filter:
    """A seccomp program for one architecture: rules on arguments first, then the list of what is allowed."""

    def __init__(self, refusal):
        self.code, self.refusal = [(0x20, 0, 0, 4), (0x15, 1, 0, AUDIT_ARCH_X86_64), (0x06, 0, 0, ERRNO | refusal), (0x20, 0, 0, 0)], refusal

    def refuse_where(self, number, tests, code=None):
        """Refuse the call when all tests hold, (argument, mask, value) each of a low half."""
        body = []
        for argument, mask, value in tests:
            body += [(0x20, 0, 0, 16 + 8 * argument), (0x54, 0, 0, mask), [0x15, 0, None, value]]
        body.append((0x06, 0, 0, ERRNO | (code or self.refusal)))
        for i, one in enumerate(body):
            if isinstance(one, list):
                body[i] = (one[0], one[1], len(body) - i - 1, one[3])
        self.code += [(0x15, 0, len(body) + 1, number), *body, (0x20, 0, 0, 0)]

    def allow_families(self, number, families):
        """socket() of these families only."""
        body = [(0x20, 0, 0, 16)]
        body += [(0x15, len(families) - i, 0, family) for i, family in enumerate(families)]
        body += [(0x06, 0, 0, ERRNO | errno.EAFNOSUPPORT)]
        self.code += [(0x15, 0, len(body) + 1, number), *body, (0x20, 0, 0, 0)]

    def finish(self, allowed):
        for number in sorted(allowed):
            self.code += [(0x15, 0, 1, number), (0x06, 0, 0, ALLOW)]
        self.code.append((0x06, 0, 0, ERRNO | self.refusal))
        return b"".join(struct.pack("HBBI", *one) for one in self.code)


def filter_of(text):
    known = numbers()
    assert directive(text, "SystemCallErrorNumber") == ["EPERM"]
    out = Filter(errno.EPERM)
    if yes(text, "MemoryDenyWriteExecute"):
        out.refuse_where(known["mmap"], [(2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC)])
        out.refuse_where(known["mprotect"], [(2, PROT_EXEC, PROT_EXEC)])
        out.refuse_where(known["pkey_mprotect"], [(2, PROT_EXEC, PROT_EXEC)])
    if yes(text, "RestrictNamespaces"):
        for bit in (1 << i for i in range(32) if NAMESPACES >> i & 1):
            out.refuse_where(known["clone"], [(0, bit, bit)])
            out.refuse_where(known["unshare"], [(0, bit, bit)])
        out.refuse_where(known["clone3"], [], errno.ENOSYS)
        out.refuse_where(known["setns"], [])
    if yes(text, "RestrictSUIDSGID"):
        for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("open", 2), ("openat", 3)):
            for bit in (stat.S_ISUID, stat.S_ISGID):
                tests = [(argument, bit, bit)]
                if name.startswith("open"):
                    tests.append((argument - 1, os.O_CREAT, os.O_CREAT))
                out.refuse_where(known[name], tests)
    families = [int(getattr(socket, name)) for line in directive(text, "RestrictAddressFamilies") for name in line.split()]
    out.allow_families(known["socket"], families)
    return out.finish({known[name] for name in allowed_calls(text) if name in known})


def install(program):
    room = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(room))
    check(libc.prctl(PR_SET_SECCOMP, 2, head, 0, 0), "seccomp")


def limits(text):
    for name, which in (("LimitCORE", resource.RLIMIT_CORE), ("LimitNOFILE", resource.RLIMIT_NOFILE)):
        value = min(int(directive(text, name)[0]), resource.getrlimit(which)[1])  # a test machine may have less
        resource.setrlimit(which, (value, value))
    os.umask(int(directive(text, "UMask")[0], 8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unit")
    parser.add_argument("--user", default="nobody")
    parser.add_argument("--write", action="append", default=[])
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    text = service_text(options.unit)
    program = filter_of(text)
    limits(text)
    build_files(text, options.write)
    give_up(text, options.user)
    install(program)
    os.execv(options.program[0], options.program)


if __name__ == "__main__":
    main()
