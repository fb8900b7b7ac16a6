"""What tests with kill -9 have in common: who has a job, and whether a file has what was sent while its hosts captured."""

import datetime

from edgecap_lab import await_true
from numbered import check_window

CHUNK_S = 1.5  # a chunk is closed after 1 s and kept on the host's disk: what a kill may cost


def nanoseconds(text):
    """Of a time as PostgreSQL writes it in JSON."""
    return int(datetime.datetime.fromisoformat(text).timestamp() * 10**6) * 1000


def claimant(lab, jobs, seconds):
    """The assembler that has just claimed one of these jobs, as soon as it is claimed."""
    def find():
        for assembler in lab.assemblers:
            text = assembler.log_text()
            if any("job-claimed" in line and job in line for job in jobs for line in text.splitlines()):
                return assembler
        return None

    return await_true("one of the jobs is claimed", seconds, find, 0.001)


def check_named(lab, tenant, job, killed_edge):
    """The other hosts are whole; a part of the killed one that did not get through is named."""
    rows = lab.sql_json("SELECT sampler_name, state, reason FROM pcap_parts WHERE pcap_id = '%s'" % job)
    bad = [row for row in rows if row["state"] != "done"]
    assert all(row["sampler_name"] == killed_edge.name for row in bad), rows
    if bad:
        assert bad[0]["reason"] in ("sampler_restarted", "silent"), bad
        messages = tenant.call("GET", "/" + job).json()["messages"]
        assert any(killed_edge.name in str(m) for m in messages), messages


def check_exact(lab, job, found, sent, killed_ns):
    """A part that is done has all of its window, by its own clock; one that failed has all but its open chunk. found: numbers per stream;
    the stream of edge-N is N - 1."""
    for part in lab.sql_json("SELECT * FROM pcap_parts WHERE pcap_id = '%s'" % job):
        print(job, part["sampler_name"], part["state"], part["reason"], part["packets_stored"])
        stream = int(part["sampler_name"].removeprefix("edge-")) - 1
        if not part["started"]:
            assert part["state"] != "done" or part["captured"] == 0
            continue
        taken, times = found.get(stream, []), sent[stream]
        start_ns = nanoseconds(part["started"])
        if part["state"] == "done":
            check_window(taken, times, start_ns, nanoseconds(part["ended"]))
        else:
            until_ns = killed_ns - int(CHUNK_S * 10**9)
            kept = [n for n in taken if times[n][1] <= until_ns]
            check_window(kept, times, start_ns, until_ns)
