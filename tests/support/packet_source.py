#!/usr/bin/python3
"""Packets with known numbers, sent through AF_PACKET, each with the time at which it was sent.

Run in the source namespace by edgecap_lab.PacketSource: reads one JSON object on stdin (streams: edge, device, source, destination,
source_port, destination_port, flows: so many source ports in turn, protocol, vlan: 802.1Q tag or absent, rate_per_s, count, bytes), sends until each stream's count is reached or
SIGTERM, then writes {"sent": [[[before_ns, after_ns], ...] per stream]} to stdout. A packet was on the
link at some time between before and after. The payload begins with "ECSQ", stream (2 bytes) and number (4 bytes).
"""

import heapq
import json
import signal
import socket
import struct
import sys
import time

MAGIC = b"ECSQ"
TCP, UDP = 6, 17


def checksum(data):
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(spec, source_port, payload):
    """An Ethernet frame with IPv4 or IPv6 and UDP or TCP (an ACK of no connection)."""
    v6 = ":" in spec["source"]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    src, dst = (socket.inet_pton(family, spec[k]) for k in ("source", "destination"))
    protocol, ports = spec["protocol"], (source_port, spec["destination_port"])
    if protocol == TCP:
        segment = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, 0x10, 8192, 0, 0) + payload
        at = 16
    else:
        segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
        at = 6
    pseudo = src + dst + struct.pack("!II", len(segment), protocol)
    total = checksum(pseudo + segment) or 0xFFFF
    segment = segment[:at] + struct.pack("!H", total) + segment[at + 2 :]
    if v6:
        packet = struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + src + dst + segment
    else:
        ip = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0, src, dst
        )
        packet = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + segment
    macs = bytes.fromhex("02000000%02x02" % spec["edge"] + "02000000%02x01" % spec["edge"])
    tag = struct.pack("!HH", 0x8100, spec["vlan"]) if "vlan" in spec else b""
    return macs + tag + (b"\x86\xdd" if v6 else b"\x08\x00") + packet


def numbered_frame(spec, stream, number):
    """What a stream sends as its packet of this number."""
    head = MAGIC + struct.pack("!HI", stream, number)
    return frame(spec, spec["source_port"] + number % spec["flows"], head.ljust(spec["bytes"], b"."))


class Template:
    """The frames of one flow of a stream: what changes from one to the next is the number and the checksum (RFC 1624)."""

    def __init__(self, spec, stream, port_number):
        self.frame = bytearray(numbered_frame(spec, stream, port_number))
        at = (18 if "vlan" in spec else 14) + (40 if ":" in spec["source"] else 20)
        tcp = spec["protocol"] == TCP
        self.number_at, self.checksum_at = at + (20 if tcp else 8) + 6, at + (16 if tcp else 6)
        (checksum_now,) = struct.unpack_from("!H", self.frame, self.checksum_at)
        self.sum = (~checksum_now & 0xFFFF) - (port_number >> 16) - (port_number & 0xFFFF)

    def numbered(self, number):
        """The frame of a number of this flow; good until the next call."""
        total = self.sum + (number >> 16) + (number & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!I", self.frame, self.number_at, number)
        struct.pack_into("!H", self.frame, self.checksum_at, (~total & 0xFFFF) or 0xFFFF)
        return self.frame


class Stream:
    """One numbered stream to one edge host."""

    def __init__(self, number, spec):
        self.spec, self.number, self.times, self.templates = spec, number, [], {}
        self.gap_s = 1 / spec["rate_per_s"]
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((spec["device"], 0))

    def send(self):
        number = len(self.times)
        flow = number % self.spec["flows"]
        if flow not in self.templates:
            self.templates[flow] = Template(self.spec, self.number, number)
        data = self.templates[flow].numbered(number)
        before = time.time_ns()
        self.socket.send(data)
        self.times.append((before, time.time_ns()))

    def over(self):
        return self.spec["count"] and len(self.times) >= self.spec["count"]


def main():
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    streams = [Stream(i, spec) for i, spec in enumerate(json.loads(sys.stdin.readline())["streams"])]
    now = time.monotonic()
    due = [(now + i * 1e-4, i) for i in range(len(streams))]
    heapq.heapify(due)
    print("sending", flush=True)
    while due and not stopped:
        at, i = due[0]
        wait = at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, 0.05))
            continue
        streams[i].send()
        if streams[i].over():
            heapq.heappop(due)
        else:
            heapq.heapreplace(due, (at + streams[i].gap_s, i))
    json.dump({"sent": [s.times for s in streams]}, sys.stdout)


if __name__ == "__main__":
    main()
