"""Whether one job that matches everything at line rate, and is stored, takes packets from modest jobs beside it."""

import contextlib
import os
import time

from kit import RECEIVER_CPU, BenchError, Cable, Row, jobs_for_flows, pinned, running

TITLE = "fairness: modest jobs beside a greedy one, live on veth"
MODEST = 32
WANTED_PPM = 10000
GREEDY = {"unrestricted": True, "filter_v1": {}, "snaplen": 65535}
PEER = "the same without the greedy job"


@contextlib.contextmanager
def busy(kit, programs):
    """Other programs that take all they can get of the receiver's processor: the traffic generator, sending nothing."""
    words = [kit.program("generator"), "--interface", "lo", "--dry", "--seconds", 60]
    with contextlib.ExitStack() as stack:
        for _ in range(programs):
            stack.enter_context(running(pinned(RECEIVER_CPU, words)))
        yield


def measure(kit, traffic, programs, greedy):
    """Packets that the modest jobs lost; and of the greedy one, where there is one, share lost in %."""
    jobs = jobs_for_flows(MODEST) + ([GREEDY] if greedy else [])
    with Cable() as cable, kit.sampler(cable, jobs) as result, busy(kit, programs):
        said = kit.generate(cable, wanted_flows=MODEST, wanted_ppm=WANTED_PPM, **traffic)
        time.sleep(0.5)
    ledgers = [job["ledger"] for job in result["jobs"]]
    for job in result["jobs"]:
        os.unlink(job["file"])
    captured = sum(ledger["captured"] for ledger in ledgers[:MODEST])
    if captured > said["wanted"]:
        raise BenchError("%d packets captured, %d were wanted" % (captured, said["wanted"]))
    return {
        "lost": said["wanted"] - captured,
        "wanted": said["wanted"],
        "ring": sum(i["dropped_kernel"] for i in result["interfaces"]),
        "greedy": 100 * (1 - ledgers[-1]["captured"] / said["sent"]) if greedy else 0,
        "mpps": said["pps"] / 1e6,
    }


def middle(figures, key):
    return sorted(f[key] for f in figures)[len(figures) // 2]


def row(kit, name, traffic, programs):
    beside, alone = [], []
    for _ in range(kit.runs):
        beside.append(measure(kit, traffic, programs, True))
        alone.append(measure(kit, traffic, programs, False))
    note = "%d other programs on the processor; %d modest packets a run; %.2f Mpps beside the greedy job, %.2f without; it lost %.1f %% itself, the ring dropped %d packets" % (
        programs, middle(beside, "wanted"), middle(beside, "mpps"), middle(alone, "mpps"), middle(beside, "greedy"), middle(beside, "ring"))  # fmt: skip
    return Row("packets that %d modest jobs lose, %s" % (MODEST, name), "packets", [f["lost"] for f in beside], PEER,
               [f["lost"] for f in alone], "<= 0", judge="difference", note=note)  # fmt: skip


def run(kit):
    limit = {"count": 200000} if kit.quick else {"seconds": 3}
    cases = (
        ("64-byte packets", 60, 0), ("IMIX", "imix", 0), ("1,518-byte packets", 1514, 0),
        ("1,518-byte packets, busy processor", 1514, 2),
    )  # fmt: skip
    return [row(kit, name, dict(limit, size=size), programs) for name, size, programs in cases]
