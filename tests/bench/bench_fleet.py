"""What edge hosts cost the API and the database: a fleet that waits, one job for all of it, and notifications that were missed."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_overload import Tenant, figures

TOP = Path(__file__).resolve().parents[2]
TITLE = "10,000 edge hosts at one API"
LARGE, SMALL = 10000, 1000
QUICK_LARGE, QUICK_SMALL = 200, 50
SETTLE_S = 2
WAIT_S = 20  # two holds of each message
GAP_S = 6  # longer than a fleet of 10,000 takes to come back
JOB_S = 120
NOTE = (
    "hosts that capture nothing, played by one more process on the same processors, PostgreSQL beside it; "
    "time is the API's own, so that the others do not count"
)


class Bench:
    """One API with a fleet of a size, and what it costs."""

    def __init__(self, db, api, account, tenant, count):
        self.db, self.api, self.account, self.tenant, self.count = db, api, account, tenant, count

    def register(self, hosts):
        """Rows of samplers that have never been here; their tokens."""
        self.db.sql("DELETE FROM pcap_parts; DELETE FROM samplers")
        tokens = [secrets.token_urlsafe(32) for _ in range(hosts)]
        values = ",".join("(gen_random_uuid(), 'edge-%d', 'ord01', '\\x%s')" % (n, hashlib.sha256(token.encode()).hexdigest())
                          for n, token in enumerate(tokens))  # fmt: skip
        script = Path(self.api.dir) / "samplers.sql"
        script.write_text("INSERT INTO samplers (id, name, colo, token_sha256) VALUES %s;" % values)
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.db.socket, "-U", "postgres", "-d", "edgecap", "-f", script],
                       check=True)  # fmt: skip
        return tokens

    def transactions(self):
        return int(self.db.sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'edgecap'")[0][0])

    def resident_kib(self):
        return next(int(line.split()[1]) for line in Path("/proc/%d/status" % self.api.process.pid).read_text().splitlines()
                    if line.startswith("VmRSS:"))  # fmt: skip

    def wait(self, fleet, hosts, seconds):
        """The fleet waits: per host and second."""
        from kit import cpu_ns  # noqa: PLC0415

        pid = self.api.process.pid
        fleet.seen()
        begin, cpu, done = time.monotonic(), cpu_ns(pid), self.transactions()
        time.sleep(seconds)
        took = (time.monotonic() - begin) * hosts
        used, done, seen = cpu_ns(pid) - cpu, self.transactions() - done, fleet.seen()
        if seen["refused"] or seen["lost"]:
            raise RuntimeError("the fleet was turned away: %s" % {k: v for k, v in seen.items() if k != "told"})
        return {"us": used / 1000 / took, "queries": done / took}

    def job(self, fleet, hosts):
        """One capture on all of them: from POST until the last host knows, the API's time for each host until all is over, and a tenant's
        requests meanwhile."""
        from kit import cpu_ns  # noqa: PLC0415
        from api_rig import body  # noqa: PLC0415

        pid, told, taken = self.api.process.pid, [], []
        cpu, begin = cpu_ns(pid), time.monotonic()
        answer = self.api.call("POST", self.account.path(), self.account, json=body(packet_limit=1000, time_limit=300))
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        job = answer.json()["result"]["id"]
        while len(told) < hosts:
            if time.monotonic() > begin + JOB_S:
                raise RuntimeError("%d of %d hosts were told" % (len(told), hosts))
            taken += self.tenant.latencies(20)
            told += fleet.seen()["told"].get(job, [])
        self.api.call("PUT", self.account.path("/%s/stop" % job), self.account)
        open_parts = "SELECT count(*) FROM pcap_parts WHERE pcap_id = '%s' AND state IN ('assigned', 'running')" % job
        while self.db.sql(open_parts) != [["0"]]:
            if time.monotonic() > begin + JOB_S:
                raise RuntimeError("the job does not end")
            taken += self.tenant.latencies(20)
        states = self.db.sql("SELECT state, count(*) FROM pcap_parts WHERE pcap_id = '%s' GROUP BY 1" % job)
        if states != [["done", str(hosts)]]:
            raise RuntimeError("parts are not done: %s" % states)
        return {"told_ms": (max(told) - begin) * 1000 / hosts, "us": (cpu_ns(pid) - cpu) / 1000 / hosts,
                "p99": figures(sorted(taken))["p99"], "max": max(taken)}

    def gap(self, fleet, seconds):
        """Notifications are missed, so all hosts are let go of and show their tokens anew; a tenant's requests meanwhile."""
        before = self.api.metric("edgecap_edge_token_lookups_total")
        fleet.seen()
        self.db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'edgecap_api'")
        taken, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            taken += self.tenant.latencies(50)
        looked_up = self.api.metric("edgecap_edge_token_lookups_total") - before
        return {"p99": figures(sorted(taken))["p99"], "lookups": looked_up, "superseded": fleet.seen()["superseded"]}

    def measure(self, hosts, quick):
        from fleet import Fleet  # noqa: PLC0415

        idle_kib = self.resident_kib()
        with Fleet(self.api.address("edge"), self.register(hosts)) as fleet:
            time.sleep(SETTLE_S)
            result = {"wait": self.wait(fleet, hosts, 2 if quick else WAIT_S)}
            result["kib"] = (self.resident_kib() - idle_kib) / hosts
            result["get"] = figures(self.tenant.latencies(self.count))
            result["job"] = self.job(fleet, hosts)
            result["gap"] = self.gap(fleet, 2 if quick else GAP_S)
        return result


def worker(runs, quick):
    """Beside a PostgreSQL: prints {"large": [...], "small": [...]} with the figures of each run."""
    sys.path[:0] = [str(TOP / part) for part in ("tests/integration/api", "tests/support", "tests/bench")]
    from api_rig import Account, Api, Database, finished_job  # noqa: PLC0415

    db, result = Database(), {"large": [], "small": []}
    sizes = {"small": QUICK_SMALL if quick else SMALL, "large": QUICK_LARGE if quick else LARGE}
    with tempfile.TemporaryDirectory(prefix="edgecap-bench.") as folder:
        for run in range(runs):
            for size, hosts in sizes.items():
                name = "%s-%d" % (size, run)
                with Api(db, folder, name, EDGECAP_CONNECTIONS_MAX="12000", EDGECAP_LOG_LEVEL="info") as api:
                    account = Account(db)
                    tenant = Tenant(api, account, finished_job(api, account, b"p" * 100))
                    bench = Bench(db, api, account, tenant, 300 if quick else 4000)
                    result[size].append(bench.measure(hosts, quick))
    print(json.dumps(result))


def run(kit):
    from kit import BenchError, Row  # noqa: PLC0415

    done = subprocess.run(
        [TOP / "tests/support/with-postgres", sys.executable, "-B", __file__, str(kit.runs), "quick" if kit.quick else "whole"],
        env={**os.environ, "EDGECAP_BIN_DIR": str(Path(kit.program("edgecap-api")).parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError("the fleet's run failed: " + done.stderr[-2000:])
    said = json.loads(done.stdout.splitlines()[-1])

    def row(what, unit, part, name, target="", **more):
        ours, theirs = ([figure[part][name] for figure in said[size]] for size in ("large", "small"))
        return Row(what, unit, ours, "with 1,000 hosts", theirs, target, **more)

    job, gap, get = ([figure[part]["p99"] for figure in said["large"]] for part in ("job", "gap", "get"))
    return [
        row("a host that waits, the API's processor time", "us/s", "wait", "us", "<= 1.2", note=NOTE),
        row("a host that waits, the database's transactions", "/s", "wait", "queries", "<= 1.2"),
        row("one job on all hosts, until the last one knows, per host", "ms", "job", "told_ms", "<= 1.2"),
        row("one job on all hosts, the API's processor time, per host", "us", "job", "us", "<= 1.2"),
        row("a tenant's GET beside the fleet, p99", "us", "get", "p99", "<= 2"),
        Row("a tenant's GET while a job begins and ends on all, p99", "us", job, "before it", get, "<= 2"),
        row("a tenant's GET while a job begins and ends on all, longest", "us", "job", "max"),
        Row("a tenant's GET after missed notifications, 10,000 hosts, p99", "us", gap, "before them", get, "<= 2"),
        Row("memory of the API for a host that waits", "KiB", [figure["kib"] for figure in said["large"]], judge="ours"),
    ]


if __name__ == "__main__":
    worker(int(sys.argv[1]), sys.argv[2] == "quick")
