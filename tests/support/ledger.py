"""The ledger of an ended job: every packet is accounted for, from the interface to the file.

What must hold is in packet/ledger.h and ARCHITECTURE.md, "Ledger". Checked against the database's rows (the service's
books), the job object (what the tenant is told) and both files (what the tenant gets).
"""

import hashlib

from pcap_read import parse_pcap, read_pcap, read_pcapng

COUNTERS = (
    "observed", "accepted", "delivered", "matched", "selected", "captured", "bytes",
    "dropped_kernel", "dropped_interface", "dropped_spool", "dropped_limit",
)  # fmt: skip
SNAPLEN = {"simple": 160, "full": 262144}


def check(lab, account, job, tenant):
    """AssertionError with the numbers when something does not add up."""
    row = lab.sql_json("SELECT * FROM pcaps WHERE id = '%s'" % job)[0]
    parts = lab.sql_json("SELECT * FROM pcap_parts WHERE pcap_id = '%s'" % job)
    seen = tenant.get(job)
    where = "job %s: %s, parts %s" % (job, row, parts)
    assert row["stage"] in ("done", "failed"), where
    for part in parts:
        check_part(part, SNAPLEN[row["type"]], row["stage"] == "done")
    for counter in COUNTERS:
        assert row[counter] == sum(part[counter] for part in parts), counter + ": " + where
    states = [part["state"] for part in parts]
    assert not {"assigned", "running"} & set(states), where
    samplers = seen["samplers"]
    assert samplers["total"] == len(parts) and samplers["done"] == states.count("done"), where
    assert seen["packets_remaining"] == 0, where
    if row["stage"] == "failed":
        assert seen["status"] == "failed" and seen["error_message"], where
        return
    check_books(lab, row, parts, seen, where)
    if row["type"] == "full":
        check_bucket(lab, row, parts, tenant, where)
    else:
        check_files(row, seen, tenant, where)


def check_part(part, snaplen=SNAPLEN["simple"], assembled=True):
    """One host's equations; when nothing was assembled, nobody has looked into its chunks."""
    where = "part %s" % part
    assert part["state"] in ("done", "failed", "lost"), where
    if part["state"] != "lost":  # a lost part's counters are those of its last message, mid-flight
        assert part["accepted"] == part["delivered"] + part["dropped_kernel"], where
        captured = part["captured"] + part["dropped_spool"] + part["dropped_limit"]
        assert part["selected"] == captured, where
    assert part["delivered"] >= part["matched"] >= part["selected"], where
    assert part["bytes"] <= part["captured"] * snaplen, where
    if part["state"] == "done" and assembled:
        assert part["packets_stored"] == part["captured"], where
        assert part["chunks_found"] == part["chunks_stored"], where


def check_books(lab, row, parts, seen, where):
    """What went into the file is what was stored, but for what was left out."""
    stored = sum(part["packets_stored"] for part in parts)
    assert row["packets_rejected"] == 0 or lab.rejected_expected, where
    assert row["packets_in_file"] == stored - row["packets_cut"] - row["packets_rejected"], where
    assert row["packet_limit"] is None or row["packets_in_file"] <= row["packet_limit"], where
    assert seen["status"] == "success" and seen["packets_captured"] == row["packets_in_file"], where
    assert seen["bytes"] == row["pcap_bytes"], where


def check_bucket(lab, row, parts, tenant, where):
    """The file and the manifest in the tenant's bucket say what the books say."""
    answer = tenant.call("GET", "/%s/download" % tenant_id(row["id"]))
    assert answer.status_code == 409, answer.text
    pcap, manifest = lab.full_files(row["destination"], tenant_id(row["id"]))
    assert len(pcap) == row["pcap_bytes"] and hashlib.sha256(pcap).hexdigest() == row["pcap_sha256"], where
    assert manifest["file"]["sha256"] == row["pcap_sha256"] and manifest["file"]["bytes"] == len(pcap), manifest
    assert manifest["file"]["packets"] == row["packets_in_file"], manifest
    assert row["byte_limit"] is None or manifest["file"]["packet_bytes"] <= row["byte_limit"], manifest
    assert manifest["messages"] == row["warnings"] and manifest["job"]["stop_reason"] == row["stop_reason"], manifest
    hosts = {tenant_id(part["sampler_id"]): part for part in parts}
    assert {host["id"] for host in manifest["hosts"]} == set(hosts), manifest
    for host in manifest["hosts"]:
        part = hosts[host["id"]]
        assert host["ledger"] == {counter: part[counter] for counter in COUNTERS}, manifest
        assert host["packets"] == part["packets_stored"] and host["state"] == part["state"], manifest
    times = [packet.time_ns for packet in parse_pcap(pcap)[0]]
    assert len(times) == row["packets_in_file"] and times == sorted(times), where


def tenant_id(uuid):
    """An id as everything but the database writes it."""
    return uuid.replace("-", "")


def check_files(row, seen, tenant, where):
    """Both files have the packets that the books say."""
    pcap, pcapng = tenant.download(seen["id"]), tenant.download(seen["id"], "pcapng")
    packets, _ = read_pcap(pcap)
    full, interfaces = read_pcapng(pcapng)
    assert len(packets) == len(full) == row["packets_in_file"], where
    for packet, other in zip(packets, full):
        assert packet.time_ns == other.time_ns // 1000 * 1000, where
        assert packet.data == other.data and packet.wire_bytes == other.wire_bytes, where
        assert len(packet.data) <= SNAPLEN["simple"], where
    times = [packet.time_ns for packet in full]
    assert times == sorted(times), where
    assert len(interfaces) >= 1 or not packets, where
    assert pcap.stat().st_size == row["pcap_bytes"] == seen["bytes"], where
