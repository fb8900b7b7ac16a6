"""What is lost when everything matches one job and is stored whole in a file, at several rates."""

import os
import re
import time

from kit import RECEIVER_CPU, BenchError, Cable, Row, packets_in, pinned, running

TITLE = "loss while everything is stored, live on veth"
RING_MIB = 8
EVERYTHING = [{"unrestricted": True, "filter_v1": {}, "snaplen": 65535}]
PEER = "dumpcap -w"
NOTE = "loss in %% of the packets sent, counted in the file; ring of %d MiB and one processor for both; 0 beside 0 counts as reached" % RING_MIB
# frame bytes and packets a second (None: as fast as the generator goes)
TRAFFIC = (
    (60, 100000), (60, 200000), (60, 400000), (60, 800000), (60, None),
    ("imix", 100000), ("imix", 300000), ("imix", None),
)  # fmt: skip


def loss(said, in_file, told):
    if in_file != told or in_file > said["sent"]:
        raise BenchError("%d packets in the file, %d were reported, %d sent" % (in_file, told, said["sent"]))
    return {"loss": 100 * (said["sent"] - in_file) / said["sent"], "kpps": said["pps"] / 1e3}


def ours(kit, traffic):
    with Cable() as cable, kit.sampler(cable, EVERYTHING, EDGECAP_RING_BYTES=RING_MIB << 20) as result:
        said = kit.generate(cable, **traffic)
        time.sleep(0.5)
    job = result["jobs"][0]
    in_file = packets_in(job["file"])
    os.unlink(job["file"])
    figures = loss(said, in_file, job["ledger"]["captured"])
    return dict(figures, ring=job["ledger"]["dropped_kernel"], spool=job["ledger"]["dropped_spool"])


def dumpcap(kit, traffic):
    folder = kit.folder()
    out, log = folder / "dumpcap.pcapng", folder / "log"
    with Cable() as cable:
        words = cable.at_sink("dumpcap", "-q", "-i", cable.into, "-B", RING_MIB, "-w", out)
        with running(pinned(RECEIVER_CPU, words), lambda text: "File:" in text, log):
            said = kit.generate(cable, **traffic)
            time.sleep(0.5)
    told = re.search(r"Packets captured: (\d+)", log.read_text())
    if not told:
        raise BenchError("dumpcap: " + log.read_text()[-1000:])
    in_file = packets_in(out)
    os.unlink(out)
    return loss(said, in_file, int(told[1]))


def row(size, rate, us, peers):
    name = "IMIX" if size == "imix" else "%d-byte packets" % (size + 4)
    speed = "%d kpps" % (rate / 1000) if rate else "full rate"
    reached = "sent at %.0f kpps to us and %.0f to dumpcap" % tuple(sorted(f["kpps"] for f in side)[len(side) // 2] for side in (us, peers))
    if any(f["loss"] for f in us):
        reached += "; we lost at most %d packets in the ring, %d waiting for the disk" % tuple(max(f[key] for f in us) for key in ("ring", "spool"))
    return Row("loss, all is stored: %s, %s" % (name, speed), "%", [f["loss"] for f in us], PEER,
               [f["loss"] for f in peers], "<= 0", judge="difference", note=reached)  # fmt: skip


def run(kit):
    seconds = 3
    cases = TRAFFIC[3:5] if kit.quick else TRAFFIC
    rows = []
    for size, rate in cases:
        traffic = {"size": size, "count": 100000} if kit.quick else {"size": size, "seconds": seconds}
        if rate:
            traffic["rate"] = rate
        us, peers = [], []
        for _ in range(kit.runs):
            us.append(ours(kit, traffic))
            peers.append(dumpcap(kit, traffic))
        rows.append(row(size, rate, us, peers))
    rows[0].note = NOTE + "; " + rows[0].note
    return rows
