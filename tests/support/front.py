"""A lab whose APIs are on unix sockets behind the real nginx, configured by deploy/nginx/render; certificates by openssl."""

import json
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

from edgecap_lab import TOP, Lab, Program, await_true
from ports import lease

HERE = Path(__file__).resolve().parent
GROUP = "www-data"
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = Path(folder), name
        self.pem, self.key = self.folder / (name + ".pem"), self.folder / (name + ".key")
        openssl("req", "-x509", *EC, "-days", "2", "-subj", "/CN=" + name, "-keyout", self.key, "-out", self.pem)

    def sign(self, name, subject, san=None, days=2):
        """A certificate for a new key; the paths of both. days: below 0 it has expired."""
        stem = self.folder / ("%s-%s" % (self.name, name))
        pem, key, asked, more = (stem.with_suffix(end) for end in (".pem", ".key", ".csr", ".ext"))
        openssl("req", *EC, "-subj", subject, "-keyout", key, "-out", asked)
        more.write_text("subjectAltName=%s\n" % san if san else "\n")
        openssl("x509", "-req", "-in", asked, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", str(days),
                "-extfile", more, "-out", pem)  # fmt: skip
        return pem, key


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def nginx_argv(folder, log):
    """Run what render wrote to folder, in front; log: for errors before the configuration is read. Nothing outlives its parent."""
    return ["/usr/bin/python3", "-B", HERE / "own_pids.py", "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-e", log,
            "-g", "daemon off;"]  # fmt: skip


def settings_text(**settings):
    return "".join("%s=%s\n" % pair for pair in settings.items())


class FrontLab(Lab):
    """A Lab behind nginx: tenants at self.tenants (host, port), samplers at self.edge. more: settings of render."""

    def __init__(self, edges=1, apis=1, client_cert="required", more=None, **options):
        self.client_cert, self.more, self.replicas, self.front = client_cert, more or {}, apis, None
        self.bundle_before = os.environ.get("REQUESTS_CA_BUNDLE")
        super().__init__(edges=edges, apis=apis, **options)

    # ---- the parts of Lab that differ

    def _api_listeners(self, number):
        if not self.front:
            self._open_front()
        paths = ["%s/front/%s-%d.socket" % (self.dir, kind, number + 1) for kind in ("tenants", "edge")]
        settings = {"EDGECAP_LISTEN": "unix:" + paths[0], "EDGECAP_EDGE_LISTEN": "unix:" + paths[1]}
        settings.update(EDGECAP_FORWARDED="unix", EDGECAP_EDGE_CLIENT_CERT=self.client_cert)
        return settings, "https://%s:%d" % self.tenants

    def _edge_url(self):
        return "https://%s:%d" % self.edge

    def _sampler_identity(self, name):
        pem, key = self.samplers_ca.sign(name, "/O=edge/CN=" + name)
        key.chmod(0o600)
        return {"EDGECAP_CA_FILE": str(self.ca.pem), "EDGECAP_CLIENT_CERT": str(pem), "EDGECAP_CLIENT_KEY": str(key)}

    def close(self):
        if self.bundle_before is None:
            os.environ.pop("REQUESTS_CA_BUNDLE", None)
        else:
            os.environ["REQUESTS_CA_BUNDLE"] = self.bundle_before
        super().close()

    # ---- nginx

    def _open_front(self):
        certificates, sockets = self.dir / "certificates", self.dir / "front"
        certificates.mkdir()
        for name in ("nginx", "nginx-state", "nginx-log"):
            (self.dir / name).mkdir()
        # what /run/edgecap is: files made in it belong to nginx's group, nobody else gets in
        sockets.mkdir()
        shutil.chown(sockets, group=GROUP)
        sockets.chmod(0o2750)
        self.ca, self.samplers_ca, self.other_ca = (Authority(certificates, n) for n in ("ca", "samplers", "other"))
        self.tenants, self.edge = ("127.0.0.1", lease()), (self.address, self.edge_port)
        tenants_pem, tenants_key = self.ca.sign("tenants", "/CN=tenants", "DNS:localhost,IP:127.0.0.1")
        edge_pem, edge_key = self.ca.sign("edge", "/CN=edge", "IP:" + self.address)
        os.environ["REQUESTS_CA_BUNDLE"] = str(self.ca.pem)
        self.front_settings = {
            "TENANTS_NAMES": "localhost 127.0.0.1", "TENANTS_LISTEN": "%s:%d" % self.tenants,
            "TENANTS_CERTIFICATE": tenants_pem, "TENANTS_KEY": tenants_key,
            "TENANTS_SOCKETS": self._sockets("tenants"), "EDGE_NAMES": self.address,
            "EDGE_LISTEN": "%s:%d" % self.edge, "EDGE_CERTIFICATE": edge_pem, "EDGE_KEY": edge_key,
            "EDGE_SOCKETS": self._sockets("edge"), "EDGE_CLIENT_CERT": self.client_cert,
            "EDGE_CLIENT_CA": self.samplers_ca.pem, "RUN": self.dir / "nginx", "STATE": self.dir / "nginx-state",
            "LOG": self.dir / "nginx-log", **self.more,
        }  # fmt: skip
        (self.dir / "front.conf").write_text(settings_text(**self.front_settings))
        done = subprocess.run([TOP / "deploy/nginx/render", self.dir / "front.conf", self.dir / "nginx"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        argv = nginx_argv(self.dir / "nginx", self.dir / "log/nginx.log")
        self.front = self.programs["front"] = Program(self, "front", argv, {}).start()
        await_true("nginx listens", 10, self._listens)

    def _listens(self):
        assert self.front.alive(), self.front.log_text() + (self.dir / "log/nginx.log").read_text()
        try:
            socket.create_connection(self.tenants, 5).close()
            socket.create_connection(self.edge, 5).close()
        except OSError:
            return False
        return True

    def _sockets(self, kind):
        return " ".join("%s/front/%s-%d.socket" % (self.dir, kind, i + 1) for i in range(self.replicas))

    # ---- what tests ask for

    def access(self):
        """nginx's access log, each line a dict."""
        text = (self.dir / "nginx-log/access.log").read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [{**line, "status": int(line["status"])} for line in lines]

    def access_of(self, headers):
        """The one line of the request that these headers answered; it comes when nginx is done with the connection."""
        wanted = headers["x-request-id"]
        found = await_true("it is logged", 20, lambda: [line for line in self.access() if line["id"] == wanted])
        assert len(found) == 1, found
        return found[0]

    def api_paths(self):
        """Paths of all requests that an API has logged, in order."""
        return [p for api in self.apis for p in re.findall(r" event=request .* path=(\S+)", api.log_text())]

    def dial(self, listener="tenants", alpn=None, identity=None, source=None):
        """A TLS connection. identity: (certificate, key) of a client. source: an address of ours; else a new one for each
        tenant's connection, because nginx counts what one address does."""
        context = ssl.create_default_context(cafile=self.ca.pem)
        if alpn:
            context.set_alpn_protocols([alpn])
        if identity:
            context.load_cert_chain(*map(str, identity))
        host, port = self.tenants if listener == "tenants" else self.edge
        if listener == "tenants":
            source = source or "127.%d.%d.%d" % tuple(secrets.randbelow(250) + 1 for _ in range(3))
        raw = socket.create_connection((host, port), 30, (source, 0) if source else None)
        return context.wrap_socket(raw, server_hostname=host)

    def curl(self, path, *words, listener="tenants", identity=None, protocol="--http2", data=None):
        """A request with curl: (status, headers, body); checks that it came by the protocol."""
        host, port = self.tenants if listener == "tenants" else self.edge
        command = ["curl", "-sS", "-i", "--path-as-is", "--max-time", "60", protocol, "--cacert", self.ca.pem, *words]
        if identity:
            command += ["--cert", identity[0], "--key", identity[1]]
        if data is not None:
            command += ["--data-binary", "@-"]
        command.append("https://%s:%d%s" % (host, port, path))
        done = subprocess.run([str(w) for w in command], input=data, capture_output=True, check=False)
        assert done.returncode == 0, "%s: %s" % (command, done.stderr.decode())
        status, headers, body = answer_of(done.stdout)
        assert done.stdout.startswith(b"HTTP/2 " if protocol == "--http2" else b"HTTP/1.1 "), done.stdout[:200]
        return status, headers, body


def answer_of(data):
    """(status, headers, body) of the last answer in what curl -i printed, or of one answer read from a socket."""
    while True:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        if status >= 200:
            break
        data = rest
    headers = [line.partition(":") for line in lines[1:]]
    return status, {name.lower(): value.strip() for name, _, value in headers}, rest


def read_answers(sock, seconds=15):
    """All bytes until the other side closes or is silent for the time; "" after a reset."""
    sock.settimeout(seconds)
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except (TimeoutError, ConnectionResetError, ssl.SSLError):
        pass
    return data
