"""What receiving costs: ns of processor time per packet on the interface, from veth through filter and ring to the capture thread."""

import subprocess

from kit import RECEIVER_CPU, BenchError, Cable, Row, jobs_for_flows, pinned, running

TITLE = "receive cost, live on veth"
WANTED_PPM = 1000
JOBS = 1024
HANDLES = 1024
NOTE = "64-byte packets, 0.1 % match; processor time of the kernel's receive path and of the receiving process"


def ours(kit, jobs, count, **settings):
    """Cost with these jobs; every wanted packet must be there."""
    with Cable() as cable, kit.sampler(cable, jobs, **settings) as result:
        cost, said = kit.cost_ns(cable, [result["pid"]], count, wanted_flows=len(jobs), wanted_ppm=WANTED_PPM)
    captured = sum(job["ledger"]["captured"] for job in result["jobs"])
    lost = sum(i["dropped_kernel"] + i["dropped_interface"] for i in result["interfaces"])
    if captured != said["wanted"] or lost:
        raise BenchError("%d of %d wanted packets captured, %d lost" % (captured, said["wanted"], lost))
    return cost


def nobody(kit, count):
    with Cable() as cable:
        return kit.cost_ns(cable, [], count, wanted_flows=1, wanted_ppm=WANTED_PPM)[0]


def tcpdump(kit, count):
    """tcpdump with the filter of the one job."""
    out = kit.folder() / "tcpdump.pcap"
    with Cable() as cable:
        words = cable.at_sink("tcpdump", "-Z", "root", "-n", "-i", cable.into, "-Q", "in", "-w", out, "src host 10.0.0.0")
        with running(pinned(RECEIVER_CPU, words), lambda log: "listening on" in log) as process:
            return kit.cost_ns(cable, [process.pid], count, wanted_flows=1, wanted_ppm=WANTED_PPM)[0]


def handles(kit, handles_count, count):
    """One libpcap handle for each job, with that job's filter."""
    with Cable() as cable:
        words = cable.at_sink(kit.program("handles"), cable.into, handles_count)
        with running(pinned(RECEIVER_CPU, words), lambda log: "ready" in log, stdout=subprocess.DEVNULL) as process:
            return kit.cost_ns(cable, [process.pid], count, wanted_flows=handles_count, wanted_ppm=WANTED_PPM)[0]


def idle(kit, count):
    """The sampler without a job, and its memory beside the ring, MiB."""
    with Cable() as cable, kit.idle_sampler(cable) as process:
        cost, _ = kit.cost_ns(cable, [process.pid], count, wanted_flows=1, wanted_ppm=WANTED_PPM)
        return cost, kit.memory_mib(process.pid)


def run(kit):
    count = 200000 if kit.quick else 3000000
    many_handles = 64 if kit.quick else HANDLES
    figures = {"many": [], "one": [], "threads": [], "tcpdump": [], "nobody": [], "handles": [], "idle": []}
    for _ in range(kit.runs):
        figures["many"].append(ours(kit, jobs_for_flows(JOBS), count))
        figures["one"].append(ours(kit, jobs_for_flows(1), count))
        figures["threads"].append(ours(kit, jobs_for_flows(JOBS), count, EDGECAP_WORKERS=2))
        figures["tcpdump"].append(tcpdump(kit, count))
        figures["nobody"].append(nobody(kit, count))
        figures["idle"].append(idle(kit, count))
        figures["handles"].append(handles(kit, many_handles, count // 300))
    idle_ns, idle_mib = zip(*figures["idle"])
    unit = "ns/packet"
    return [
        Row("receive cost at 1,024 jobs in 8 field groups", unit, figures["many"], "1 job", figures["one"], "<= 1.15", note=NOTE),
        Row("the same", unit, figures["many"], "%d libpcap handles" % many_handles, figures["handles"], ">= 100", inverse=True),
        Row("receive cost at 1,024 jobs with 2 capture threads", unit, figures["threads"], "1 capture thread", figures["many"],
            note="what PACKET_FANOUT adds: the kernel hashes each packet's flow to choose a ring"),
        Row("receive cost at 1 job", unit, figures["one"], "tcpdump, that filter, -w", figures["tcpdump"], "<= 1.1"),
        Row("receive cost at 1 job, above nobody's", unit, figures["one"], "nobody captures", figures["nobody"], judge="difference"),
        Row("receive cost of an idle sampler, above nobody's", unit, idle_ns, "nobody captures", figures["nobody"], judge="difference"),
        Row("memory of an idle sampler beside its ring", "MiB", idle_mib, target="<= 19", judge="ours"),
    ]
