"""Chunks as a sampler makes them: a small pcapng writer that shares no code with the program.

A packet is UDP over Ethernet, 10.1.2.3 > 192.0.2.9; its source port carries a number below 65536.
"""

import struct

SECOND_NS = 10**9
BEGIN_NS = 1_700_000_000 * SECOND_NS


def _block(kind, body):
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _head(interface, link_type, snaplen):
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    options = _option(2, interface.encode()) + _option(9, b"\x09") + bytes(4)
    return _block(0x0A0D0D0A, section) + _block(1, struct.pack("<HHI", link_type, 0, snaplen) + options)


def _checksum(header):
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def packet(number, payload=8):
    """The bytes of packet number on Ethernet."""
    udp = struct.pack("!HHHH", number, 4000, 8 + payload, 0) + bytes(payload)
    fields = (0x45, 0, 20 + len(udp), 1, 0, 64, 17)
    addresses = bytes((10, 1, 2, 3, 192, 0, 2, 9))
    header = struct.pack("!BBHHHBBH", *fields, 0) + addresses
    header = struct.pack("!BBHHHBBH", *fields, _checksum(header)) + addresses
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + header + udp


def number_of(data):
    """The number of a packet on Ethernet."""
    return struct.unpack_from("!H", data, 34)[0]


def chunk(packets, interface="eth0", link_type=1, snaplen=160):
    """A chunk of (time in ns, bytes) in the order given."""
    out = [_head(interface, link_type, snaplen)]
    for time_ns, data in packets:
        head = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
        out.append(_block(6, head + data + bytes(-len(data) % 4)))
    out.append(_block(5, struct.pack("<III", 0, 0, 0) + bytes(4)))
    return b"".join(out)
