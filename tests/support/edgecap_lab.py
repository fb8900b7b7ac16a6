"""A whole edgecap for tests: PostgreSQL, APIs, assemblers and samplers in network namespaces.

Built on deploy/lab/*.sh, with everything its own: temporary folder, slot, ports, database. The programs come from
EDGECAP_BIN_DIR (default build/dev/bin), so that the same tests run with the sanitizers' builds. When a Lab is closed it
holds every job to the ledger (ledger.py) and every process to its exit, and fails on a sanitizer's report.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import ledger
import secret_check
from edgecap_client import Client
from ports import lease
from s3_client import REGION
from s3_server import S3Server
from tcp_gate import Gate

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("EDGECAP_BIN_DIR") or TOP / "build/dev/bin").resolve()
COLOS = ("ord01", "ord02", "ams01")
PREFIXES = "5.6.7.0/24,2001:db8:5678::/48"
PARTS = ("say", "state", "process", "slot", "network", "secret", "database")
REPORTS = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion)")
TEMP_NAME = re.compile(r"edgecap-e2e\.(\d+)\.")


def await_true(what, seconds, condition, every_s=0.05):
    """Wait until condition() is true and return what it gave; AssertionError after the time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %g s: %s" % (seconds, what)
        time.sleep(every_s)


class Program:
    """One process of ours, started, signalled and restarted by its number."""

    def __init__(self, lab, name, argv, env, namespace=None):
        self.lab, self.name, self.namespace = lab, name, namespace
        self.argv, self.env = [str(a) for a in argv], env
        self.log, self.process = lab.dir / "log" / (name + ".log"), None

    def start(self):
        assert self.process is None or self.process.poll() is not None, self.name + " runs"
        argv = ["setpriv", "--pdeathsig=KILL", "--", *self.argv]
        if self.namespace:
            argv = ["setpriv", "--pdeathsig=KILL", "ip", "netns", "exec", self.namespace, *argv]
        secret_check.note_settings(self.env)
        env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAP_")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                argv,
                env={**env, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started = time.monotonic()
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def stop(self, seconds=15):
        """SIGTERM; it must end by itself, with exit code 0."""
        if not self.alive():
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s did not end within %d s of SIGTERM" % (self.name, seconds))
        # In its first moments it has no handler yet.
        young = time.monotonic() - self.started < 1 and status == -signal.SIGTERM
        assert status == 0 or young, "%s ended with %d on SIGTERM" % (self.name, status)

    def restart(self):
        if self.alive():
            self.kill()
        return self.start()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Lab:
    """The programs and the network. Use as a context manager, or call close().

    storage: "file" or "s3". buckets: tenants may have buckets, at the private S3 server. gates: one in front of the service's store on S3
    (store_gate) and one in front of the buckets (bucket_gate). colos: of the hosts, in turn. hostile: variables of samplers that lie
    (hostile_sampler.c), by their numbers.

    When it is closed no sampler may have been caught at anything, unless the test says alarms_expected = True.
    """

    def __init__(self, edges=3, apis=1, assemblers=1, env=None, storage="file", buckets=False, gates=False, colos=COLOS,
                 hostile=None):
        sweep()
        self.dir = Path(tempfile.mkdtemp(prefix="edgecap-e2e.%d." % os.getpid()))
        self.dir.chmod(0o755)
        self.env, self.edges_count = dict(env or {}), edges
        self.programs, self.checked, self.killed = {}, set(), set()
        self.accounts, self.sources, self.slot, self.failed = [], [], None, False
        self.storage, self.buckets, self.s3, self.colos = storage, buckets, None, colos
        self.gates, self.store_gate, self.bucket_gate = gates, None, None
        self.hostile, self.alarms_expected, self.rejected_expected = dict(hostile or {}), False, False
        self.books_are_kept = True  # False: a host's counters are lies, so no ledger adds up
        try:
            self._up(edges, apis, assemblers)
        except BaseException:
            self.failed = True
            self.close()
            raise

    # ---- building

    def shell(self, command, **env):
        """Run a function of deploy/lab/*.sh; its stdout."""
        script = 'set -euo pipefail; TOP=$1; shift; for p in %s; do . "$TOP/deploy/lab/$p.sh"; done; %s'
        done = subprocess.run(
            ["bash", "-c", script % (" ".join(PARTS), command), "lab", str(TOP)],
            env={**os.environ, "RUN": str(self.dir), "BIN": str(BIN), "DATABASE_FSYNC": "off", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, "%s: %s%s" % (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def _up(self, edges, apis, assemblers):
        for name in ("pid", "log", "socket", "spool", "store", "secret"):
            (self.dir / name).mkdir()
        self.shell("database_create; database_start; database_prepare \"$BIN\"")
        self.urls = {
            role: self.shell("database_url edgecap_" + role)
            for role in ("owner", "admin", "api", "assembler")
        }
        self.slot = int(self.shell('slot_take "$RUN"; network_create "$SLOT" %d; echo $SLOT' % edges))
        self.source_namespace = "ec%d-src" % self.slot
        self.address = "100.127.%d.1" % self.slot
        if self.storage == "s3" or self.buckets:  # where samplers reach it, too
            self.s3 = S3Server(self.dir / "log", self.address)
        if self.gates:
            self.store_gate, self.bucket_gate = (Gate(self.s3.variables["endpoint"]) for _ in range(2))
            self.s3.store_endpoint, self.s3.bucket_endpoint = self.store_gate.endpoint, self.bucket_gate.endpoint
        (self.dir / "signing").write_text(secrets.token_hex(32) + "\n")
        (self.dir / "signing").chmod(0o600)
        self.edge_port, self.apis, self.assemblers, self.samplers = lease(self.address), [], [], []
        for i in range(apis):
            self._add_api(i, apis)
        for i in range(assemblers):
            self.add_assembler()
        for i in range(edges):
            self._add_sampler(i)
        await_true("every API is ready", 20, lambda: all(api.ready() for api in self.clients))
        if edges:
            self.await_samplers(edges)

    @property
    def clients(self):
        return [api.client for api in self.apis]

    def _storage(self):
        """Settings of APIs and assemblers."""
        if self.storage == "s3":
            settings = self.s3.settings()
        else:
            settings = {"EDGECAP_STORAGE": "file://%s/store" % self.dir}
        if self.buckets:
            settings.update(self.s3.bucket_settings())
        return {**settings, **self.env}

    # What a lab with a proxy in front has otherwise (front.py).

    def _api_listeners(self, number):
        """Settings of an API's listeners for tenants and samplers, and the URL of the former."""
        port = lease()
        edge = "%s:%d" % (self.address, self.edge_port)
        return {"EDGECAP_LISTEN": "127.0.0.1:%d" % port, "EDGECAP_EDGE_LISTEN": edge}, "http://127.0.0.1:%d" % port

    def _edge_url(self):
        return "http://%s:%d" % (self.address, self.edge_port)

    def _wrapper(self, kind):
        """Words in front of "api", "assembler" or "sampler", which must become it."""
        return []

    def _sampler_identity(self, name):
        """Further settings of a sampler: who it is."""
        return {}

    def _add_api(self, number, replicas):
        ops = lease()
        listeners, base = self._api_listeners(number)
        env = {
            **self._storage(),
            **listeners,
            "EDGECAP_OPS_LISTEN": "127.0.0.1:%d" % ops,
            "EDGECAP_DATABASE_URL": self.urls["api"],
            "EDGECAP_REQUEST_RATE": "10000",  # tests poll as fast as they like
        }
        if self.storage != "s3":
            env["EDGECAP_UPLOAD_URL"] = self._edge_url()
            env["EDGECAP_SIGNING_SECRET_FILE"] = str(self.dir / "signing")
        if replicas > 1:  # one address for all samplers, as behind a load balancer
            env["EDGECAP_REUSEPORT"] = "true"
        api = Program(self, "api-%d" % (number + 1), [*self._wrapper("api"), BIN / "edgecap-api"], env)
        api.client = Client(base, "http://127.0.0.1:%d" % ops)
        self.apis.append(api)
        self.programs[api.name] = api.start()

    def add_assembler(self):
        env = {**self._storage(), "EDGECAP_DATABASE_URL": self.urls["assembler"]}
        env.setdefault("EDGECAP_LEASE", "5s")
        name = "assembler-%d" % (len(self.assemblers) + 1)
        program = Program(self, name, [*self._wrapper("assembler"), BIN / "edgecap-assembler"], env)
        self.assemblers.append(program)
        self.programs[name] = program.start()
        return program

    def _add_sampler(self, number):
        i, name = number + 1, "edge-%d" % (number + 1)
        made = self.admin("sampler", "create", "--name", name, "--colo", self.colos[number % len(self.colos)])
        token = self.dir / ("token-%d" % i)
        token.write_text(made["token"] + "\n")
        token.chmod(0o600)
        env = {
            **self.env,
            **self._sampler_identity(name),
            "EDGECAP_EDGE_URL": self._edge_url(),
            "EDGECAP_PLAINTEXT": "no" if self._edge_url().startswith("https:") else "yes",
            "EDGECAP_SAMPLER_TOKEN_FILE": str(token),
            "EDGECAP_INTERFACES": "up0",
            "EDGECAP_WORKERS": str(1 + number % 2),  # edge-2 has two capture threads
            "EDGECAP_SPOOL_DIR": str(self.dir / "spool" / name),
            "EDGECAP_USER": "nobody",
        }
        binary = BIN / "edgecap-sampler"
        if i in self.hostile:
            binary = BIN.parent / "tests/e2e/edgecap-sampler-hostile"
            env.update(self.hostile[i])
        program = Program(self, name, [*self._wrapper("sampler"), binary], env, "ec%d-e%d" % (self.slot, i))
        program.token_file = token
        program.id = made["id"]
        self.samplers.append(program)
        self.programs[name] = program.start()

    def await_samplers(self, count, seconds=20):
        """Wait until the API has heard of that many samplers in the last seconds."""
        sql = "SELECT count(*) FROM samplers WHERE last_seen > now() - interval '12 s'"
        await_true("%d samplers connected" % count, seconds, lambda: int(self.sql(sql)) >= count)

    # ---- what tests ask for

    def admin(self, *words):
        """edgecap-admin with --json; the parsed answer."""
        done = subprocess.run(
            [str(BIN / "edgecap-admin"), *words, "--json"],
            env={**os.environ, "EDGECAP_DATABASE_URL": self.urls["admin"]},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, "%s: %s%s" % (words, done.stdout, done.stderr)
        return secret_check.note_answer(json.loads(done.stdout))

    def sql(self, statement):
        """One statement as the superuser; its unaligned output."""
        return self.shell(
            'database_psql --dbname edgecap --no-align --tuples-only --command "$STATEMENT"',
            STATEMENT=statement,
        )

    def sql_json(self, query):
        """Rows of a query as a list of dicts."""
        return json.loads(self.sql("SELECT coalesce(json_agg(q), '[]') FROM (%s) q" % query))

    def account(self, name=None, prefixes=PREFIXES, interval="0s", running_max=None, unrestricted=False, **options):
        """A new account with a token that may do everything; a dict with id, token."""
        words = ["account", "create", "--name", name or "t-" + secrets.token_hex(4)]
        words += ["--collect-interval", interval]
        words += ["--unrestricted"] if unrestricted else ["--prefixes", prefixes, "--shared"] if prefixes else []
        words += ["--running-max", str(running_max)] if running_max else []
        for key, value in options.items():
            words += ["--" + key.replace("_", "-"), str(value)]
        account = {"id": self.admin(*words)["id"]}
        made = self.admin(
            "token", "create", "--account", account["id"], "--name", "all",
            "--permissions", "read,download,collect",
        )  # fmt: skip
        account["token"] = made["token"]
        self.accounts.append(account)
        return account

    def tenant(self, api=0, **options):
        """A client of a new account at one of the APIs."""
        return self.clients[api].tenant(self.account(**options), self)

    def destination(self, directory, bucket=None):
        """A destination_conf of a tenant's at the private S3 server; bucket: one of s3.make_bucket."""
        bucket = bucket or self.s3.variables["bucket"]
        return "s3://%s/%s?region=%s&endpoint=%s" % (bucket, directory, REGION, self.s3.bucket_endpoint)

    def bucket(self, tenant, name="tenant-bucket", directory="dir"):
        """A new bucket, added and proved to be the tenant's; its destination_conf."""
        self.s3.make_bucket(name)
        folder = directory + "/" if directory else ""
        conf = self.destination(directory, name)
        return tenant.add_bucket(conf, lambda file: self.s3.read(folder + file, name).decode())["destination_conf"]

    def full_files(self, destination, job):
        """What a full capture has left in its bucket: the file's bytes, and the manifest."""
        path = urllib.parse.urlsplit(destination)
        stem = "/".join(part for part in (path.path.strip("/"), "pcap_" + job) if part)
        pcap, manifest = (self.s3.read(stem + end, path.netloc) for end in (".pcap", ".json"))
        return pcap, json.loads(manifest)

    def wrong_clock(self, seconds, ours=True):
        """Variables for a program, ours or another, that is to run with a clock which is so far ahead (clock_shift.c)."""
        library = self.dir / "clock_shift.so"
        source = TOP / "tests/support/clock_shift.c"
        if not library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        preload = str(library)
        if ours and self.sanitizer() == "asan":  # the sanitizer's library has to be the first
            found = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True)
            preload = found.stdout.strip() + ":" + preload
        return {"LD_PRELOAD": preload, "CLOCK_SHIFT_S": str(seconds)}

    def edge_address(self, sampler):
        """Where a sampler's own connections come from."""
        return "100.127.%d.%d" % (self.slot, 11 + self.samplers.index(sampler))

    def edge_link(self, number, up):
        """Cut edge-<number> off from the API, or join it again."""
        state = "up" if up else "down"
        self.shell("ip -n ec%d-mgmt link set e%d %s" % (self.slot, number, state))

    def database_pid(self):
        return int((self.dir / "pid/database").read_text().split()[0])

    def database_kill(self):
        """kill -9 of PostgreSQL's main process; its children follow by themselves."""
        os.kill(self.database_pid(), signal.SIGKILL)

    def database_start(self):
        def start():
            try:
                return self.shell("rm -f \"$RUN/pid/database\"; database_start; echo yes")
            except AssertionError:
                return None  # children of the killed one still hold the shared memory

        await_true("PostgreSQL starts again", 30, start, 0.3)

    def traffic(self, seconds=600, seed=1):
        """The lab's mixed traffic and the services that answer it."""
        addresses = ("5.6.7.8", "5.6.7.9", "198.51.100.8", "2001:db8:5678::8")
        links = ["e%d" % (i + 1) for i in range(self.edges_count)]
        limit = ["--seconds", seconds]
        for i in range(self.edges_count):
            argv = [TOP / "deploy/lab/service", "edge-%d" % (i + 1), *addresses, *limit]
            name = "service-%d" % (i + 1)
            self.programs[name] = Program(self, name, argv, {}, "ec%d-e%d" % (self.slot, i + 1)).start()
        argv = [TOP / "deploy/lab/traffic", *links, *limit, "--seed", seed]
        self.programs["traffic"] = Program(self, "traffic", argv, {}, self.source_namespace).start()

    def packets(self, streams):
        """Start a PacketSource with these streams (dicts; see packet_source.py)."""
        self.sources.append(PacketSource(self, streams))
        return self.sources[-1]

    def sanitizer(self):
        """"asan", "tsan" or None: how the programs were built."""
        return next((name for name in ("asan", "tsan") if name in BIN.parts), None)

    def check_job(self, account, job, tenant):
        """Hold one ended job to the ledger; called for every job, by Lab.close at the latest."""
        if self.books_are_kept:
            ledger.check(self, account, job, tenant)
        self.checked.add(job)

    # ---- the end

    def check_logs(self):
        """No secret of this run and no packet's content is in a log of ours, of the database or of the proxy."""
        for path in (self.dir / "secret").iterdir():
            secret_check.note("secret/" + path.name, path.read_bytes())
        others = ("with-s3", "service-", "traffic")
        logs = [p for p in sorted((self.dir / "log").glob("*.log")) if not p.name.startswith(others)]
        assert {"api-1.log", "database.log"} <= {p.name for p in logs} or self.failed, logs
        secret_check.check_logs(logs)

    def check_all(self):
        """Every job of every account has ended, and its numbers add up."""
        tenants = {a["id"]: a for a in self.accounts}
        for row in self.sql_json("SELECT id_text(account_id) AS account, id_text(id) AS id FROM pcaps"):
            if row["id"] not in self.checked:
                tenant = self.clients[0].tenant(tenants[row["account"]], self)
                tenant.wait(row["id"], 60)
        alarms = self.sql_json("SELECT s.name, a.* FROM sampler_alarms a JOIN samplers s ON s.id = a.sampler_id")
        assert self.alarms_expected or not alarms, alarms

    def close(self):
        """Stop everything, remove everything; fails when something is left or was reported."""
        problems = []
        for source in self.sources:
            if source.process.poll() is None:
                source.process.kill()
                source.process.communicate()
        for program in reversed(list(self.programs.values())):
            try:
                program.stop()
            except AssertionError as error:
                problems.append(str(error))
            if REPORTS.search(program.log_text()):
                problems.append("%s reported: see its log" % program.name)
        try:
            self.check_logs()
        except AssertionError as error:
            problems.append(str(error))
        for gate in filter(None, (self.store_gate, self.bucket_gate)):
            gate.close()
        if self.s3:
            self.s3.close()
        self.shell('process_stop database QUIT 50; slot_release "$RUN"')
        left = [p.name for p in Path("/run/netns").glob("ec%s-*" % self.slot)] if self.slot else []
        if left:
            problems.append("namespaces left: %s" % left)
        if problems or self.failed:
            self.show_logs()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not problems, "; ".join(problems)

    def show_logs(self, lines=120):
        for log in sorted((self.dir / "log").glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            print("---- %s" % log.name, *tail, sep="\n", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.failed = self.failed or kind is not None
        try:
            if not self.failed:
                self.check_all()
        except BaseException:
            self.failed = True
            raise
        finally:
            self.close()


class PacketSource:
    """Sends numbered packets (packet_source.py) until stopped or each stream's count is reached."""

    def __init__(self, lab, streams):
        defaults = {
            "source": "1.2.3.4", "source_port": 123, "flows": 1, "destination": "5.6.7.8", "destination_port": 80,
            "protocol": 17, "rate_per_s": 100, "count": 0, "bytes": 64,
        }  # fmt: skip
        self.streams = [{**defaults, "device": "e%d" % s["edge"], **s} for s in streams]
        self.sent = None
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "ip", "netns", "exec", lab.source_namespace,
             "/usr/bin/python3", str(TOP / "tests/support/packet_source.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.process.stdin.write(json.dumps({"streams": self.streams}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "sending\n"

    def finish(self, seconds=120):
        """Wait until every stream has sent its count; times per stream as (before_ns, after_ns)."""
        out, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0
        self.sent = json.loads(out)["sent"]
        return self.sent

    def stop(self):
        """End now; times as finish."""
        self.process.terminate()
        return self.finish()


def sweep():
    """Remove what test runs that were killed have left."""
    slots = Path("/run/edgecap/slot")
    for claim in slots.glob("[0-9]*") if slots.is_dir() else ():
        owner = Path(claim.read_text().strip())
        found = TEMP_NAME.search(owner.name)
        if found and not Path("/proc/" + found[1]).exists():
            script = 'for p in %s; do . "$0/deploy/lab/$p.sh"; done; RUN=$1; process_stop database QUIT 50; slot_release "$1"'
            subprocess.run(["bash", "-c", script % " ".join(PARTS), str(TOP), str(owner)], check=False)
            shutil.rmtree(owner, ignore_errors=True)
