#!/usr/bin/python3
"""How long a tenant waits: from POST to the first packet captured, and from the window's end to `success`.

tests/bench/latency.py [jobs]: a whole system with three edge hosts and 1,000 packets a second on each; medians and maxima in
ms. The programs come from EDGECAP_BIN_DIR (default build/release/bin).
"""

import os
import statistics
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
os.environ.setdefault("EDGECAP_BIN_DIR", str(TOP / "build/release/bin"))
sys.path.insert(0, str(TOP / "tests/support"))

from edgecap_lab import Lab  # noqa: E402
from pcap_read import read_pcapng  # noqa: E402

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
HOSTS = 3


def one_job(lab, tenant):
    """First packet on the first and on the last host after POST, end of the last window to `success`; in ms."""
    posted = time.time()
    job = tenant.post(UDP, time_limit=1)
    while tenant.get(job)["status"] == "pending":
        time.sleep(0.002)
    ended = time.time()
    packets, _ = read_pcapng(tenant.download(job, "pcapng"))
    first = [
        min(p.time_ns for p in packets if p.interface == i) / 1e9 for i in range(HOSTS)
    ]
    windows = lab.sql_json(
        "SELECT extract(epoch FROM max(ended)) AS ended FROM pcap_parts WHERE pcap_id = '%s'" % job
    )
    return [1000 * (t - s) for t, s in (
        (min(first), posted), (max(first), posted), (ended, windows[0]["ended"]),
    )]  # fmt: skip


def main():
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with Lab(edges=HOSTS) as lab:
        tenant = lab.tenant()
        lab.packets([{"edge": i + 1, "rate_per_s": 1000} for i in range(HOSTS)])
        rows = [one_job(lab, tenant) for _ in range(jobs)]
    names = ("POST to first packet, first host", "POST to first packet, last host", "window end to success")
    for name, values in zip(names, zip(*rows)):
        print("%-34s median %7.1f ms   max %7.1f ms" % (name, statistics.median(values), max(values)))


if __name__ == "__main__":
    main()
