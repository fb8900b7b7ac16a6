#!/usr/bin/python3
"""A crowd of bad clients of an HTTP server: idle connections, slow readers, slow writers; a process of its own.

crowd.py reads its orders (JSON, one line) from stdin, says `ready` when every connection stands, keeps it up (one that the server closes is
made anew) until stdin ends, and says what happened to it. Crowd is the other side: a context manager. Connections come from 127.0.0.0/8
addresses, so many from each, so that neither ports nor a limit for each address run out.
"""

import json
import resource
import selectors
import socket
import sys
import time

from player import Player

PER_SOURCE = 900
WRITE_EVERY_S = 1.0
READ_BYTES = 2048  # each time: above the slowest rate that the API accepts
POLL_S = 0.05


def head(method, path, *lines):
    """Of a request."""
    return "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, path, "".join(line + "\r\n" for line in lines))


def bearer(token):
    return "Authorization: Bearer " + token


def download_head(account, job):
    """Of the request for a job's file; account: api_rig's."""
    return head("GET", account.path("/%s/download" % job), bearer(account.token))


class Client:
    """A connection: what it sends at first, and what it does each second."""

    def __init__(self, kind, head):
        self.kind, self.head, self.sock, self.due_s = kind, head, None, 0.0


class Host:
    """All of them, one loop."""

    def __init__(self, orders):
        self.address = (orders["host"], orders["port"])
        self.clients = [Client("idle", b"") for _ in range(orders["idle"])]
        self.clients += [Client("reader", head.encode()) for head in orders["readers"]]
        self.clients += [Client("writer", head.encode()) for head in orders["writers"]]
        self.counts = {"opened": 0, "closed by the server": 0, "refused": 0, "bytes read": 0}
        self.made = 0

    def connect(self, client):
        sock = socket.socket()
        if client.kind == "reader":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        source = 2 + self.made // PER_SOURCE % 200
        self.made += 1
        sock.bind(("127.0.0.%d" % source, 0))
        sock.settimeout(30)
        try:
            sock.connect(self.address)
            if client.head:
                sock.sendall(client.head)
        except OSError:
            self.counts["refused"] += 1
            sock.close()
            return
        sock.setblocking(False)
        client.sock, client.due_s = sock, time.monotonic() + WRITE_EVERY_S * (self.made % 100) / 100
        self.counts["opened"] += 1

    def lost(self, client):
        self.counts["closed by the server"] += 1
        client.sock.close()
        client.sock = None

    def act(self, client):
        """A slow one's step."""
        client.due_s += WRITE_EVERY_S
        try:
            if client.kind == "writer":
                client.sock.send(b"x")
            else:
                data = client.sock.recv(READ_BYTES)
                self.counts["bytes read"] += len(data)
                if not data:
                    self.lost(client)
        except BlockingIOError:
            pass
        except OSError:
            self.lost(client)

    def idle_lost(self, idle):
        """Idle ones that were closed."""
        for client in idle:
            if client.sock:
                try:
                    if not client.sock.recv(1):
                        self.lost(client)
                except BlockingIOError:
                    pass
                except OSError:
                    self.lost(client)

    def run(self, ended):
        for client in self.clients:
            self.connect(client)
        print("ready", flush=True)
        slow = [client for client in self.clients if client.kind != "idle"]
        while not ended(POLL_S):
            now = time.monotonic()
            for client in slow:
                if client.sock is None:
                    self.connect(client)
                elif client.due_s <= now:
                    self.act(client)
        standing = sum(client.sock is not None for client in self.clients)
        self.idle_lost([client for client in self.clients if client.kind == "idle"])
        for client in self.clients:
            if client.sock:
                client.sock.close()
        print(json.dumps({**self.counts, "standing": standing}), flush=True)


class Crowd(Player):
    """The process. readers, writers: lists of what each sends at first (text). Afterwards `result` is what happened."""

    def __init__(self, host, port, idle=0, readers=(), writers=()):
        super().__init__(__file__, {"host": host, "port": port, "idle": idle, "readers": list(readers), "writers": list(writers)})
        self.result = None

    def __exit__(self, *more):
        super().__exit__(*more)
        self.result = json.loads(self.last)


def raise_descriptors():
    """As many as we may have; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main():
    raise_descriptors()
    selector = selectors.DefaultSelector()
    orders = json.loads(sys.stdin.readline())
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    Host(orders).run(lambda seconds: bool(selector.select(seconds)))


if __name__ == "__main__":
    main()
