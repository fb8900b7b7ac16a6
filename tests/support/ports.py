#!/usr/bin/python3
"""TCP ports for programs of tests, each leased to one test alone.

A port that bind() gave and that was closed again is anybody's, another test's or a connection's, until the program listens, and
again each time it is started anew. So these are below the range that the kernel gives away (net.ipv4.ip_local_port_range), and
a lease is a lock on the byte of that number in one file: it ends with its holder, whatever kills that.

From a shell, ports.py FD ADDRESS...: FD is that file (ports.py --file prints its path), opened by the shell; the leases are
held while anybody has that descriptor open. Prints a port for each address, a line each.
"""

import fcntl
import os
import random
import socket
import struct
import sys

FILE = "/tmp/edgecap-test-ports"
FIRST, END = 20000, 32000
_held = set()  # by this process
_file = None  # opened once, never closed: nor are the leases given back before the process ends


def _open():
    try:
        return os.open(FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(fd, 0o666)
        return fd


def _lock(fd, port):
    """Whether the port is ours now. The lock is the open file's, not the process's (F_OFD_SETLK): no two that we hold conflict."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, port, 1, 0))
    except BlockingIOError:
        return False
    return True


def _can_listen(address, port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
            sock.listen()
        except OSError:
            return False
    return True


def lease(address="127.0.0.1", fd=None):
    """A port of an address where nothing listens. fd: the open file that is to hold the lease; else this process does."""
    global _file
    if fd is None:
        fd = _file = _open() if _file is None else _file
    for port in random.SystemRandom().sample(range(FIRST, END), END - FIRST):
        if port not in _held and _lock(fd, port) and _can_listen(address, port):
            _held.add(port)
            return port
    raise AssertionError("no port from %d to %d is free on %s" % (FIRST, END - 1, address))


if __name__ == "__main__":
    if sys.argv[1:] == ["--file"]:
        os.close(_open())
        print(FILE)
    else:
        for name in sys.argv[2:]:
            print(lease(name, int(sys.argv[1])))
