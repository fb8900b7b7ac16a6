"""HTTP/2 as it should not be: frames and header fields that no library would send (RFC 9113, RFC 7541)."""

import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string literal without Huffman coding (RFC 7541 section 5.2)."""
    n = len(value)
    if n < 127:
        return bytes([n]) + value
    out, n = bytes([127]), n - 127
    while n >= 128:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n]) + value


def fields(pairs):
    """Header fields, each a literal that is never indexed."""
    return b"".join(b"\x10" + text(name) + text(value) for name, value in pairs)


class Connection:
    """One connection over a TLS socket; each request on the next stream."""

    def __init__(self, sock):
        self.sock, self.stream, self.pending = sock, -1, b""
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def ask(self, pairs, body=None):
        """Send a request with exactly these fields; "reset", "closed" or (status, body)."""
        self.stream += 2
        flags = END_HEADERS | (END_STREAM if body is None else 0)
        self.sock.sendall(frame(HEADERS, flags, self.stream, fields(pairs)))
        if body is not None:
            self.sock.sendall(frame(DATA, END_STREAM, self.stream, body))
        return self._answer()

    def _answer(self):
        status, body = None, b""
        while True:
            got = self._frame()
            if got is None:
                return "closed"
            kind, flags, stream, payload = got
            if kind == GOAWAY:
                return "closed"
            if kind == SETTINGS and not flags & ACK:
                self.sock.sendall(frame(SETTINGS, ACK, 0))
            if stream != self.stream:
                continue
            if kind == RST_STREAM:
                return (status, body) if status else "reset"
            if kind == HEADERS:
                status = self._status(payload)
            elif kind == DATA:
                body += payload
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return status, body

    @staticmethod
    def _status(block):
        while block[0] & 0xE0 == 0x20:  # a new size of the table
            block = block[1:]
        if block[0] in STATUSES:
            return STATUSES[block[0]]
        assert block[0] in (0x08, 0x48) and block[1] == 3, block[:8]
        return int(block[2:5])

    def _frame(self):
        head = self._read(9)
        if head is None:
            return None
        payload = self._read(int.from_bytes(head[:3], "big"))
        return None if payload is None else (head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    def _read(self, n):
        while len(self.pending) < n:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self.pending += piece
        out, self.pending = self.pending[:n], self.pending[n:]
        return out
