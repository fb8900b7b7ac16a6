"""Readers of pcap and pcapng files and of the packets in them, for tests.

Small and independent of the code under test. Strict: whatever is odd raises ValueError.
"""

import socket
import struct
from dataclasses import dataclass, field

SHB, IDB, NRB, ISB, EPB = 0x0A0D0D0A, 1, 4, 5, 6
LINK_ETHERNET, LINK_RAW = 1, 101


@dataclass
class Packet:
    """One packet of a file: time in ns since 1970, captured bytes, length on the wire."""

    time_ns: int
    data: bytes
    wire_bytes: int
    interface: int = 0


@dataclass
class Interface:
    """An interface block of a pcapng file with its options and statistics, each by option code."""

    link_type: int
    snaplen: int
    options: dict
    statistics: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.options.get(2, b"").decode()

    @property
    def ticks_per_s(self):
        exponent = self.options.get(9, b"\x06")[0]
        return 2 ** (exponent & 127) if exponent & 128 else 10**exponent

    def statistic(self, code):
        """A 64-bit counter of the statistics block (4 ifrecv ... 8 usrdeliv)."""
        return struct.unpack("<Q", self.statistics[code])[0]


def read_pcap(path):
    """Packets of a classic pcap file, and its link type."""
    return parse_pcap(open(path, "rb").read())


def parse_pcap(data):
    """The same from the file's bytes."""
    magic = struct.unpack_from("<I", data)[0]
    scale = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}.get(magic)
    if scale is None:
        raise ValueError("magic %#x" % magic)
    major, minor, _, _, snaplen, link_type = struct.unpack_from("<HHiIII", data, 4)
    if (major, minor) != (2, 4):
        raise ValueError("version %d.%d" % (major, minor))
    packets, offset = [], 24
    while offset < len(data):
        seconds, fraction, captured, wire = struct.unpack_from("<IIII", data, offset)
        offset += 16
        if captured > snaplen or captured > wire or offset + captured > len(data):
            raise ValueError("record %d: %d bytes" % (len(packets), captured))
        if fraction * scale >= 10**9:
            raise ValueError("record %d: fraction %d" % (len(packets), fraction))
        time_ns = seconds * 10**9 + fraction * scale
        packets.append(Packet(time_ns, data[offset : offset + captured], wire))
        offset += captured
    return packets, link_type


def _options(data):
    result, offset = {}, 0
    while offset < len(data):
        code, length = struct.unpack_from("<HH", data, offset)
        if code == 0:
            break
        result[code] = data[offset + 4 : offset + 4 + length]
        if len(result[code]) != length:
            raise ValueError("option %d runs out of its block" % code)
        offset += 4 + (length + 3) // 4 * 4
    return result


def read_pcapng(path):
    """Packets and interfaces of a little-endian pcapng file with one section."""
    data = open(path, "rb").read()
    packets, interfaces, offset = [], [], 0
    while offset < len(data):
        kind, length = struct.unpack_from("<II", data, offset)
        if length < 12 or length % 4 or offset + length > len(data):
            raise ValueError("block at %d: length %d" % (offset, length))
        if struct.unpack_from("<I", data, offset + length - 4)[0] != length:
            raise ValueError("block at %d: its two lengths differ" % offset)
        body = data[offset + 8 : offset + length - 4]
        if (kind == SHB) != (offset == 0):
            raise ValueError("section header at %d" % offset)
        if kind == IDB:
            link_type, _, snaplen = struct.unpack_from("<HHI", body)
            interfaces.append(Interface(link_type, snaplen, _options(body[8:])))
        elif kind == EPB:
            number, high, low, captured, wire = struct.unpack_from("<IIIII", body)
            ticks = high << 32 | low
            time_ns = ticks * 10**9 // interfaces[number].ticks_per_s
            packets.append(Packet(time_ns, body[20 : 20 + captured], wire, number))
        elif kind == ISB:
            number = struct.unpack_from("<I", body)[0]
            interfaces[number].statistics = _options(body[12:])
        offset += length
    return packets, interfaces


@dataclass(frozen=True)
class Flow:
    """What the tests look at in a packet."""

    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int
    payload: bytes
    vlan: int


def parse(data, link_type=LINK_ETHERNET):
    """The flow of an IPv4 or IPv6 packet without extension headers; None for anything else."""
    offset, vlan = 0, 0
    if link_type == LINK_ETHERNET:
        offset, kind = 14, struct.unpack_from("!H", data, 12)[0]
        if kind == 0x8100:
            vlan, kind = struct.unpack_from("!HH", data, 14)
            offset, vlan = 18, vlan & 0xFFF
        if kind not in (0x0800, 0x86DD):
            return None
    if data[offset] >> 4 == 4:
        family, protocol = socket.AF_INET, data[offset + 9]
        if struct.unpack_from("!H", data, offset + 6)[0] & 0x1FFF:
            return None
        source, destination = data[offset + 12 : offset + 16], data[offset + 16 : offset + 20]
        offset += (data[offset] & 15) * 4
    else:
        family, protocol = socket.AF_INET6, data[offset + 6]
        source, destination = data[offset + 8 : offset + 24], data[offset + 24 : offset + 40]
        offset += 40
    ports, payload = (0, 0), data[offset:]
    if protocol in (6, 17):
        ports = struct.unpack_from("!HH", data, offset)
        payload = data[offset + (8 if protocol == 17 else (data[offset + 12] >> 4) * 4) :]
    source, destination = (socket.inet_ntop(family, a) for a in (source, destination))
    return Flow(source, destination, protocol, *ports, payload, vlan)
