"""Which of the numbered packets of a PacketSource are in a file, and whether they are all that should be."""

import struct

import packet_source
from pcap_read import LINK_ETHERNET, parse, parse_pcap, read_pcap, read_pcapng


def numbers(path):
    """Numbers per stream of the packets in a file, in the file's order; foreign packets are an error."""
    read = read_pcapng if str(path).endswith(".pcapng") else read_pcap
    return numbers_of(read(path)[0])


def numbers_of(packets):
    """The same of packets."""
    found = {}
    for packet in packets:
        payload = parse(packet.data).payload
        assert payload[:4] == b"ECSQ", "not a packet of ours: %r" % packet
        stream, number = struct.unpack_from("!HI", payload, 4)
        found.setdefault(stream, []).append(number)
    return found


def whole_numbers(pcap, source):
    """Numbers per stream of the packets in a file's bytes, each of them what a PacketSource sends, byte for byte."""
    packets, link_type = parse_pcap(pcap)
    assert link_type == LINK_ETHERNET
    found = {}
    for packet in packets:
        stream, number = struct.unpack_from("!HI", parse(packet.data).payload, 4)
        expected = packet_source.numbered_frame(source.streams[stream], stream, number)
        assert packet.data == expected and packet.wire_bytes == len(expected), "stream %d, number %d" % (stream, number)
        found.setdefault(stream, []).append(number)
    return found


def check_whole(pcap, source):
    """A file's bytes have every packet that a finished PacketSource has sent, byte for byte, once, and nothing else."""
    check_all(whole_numbers(pcap, source), source.sent)


def check_all(found, sent):
    """Everything that was sent is there, once, in order."""
    for stream, times in enumerate(sent):
        taken = found.get(stream, [])
        missing = sorted(set(range(len(times))) - set(taken))
        assert taken == list(range(len(times))), "stream %d: %d of %d there, missing %s..., twice %d" % (
            stream, len(set(taken)), len(times), missing[:10], len(taken) - len(set(taken)),
        )  # fmt: skip


def check_window(taken, times, from_ns, to_ns):
    """What was sent within a window is there, once, in order, and nothing that was sent clearly outside of it."""
    assert taken == sorted(set(taken)), "packets twice or out of order"
    there = set(taken)
    for number, (before, after) in enumerate(times):
        if from_ns <= before and after <= to_ns:
            assert number in there, "number %d, sent %.3f s into a window of %.3f s, is missing" % (
                number, (before - from_ns) / 1e9, (to_ns - from_ns) / 1e9,
            )  # fmt: skip
        if after < from_ns or before > to_ns:
            assert number not in there, "number %d is not of this window" % number


def check_earliest(found, sent, count):
    """The first packets of each stream are there, and none that is missing was sent before one that is there."""
    assert sum(len(n) for n in found.values()) == count
    last_taken, first_left = 0, None
    for stream, times in enumerate(sent):
        taken = found.get(stream, [])
        assert taken == list(range(len(taken))), "stream %d has gaps: %s" % (stream, taken)
        if taken:
            last_taken = max(last_taken, times[len(taken) - 1][0])
        if len(taken) < len(times):
            after = times[len(taken)][1]
            first_left = after if first_left is None else min(first_left, after)
    assert first_left is not None, "the source sent nothing that was left out"
    assert first_left >= last_taken, "a packet %d ns older than one in the file is missing" % (
        last_taken - first_left
    )
