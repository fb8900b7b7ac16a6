"""The samplers' side of an API, in one process and with faults on demand.

It speaks the edge protocol (ARCHITECTURE.md) as the real API does: long polls, superseded, grants, forget. What
the real one never does (answers cut off, too long, the wrong number, hangs) is done on request. Requests are
recorded in `up` (decoded sync messages with the time they came) and `puts`.
"""

import json
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token-of-the-test"
ACCOUNT = "a" * 32
HOLD_S = 10
GRANTS = 16


class Job:
    """A part that the API wants of the sampler."""

    def __init__(self, pcap, time_limit_s=300, packet_limit=0):
        self.pcap = pcap
        self.time_limit_s = time_limit_s
        self.packet_limit = packet_limit
        self.stop = False
        self.open = True
        self.prefixes = ["192.0.2.0/24"]
        self.filter = {}
        self.told_at = 0.0
        self.granted = {}
        self.last = None  # as reported
        self.chunks = {}  # (stream, seq) -> bytes

    def numbers(self):
        """Per stream, the numbers of the fake engine's packets in the chunks' order."""
        found = {}
        for (stream, _), data in sorted(self.chunks.items()):
            found.setdefault(stream, []).extend(packet_numbers(data))
        return found


def packets(data):
    """The captured bytes of each packet of a small pcapng file in little-endian order."""
    found, at = [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            captured = struct.unpack_from("<I", data, at + 20)[0]
            found.append(data[at + 28 : at + 28 + captured])
        at += length
    assert at == len(data)
    return found


def packet_numbers(data):
    """The fake engine's numbers: the first 8 bytes of each packet."""
    return [int.from_bytes(p[:8], "little") for p in packets(data)]


def pcap(n=1):
    """The id of capture n."""
    return "0123456789abcdef%016x" % n


def check_whole(job):
    """Every packet of every stream is there once, in order, and they are as many as were reported captured."""
    numbers = job.numbers()
    assert numbers
    for stream, found in numbers.items():
        assert found == list(range(len(found))), (stream, found[:20])
    assert sum(map(len, numbers.values())) == job.last["ledger"]["captured"]


def check_accounted(job):
    """As check_whole, but for what the host had no room for: that was counted."""
    numbers, ledger = job.numbers()[0], job.last["ledger"]
    assert numbers == sorted(set(numbers)) and len(numbers) == ledger["captured"] > 0
    assert len(numbers) + ledger["dropped_spool"] == ledger["selected"]


class FakeApi:
    """Listens on a free port from start() to stop(); both may be called again, the port stays."""

    def __init__(self, certificate=None, address="127.0.0.1"):
        self.certificate = certificate  # PEM with its key: https
        self.address = address
        self.lock = threading.Condition()
        self.jobs = {}
        self.up = []  # (time, message)
        self.puts = []  # (time, key, status)
        self.sync_fault = None  # None, a status, "hang", "truncated", "oversized", "wrong_seq", "reset", "html"
        self.stale_stop = False  # answer an older message after the newer one, and wrongly: stop
        self.put_fault = None  # None, a status, "hang", "reset"
        self.newest = 0
        self.boots = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.puts_in_flight = 0
        self.most_puts = 0
        self.relative_urls = False
        self.port = 0
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return "%s://%s:%d" % ("https" if self.certificate else "http", self.address, self.port)

    def start(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_POST(self):
                api.count(+1)
                try:
                    api.on_sync(self)
                finally:
                    api.count(-1)

            def do_PUT(self):
                api.on_put(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64
            connections = []

            def get_request(self):
                accepted = super().get_request()
                self.connections.append(accepted[0])
                return accepted

            def handle_error(self, *_):
                pass  # a client that went away

        self.server = Server((self.address, self.port), Handler)
        self.port = self.server.server_address[1]
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            # The handshake is made by the connection's own thread, with its first read.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        """Away: nobody listens, and every connection is cut."""
        server, self.server = self.server, None
        if not server:
            return
        server.shutdown()
        server.server_close()
        for connection in server.connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass
        self.wake()

    def count(self, n):
        with self.lock:
            self.in_flight += n
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def wake(self):
        with self.lock:
            self.lock.notify_all()

    # --- what a test asks for ---

    def post(self, pcap, **kwargs):
        job = Job(pcap, **kwargs)
        with self.lock:
            self.jobs[pcap] = job
            self.lock.notify_all()
        return job

    def stop_job(self, job):
        with self.lock:
            job.stop = True
            job.told_at = 0.0
            self.lock.notify_all()

    def wait(self, what, seconds=20, why="nothing happened"):
        """Wait until what() is true; returns how long it took."""
        begin = time.monotonic()
        with self.lock:
            while not what():
                left = begin + seconds - time.monotonic()
                assert left > 0, why
                self.lock.wait(min(left, 0.05))
        return time.monotonic() - begin

    def wait_state(self, job, *states, seconds=20):
        self.wait(lambda: job.last and job.last["state"] in states, seconds,
                  "the part is %r, not %s" % (job.last, "/".join(states)))
        return job.last

    # --- the protocol ---

    def wants(self, job, now):
        """Is there something to be said about this job? As the real API: said once, and again after a second."""
        last = job.last
        if not job.open:
            return last is not None and now - job.told_at > 1
        if last is None or last.get("boot") != self.boots[-1]:
            return now - job.told_at > 1
        if last["state"] == "running" and job.stop and now - job.told_at > 1:
            return True
        if last["state"] in ("running", "ended"):
            for s in last["streams"]:
                want = min(s["closed"] + 4, s["stored"] + GRANTS)
                if want > job.granted.get(s["stream"], 0):
                    return True
        return False

    def grants(self, job, streams, now):
        out = []
        for stream in range(streams):
            stored = 0
            for s in (job.last or {}).get("streams", []):
                if s["stream"] == stream:
                    stored = s["stored"]
            job.granted[stream] = stored + GRANTS
            for seq in range(stored, stored + GRANTS):
                path = "/edge/v1/objects/%s/%d/%d?expires=%d" % (job.pcap, stream, seq, int(now) + 600)
                out.append({"stream": stream, "seq": seq, "url": path if self.relative_urls else self.url + path,
                            "expires_us": int((time.time() + 600) * 1e6)})
        return out

    def answer(self, message, superseded=False):
        now = time.monotonic()
        out = {"version": 1, "seq": message["seq"], "clock_us": int(time.time() * 1e6), "superseded": superseded,
               "scopes": [], "parts": []}
        if superseded:
            return out
        for job in self.jobs.values():
            part = {"account": ACCOUNT, "pcap": job.pcap}
            reported = job.last is not None and job.last.get("boot") == message["boot"]
            if not job.open:
                if reported:
                    out["parts"].append(dict(part, desired="forget"))
                    job.told_at = now
                continue
            out["scopes"].append({"unrestricted": False, "prefixes": job.prefixes})
            part.update(desired="stop" if job.stop else "run", filter=job.filter, scope=len(out["scopes"]) - 1,
                        snaplen_bytes=160, packet_limit=job.packet_limit, byte_limit=0,
                        time_limit_us=int(job.time_limit_s * 1e6), selection={"method": "none"},
                        chunk_bytes=262144, chunk_age_ms=1000,
                        grants=self.grants(job, sum(i["streams"] for i in message["interfaces"]), now))
            job.told_at = now
            out["parts"].append(part)
        known = set(self.jobs)
        for reported in message["parts"]:
            if reported["pcap"] not in known:
                out["parts"].append({"account": reported["account"], "pcap": reported["pcap"], "desired": "forget"})
        return out

    def take(self, message):
        self.up.append((time.monotonic(), message))
        if message["boot"] not in self.boots:
            self.boots.append(message["boot"])
            self.newest = 0
            for job in self.jobs.values():
                job.granted.clear()
                job.told_at = 0.0
        self.newest = max(self.newest, message["seq"])
        for part in message["parts"]:
            job = self.jobs.get(part["pcap"])
            if not job:
                continue
            job.last = dict({"reason": "", "started_us": 0, "ended_us": 0}, **part, boot=message["boot"])
            if job.open and part["state"] in ("done", "failed"):
                job.open = False
                job.told_at = 0.0
        self.lock.notify_all()

    def on_sync(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        fault = self.sync_fault
        if request.headers.get("Authorization") != "Bearer " + TOKEN:
            return send(request, 401, b"{}")
        if fault:
            with self.lock:
                self.up.append((time.monotonic(), None))
            return self.misbehave(request, fault, json.loads(body))
        message = json.loads(body)
        deadline = time.monotonic() + HOLD_S
        with self.lock:
            self.take(message)
            unknown = any(p["pcap"] not in self.jobs for p in message["parts"])
            while True:
                now = time.monotonic()
                newer = message["seq"] < self.newest or message["boot"] != self.boots[-1]
                gone = any(not j.open and j.last and j.last["boot"] == message["boot"] and j.told_at == 0
                           for j in self.jobs.values())
                if newer or unknown or gone or now >= deadline or self.server is None:
                    break
                if any(self.wants(j, now) for j in self.jobs.values()):
                    break
                self.lock.wait(min(0.1, deadline - now))
            out = self.answer(message, superseded=newer and not self.stale_stop)
        if newer and self.stale_stop:
            time.sleep(0.2)
            for part in out["parts"]:
                part["desired"] = "stop"
        return send(request, 200, json.dumps(out).encode())

    def misbehave(self, request, fault, message):
        if isinstance(fault, int):
            return send(request, fault, b'{"success":false}')
        good = json.dumps(self.answer(message)).encode()
        if fault == "hang":
            while self.sync_fault == "hang" and self.server:
                time.sleep(0.05)
            request.close_connection = True
        elif fault == "truncated":
            return send(request, 200, good[: len(good) // 2])
        elif fault == "oversized":
            return send(request, 200, good[:-1] + b" " * (5 * 1024 * 1024) + b"}")
        elif fault == "wrong_seq":
            return send(request, 200, json.dumps(dict(json.loads(good), seq=message["seq"] + 1)).encode())
        elif fault == "html":
            return send(request, 200, b"<html>a proxy's own page</html>")
        elif fault == "reset":
            reset(request)
        return None

    def on_put(self, request):
        length = int(request.headers["Content-Length"])
        with self.lock:
            self.puts_in_flight += 1
            self.most_puts = max(self.most_puts, self.puts_in_flight)
        try:
            data = request.rfile.read(length)
            status = self.store(request, data)
        finally:
            with self.lock:
                self.puts_in_flight -= 1
                self.lock.notify_all()
        if status:
            send(request, status, b"")

    def store(self, request, data):
        fault = self.put_fault
        _, pcap, stream, seq = request.path.partition("?")[0].rsplit("/", 3)
        assert "Authorization" not in request.headers, "the token is for the API only"
        if fault == "hang":
            while self.put_fault == "hang" and self.server:
                time.sleep(0.05)
            fault = "reset"
        with self.lock:
            if fault == "reset":
                self.puts.append((time.monotonic(), request.path, 0))
                reset(request)
                return 0
            job = self.jobs.get(pcap)
            status = 200
            if fault:
                status = fault
            elif not job:
                status = 404
            elif job.chunks.setdefault((int(stream), int(seq)), data) != data:
                status = 409
            self.puts.append((time.monotonic(), request.path, status))
            return status


def send(request, status, body):
    try:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
    except OSError:
        request.close_connection = True


def reset(request):
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
