"""A fleet of edge hosts that capture nothing: each holds its conversation with the API (packet/sync_message.h), says of its parts what it is told,
and uploads no chunk.

As a program: reads its orders as a line of JSON ({"host", "port", "tokens": [...]}), says "ready" when each host's first message was taken
or held, then answers each line on stdin with a line of JSON: what the fleet has seen since the line before. Ends with stdin. Fleet is the other side:
a context manager.
"""

import json
import secrets
import selectors
import socket
import sys
import time

from crowd import PER_SOURCE, raise_descriptors
from player import Player

READ_BYTES = 256 * 1024
NOTHING = b'"parts":[]'


class Host:
    """One sampler: its connection, its parts, and what of an answer has come."""

    def __init__(self, token):
        self.token, self.boot, self.seq = token, secrets.token_hex(16), 0
        self.sock, self.data, self.parts = None, b"", {}
        self.silent = True  # its first message was not sent

    def message(self):
        """The next message, as bytes."""
        self.seq += 1
        interface = {"name": "eth0", "link_type": 1, "streams": 1, "received": 0, "dropped_kernel": 0, "dropped_interface": 0}
        body = json.dumps({
            "version": 1, "boot": self.boot, "seq": self.seq, "clock_us": time.time_ns() // 1000, "software": "fleet", "host": "h",
            "interfaces": [interface], "parts": list(self.parts.values()),
        })  # fmt: skip
        return ("POST /edge/v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                % (self.token, len(body), body)).encode()  # fmt: skip

    def obey(self, order):
        """An order about a part; whether the part is new."""
        pcap, desired = order["pcap"], order["desired"]
        part = self.parts.get(pcap)
        if desired == "forget":
            self.parts.pop(pcap, None)
        elif part is None and desired == "run":
            self.parts[pcap] = {"account": order["account"], "pcap": pcap, "state": "running", "started_us": time.time_ns() // 1000,
                                "ended_us": 0, "ledger": {}, "streams": [{"stream": 0, "closed": 0, "stored": 0}]}  # fmt: skip
            return True
        elif part is not None and desired == "stop" and part["state"] == "running":
            part.update(state="done", reason="stopped", ended_us=time.time_ns() // 1000)
        return False


class Hosts:
    """All of them, one loop."""

    def __init__(self, orders):
        self.address = (orders["host"], orders["port"])
        self.hosts = [Host(token) for token in orders["tokens"]]
        self.selector = selectors.DefaultSelector()
        self.made = 0
        self.clear()

    def clear(self):
        self.seen = {"answers": 0, "superseded": 0, "refused": 0, "lost": 0, "told": {}}

    def connect(self, host):
        host.sock, host.data = socket.socket(), b""
        host.sock.bind(("127.0.0.%d" % (2 + self.made // PER_SOURCE % 200), 0))
        self.made += 1
        host.sock.connect(self.address)
        host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(host.sock, selectors.EVENT_READ, host)

    def say(self, host):
        if host.sock is None:
            self.connect(host)
        host.silent = False
        host.sock.sendall(host.message())

    def lose(self, host):
        self.seen["lost"] += 1
        self.selector.unregister(host.sock)
        host.sock.close()
        host.sock = None
        self.say(host)

    def hear(self, host):
        """Read; when the answer is whole, do what it says and speak again."""
        try:
            piece = host.sock.recv(READ_BYTES)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.lose(host)
            return
        host.data += piece
        head, found, body = host.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(body) < length:
            return
        host.data = b""
        self.seen["answers"] += 1
        if not head.startswith(b"HTTP/1.1 200 "):
            self.seen["refused"] += 1
        elif NOTHING not in body:
            self.told(host, json.loads(body))
        self.seen["superseded"] += b'"superseded":true' in body
        self.say(host)

    def told(self, host, answer):
        now = time.monotonic()
        for order in answer["parts"]:
            if host.obey(order):
                self.seen["told"].setdefault(order["pcap"], []).append(now)

    def run(self):
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        silent = list(self.hosts)
        while True:
            for host in silent[:50]:  # a fleet does not come all at once
                self.say(host)
            if silent and len(silent) <= 50:
                print("ready", flush=True)
            silent = silent[50:]
            for key, _ in self.selector.select(0.01 if silent else None):
                if key.data:
                    self.hear(key.data)
                elif not sys.stdin.readline():
                    return
                else:
                    print(json.dumps(self.seen), flush=True)
                    self.clear()


class Fleet(Player):
    """The process. tokens: of the samplers."""

    def __init__(self, address, tokens):
        super().__init__(__file__, {"host": address[0], "port": address[1], "tokens": list(tokens)})

    def seen(self):
        """Counters since the last time; told: for each new capture when each host was told (time.monotonic)."""
        return json.loads(self.ask())


def main():
    raise_descriptors()
    Hosts(json.loads(sys.stdin.readline())).run()


if __name__ == "__main__":
    main()
