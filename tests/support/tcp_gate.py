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
        self.waiting = []  # addresses of clients with bytes that may not
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

    def holds(self, *addresses):
        """The addresses, of these or any, of clients that have more to send than may pass."""
        with self.changed:
            return [one for one in self.waiting if not addresses or one in addresses]

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
                client, peer = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, peer[0]), daemon=True).start()

    def _serve(self, client, peer):
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:  # nobody is there: so it is for the client
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        with self.changed:
            self.pairs.add(pair)
        back = threading.Thread(target=self._pass, args=(server, client, lambda n: True), daemon=True)
        back.start()
        self._pass(client, server, lambda n: self._may_pass(pair, peer, n))
        back.join()
        with self.changed:
            self.pairs.discard(pair)
        client.close()
        server.close()

    def _pass(self, source, target, may_pass):
        try:
            while data := source.recv(PIECE):
                if not may_pass(len(data)):
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self._end((source, target))

    def _may_pass(self, pair, peer, n):
        """Wait until n bytes may; False when the connection was cut meanwhile."""
        with self.changed:
            if self.left is not None and self.left < n:
                self.waiting.append(peer)
                self.changed.wait_for(lambda: self.left is None or self.left >= n or pair not in self.pairs)
                self.waiting.remove(peer)
            if self.left is not None:
                self.left -= n
            return pair in self.pairs
