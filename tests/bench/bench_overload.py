"""What a crowd of idle, slow reading and slow writing clients costs another tenant's requests."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TITLE = "overload: one tenant's GET beside 10,000 idle connections and 1,000 slow ones"
IDLE, SLOW = 10000, 500
SETTLE_S = 1
NOTE = (
    "500 downloads at 2 KiB/s and 500 bodies at 1 byte/s, in one more process on the same processors; GET .../pcaps/{id}, one after the other on one connection, "
    "PostgreSQL beside it; before and during the crowd in turn"
)  # fmt: skip


class Tenant:
    """Asks for one job, again and again, on one connection."""

    def __init__(self, api, account, job):
        text = "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
        self.request = (text % (account.path("/" + job), account.token)).encode()
        self.sock = socket.create_connection(api.address())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(30)
        self.once()

    def once(self):
        self.sock.sendall(self.request)
        data = b""
        while not data.endswith(b'"messages":[]}'):
            piece = self.sock.recv(65536)
            assert piece, data
            data += piece
        assert data.startswith(b"HTTP/1.1 200 "), data

    def latencies(self, count):
        """Sorted, in microseconds."""
        taken = []
        for _ in range(count):
            begin = time.perf_counter_ns()
            self.once()
            taken.append((time.perf_counter_ns() - begin) / 1000)
        return sorted(taken)


def figures(taken):
    return {"p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100]}


def worker(runs, count):
    """Beside a PostgreSQL: prints {"alone": [...], "beside": [...], "failed": n} with the figures of each run."""
    sys.path[:0] = [str(TOP / "tests/integration/api"), str(TOP / "tests/support")]
    from api_rig import Account, Api, Database, await_true, finished_job  # noqa: PLC0415
    from crowd import Crowd, bearer, download_head, head  # noqa: PLC0415

    db = Database()
    result = {"alone": [], "beside": [], "standing": []}
    with tempfile.TemporaryDirectory(prefix="edgecap-bench.") as folder:
        with Api(db, folder, EDGECAP_CONNECTIONS_MAX="12000", EDGECAP_LOG_LEVEL="info") as api:
            crowd = [Account(db) for _ in range(SLOW // 20)]
            readers = [download_head(a, finished_job(api, a, b"p" * 3000000)) for a in crowd] * 20
            writers = [head("POST", crowd[0].path(), bearer(crowd[0].token), "Content-Length: 60000")] * SLOW
            account = Account(db)
            tenant = Tenant(api, account, finished_job(api, account, b"p" * 100))
            tenant.latencies(count)
            for _ in range(runs):
                result["alone"].append(figures(tenant.latencies(count)))
                with Crowd(*api.address(), IDLE, readers, writers) as them:
                    time.sleep(SETTLE_S)
                    result["beside"].append(figures(tenant.latencies(count)))
                result["standing"].append(them.result["standing"])
                await_true("they are gone", 60, lambda: api.metric('edgecap_api_connections{listener="tenants"}') <= 2)
                time.sleep(SETTLE_S)
    print(json.dumps(result))


def run(kit):
    from kit import BenchError, Row  # noqa: PLC0415

    count = 300 if kit.quick else 4000
    done = subprocess.run(
        [TOP / "tests/support/with-postgres", sys.executable, "-B", __file__, str(kit.runs), str(count)],
        env={**os.environ, "EDGECAP_BIN_DIR": str(Path(kit.program("edgecap-api")).parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError("the crowd's run failed: " + done.stderr[-2000:])
    said = json.loads(done.stdout.splitlines()[-1])
    if min(said["standing"]) < IDLE + 2 * SLOW - 50:
        raise BenchError("the crowd did not stand: %s" % said["standing"])
    rows = []
    for name, target in (("p99", "<= 2"), ("p50", "")):
        ours, theirs = ([f[name] for f in said[side]] for side in ("beside", "alone"))
        rows.append(Row("a tenant's GET beside the crowd, " + name, "us", ours, "without it", theirs, target, note=NOTE))
    return rows


if __name__ == "__main__":
    worker(int(sys.argv[1]), int(sys.argv[2]))
