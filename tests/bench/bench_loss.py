"""What is lost at the highest rate that the generator reaches, with 1,024 jobs of which 0.1 % of the packets are."""

import os
import time

from kit import RECEIVER_CPU, BenchError, Cable, Row, jobs_for_flows, packets_in, pinned, running

TITLE = "loss at full rate, little matches, live on veth"
WANTED_PPM = 1000
JOBS = 1024
RING_MIB = 8
PEER = "tcpdump, one filter, -w"
WAIT_S = 1.5  # tcpdump lets packets wait in the ring for a second


def outcome(said, captured, dropped):
    """Figures of one measurement; dropped: by ring and interface, whosever they were."""
    if captured > said["wanted"]:
        raise BenchError("%d packets captured, %d were wanted" % (captured, said["wanted"]))
    return {"lost": said["wanted"] - captured, "dropped": dropped, "mpps": said["pps"] / 1e6, "wanted": said["wanted"]}


def ours(kit, count):
    with Cable() as cable, kit.sampler(cable, jobs_for_flows(JOBS), EDGECAP_RING_BYTES=RING_MIB << 20) as result:
        said = kit.generate(cable, count=count, wanted_flows=JOBS, wanted_ppm=WANTED_PPM)
        time.sleep(WAIT_S)
    captured = sum(job["ledger"]["captured"] for job in result["jobs"])
    dropped = sum(i["dropped_kernel"] + i["dropped_interface"] for i in result["interfaces"])
    return outcome(said, captured, dropped)


def tcpdump(kit, count):
    """tcpdump with the filter of one job, for which as many packets are as for all of ours."""
    folder = kit.folder()
    out, log = folder / "tcpdump.pcap", folder / "log"
    with Cable() as cable:
        words = cable.at_sink("tcpdump", "-Z", "root", "-n", "-i", cable.into, "-Q", "in", "-B", RING_MIB << 10,
                              "-w", out, "src host 10.0.0.0")  # fmt: skip
        with running(pinned(RECEIVER_CPU, words), lambda text: "listening on" in text, log):
            said = kit.generate(cable, count=count, wanted_flows=1, wanted_ppm=WANTED_PPM)
            time.sleep(WAIT_S)
        dropped = cable.counters()["dropped"]
    dropped += sum(int(line.split()[0]) for line in log.read_text().splitlines() if "dropped by kernel" in line)
    captured = packets_in(out)
    os.unlink(out)
    return outcome(said, captured, dropped)


def rate_text(figures):
    rates = [f["mpps"] for f in figures]
    return "%.2f..%.2f Mpps" % (min(rates), max(rates))


def run(kit):
    count = 300000 if kit.quick else 10000000
    us, peers = [], []
    for _ in range(kit.runs):
        us.append(ours(kit, count))
        peers.append(tcpdump(kit, count))
    note = "64-byte packets as fast as the generator goes: %s here, %s for tcpdump; %d wanted a run; ring of %d MiB for both" % (
        rate_text(us), rate_text(peers), us[0]["wanted"], RING_MIB)  # fmt: skip
    rows = (("wanted packets lost at full rate, 1,024 jobs", "lost", note), ("packets dropped by ring or interface", "dropped", ""))
    return [
        Row(what, "packets", [f[key] for f in us], PEER, [f[key] for f in peers], "<= 0", judge="difference", note=more)
        for what, key, more in rows
    ]
