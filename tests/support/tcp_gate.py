"""A gate in front of a server: a TCP proxy that lets bytes to the server pass, slowly, or not at all for a while.

For tests that have to be in the middle of something: a large request to an S3 server, say. What the server answers always passes.
"""

import socket
import threading
import urllib.parse

PIECE = 64 * 1024


class Gate:
    """Listens until closed. endpoint: http://address:port of the server; self.endpoint is the gate's."""

    def __init__(self, endpoint):
        place = urllib.parse.urlsplit(endpoint)
        self.target = (place.hostname, place.port)
        self.listener = socket.create_server((place.hostname, 0))
        self.endpoint = "http://%s:%d" % self.listener.getsockname()[:2]
        self.changed = threading.Condition()
        self.left = None  # bytes that may pass; None: all
        self.waiting = 0  # connections with bytes that may not
        self.pairs = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, after=0):
        """Let so many bytes pass, then none until opened."""
        with self.changed:
            self.left = after

    def open(self):
        with self.changed:
            self.left = None
            self.changed.notify_all()

    def is_holding(self):
        """Does anybody have more to send than may pass?"""
        with self.changed:
            return self.waiting > 0

    def cut(self):
        """Break all connections; what was held back is lost. The gate is open afterwards."""
        with self.changed:
            pairs = list(self.pairs)
            for pair in pairs:
                self._end(pair)
            self.pairs.clear()
        self.open()

    def close(self):
        self.listener.close()
        self.cut()

    @staticmethod
    def _end(pair):
        for sock in pair:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:  # nobody is there: so it is for the client
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        with self.changed:
            self.pairs.add(pair)
        back = threading.Thread(target=self._pass, args=(server, client, None), daemon=True)
        back.start()
        self._pass(client, server, pair)
        back.join()
        with self.changed:
            self.pairs.discard(pair)
        client.close()
        server.close()

    def _pass(self, source, target, held):
        """held: the pair whose bytes count, on the way to the server."""
        try:
            while data := source.recv(PIECE):
                if held and not self._may_pass(held, len(data)):
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self._end((source, target))

    def _may_pass(self, pair, n):
        """Wait until n bytes may; False when the connection was cut meanwhile."""
        with self.changed:
            if self.left is not None and self.left < n:
                self.waiting += 1
                self.changed.wait_for(lambda: self.left is None or self.left >= n or pair not in self.pairs)
                self.waiting -= 1
            if self.left is not None:
                self.left -= n
            return pair in self.pairs
