"""A TCP proxy that passes everything on, but throws away answers: the network as a client sees it when it fails too late."""

import socket
import threading


class DeafProxy:
    """Listens on a port of 127.0.0.1. The answers of the first `deaf` connections are lost, and these then closed."""

    def __init__(self, to_port, deaf=1):
        self.to_port, self.deaf = to_port, deaf
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to_port))
            lost, self.deaf = self.deaf > 0, self.deaf - 1
            threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self.swallow if lost else self.pump, args=(server, client), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction closed both

    @staticmethod
    def swallow(server, client):
        server.recv(65536)
        client.shutdown(socket.SHUT_RDWR)
        server.close()

    def close(self):
        self.sock.close()
