"""What adding a job costs: the time until it is armed beside 1,024 that run at full rate, and what these lose by it."""

import json
import statistics
import time

from kit import RECEIVER_CPU, BenchError, Cable, Row, jobs_for_flows, pinned, running

TITLE = "adding one job to 1,024 running"
RUNNING, OTHERS = 1024, 64
WANTED_PPM = 1000
PERIOD_MS = 20


def one_run(kit, period_ms, count):
    """RUNNING jobs while `count` packets come, another added every period_ms (0: none). What the engine says, with `lost`: wanted packets that the running jobs did not get."""
    out = kit.folder() / "result.json"
    with Cable() as cable:
        words = cable.at_sink(kit.program("adding"), cable.into, kit.jobs_file(jobs_for_flows(RUNNING + OTHERS)), RUNNING, period_ms)
        with open(out, "w") as stdout, running(pinned(RECEIVER_CPU, words), lambda log: "ready" in log, stdout=stdout) as process:
            said = kit.generate(cable, count=count, wanted_flows=RUNNING, wanted_ppm=WANTED_PPM)
            time.sleep(0.3)  # what is still in the ring
    if process.returncode != 0:
        raise BenchError("adding: status %d" % process.returncode)
    result = json.loads(out.read_text())
    if bool(result["add_us"]) != bool(period_ms):
        raise BenchError("%d jobs added" % len(result["add_us"]))
    return dict(result, lost=said["wanted"] - result["captured"], pps=said["pps"])


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def note(adding):
    times = [us / 1000 for run in adding for us in run["add_us"]]
    dropped = sum(run["dropped_kernel"] + run["dropped_interface"] + run["dropped_spool"] for run in adding)
    return ("median of each run's median; %d jobs added in all, one every %d ms, p99 %.2f ms, slowest %.2f ms; beside %.1f Mpps of 64-byte packets; "
            "%d dropped by ring, interface or spool" % (len(times), PERIOD_MS, percentile(times, 99), max(times),
                                                        statistics.median(run["pps"] for run in adding) / 1e6, dropped))  # fmt: skip


def run(kit):
    count = 200000 if kit.quick else 3000000
    adding, quiet = [], []
    for _ in range(kit.runs):
        adding.append(one_run(kit, PERIOD_MS, count))
        quiet.append(one_run(kit, 0, count))
    medians = [statistics.median(run["add_us"]) / 1000 for run in adding]
    return [
        Row("adding one job to 1,024 running, until it is armed", "ms", medians, target="<= 1", judge="ours", note=note(adding)),
        Row("wanted packets that the 1,024 lost meanwhile", "packets", [run["lost"] for run in adding], "nothing is added",
            [run["lost"] for run in quiet], "== 0", judge="ours"),
    ]  # fmt: skip
