"""64 jobs at once with overlapping filters: each gets exactly its packets."""

import ipaddress

import pytest
from numbered import numbers

SOURCES = ("1.2.3.4", "1.2.3.5", "198.51.100.7")
DESTINATIONS = ("5.6.7.8", "5.6.7.9")
PORTS = (53, 80)
COUNT = 12


def all_streams():
    """Flows of both protocols and families, on all edges."""
    streams = []
    for i, source in enumerate(SOURCES):
        for j, destination in enumerate(DESTINATIONS):
            for port in PORTS:
                for protocol in (6, 17):
                    streams.append({
                        "edge": 1 + len(streams) % 3, "source": source, "destination": destination,
                        "source_port": 1000 + i, "destination_port": port, "protocol": protocol,
                    })  # fmt: skip
    for edge in (1, 2, 3):
        streams.append({
            "edge": edge, "source": "2001:db8:1::4", "destination": "2001:db8:5678::8",
            "source_port": 1000, "destination_port": 53, "protocol": 17,
        })  # fmt: skip
    return [{**s, "count": COUNT, "rate_per_s": 20} for s in streams]


def matches(filter_v1, stream):
    """The meaning of a filter, said once more and plainly."""
    for side in ("source", "destination"):
        wanted = filter_v1.get(side + "_address")
        if wanted:
            network = ipaddress.ip_network(wanted)
            address = ipaddress.ip_address(stream[side])
            if address.version != network.version or address not in network:
                return False
        if filter_v1.get(side + "_port", stream[side + "_port"]) != stream[side + "_port"]:
            return False
    return filter_v1.get("protocol", stream["protocol"]) == stream["protocol"]


def filters(rng):
    """64 filters: some equal, some nested, some that match nothing."""
    choices = {
        "source_address": ("1.2.3.4", "1.2.3.5", "1.2.3.0/24", "1.2.3.4/31", "198.51.100.7", "2001:db8:1::/48"),
        "destination_address": ("5.6.7.8", "5.6.7.9", "5.6.7.8/31", "5.6.7.0/24", "2001:db8:5678::8"),
        "source_port": (1000, 1001, 1002, 9),
        "destination_port": (53, 80, 443),
        "protocol": (6, 17),
    }  # fmt: skip
    made = [{}, {}]
    while len(made) < 64:
        one = {}
        for name in rng.sample(list(choices), rng.randint(0, 4)):
            one[name] = rng.choice(choices[name])
        addresses = [one[k] for k in ("source_address", "destination_address") if k in one]
        if len({":" in a for a in addresses}) < 2:  # two families are refused
            made.append(one)
    return made


@pytest.mark.lab(edges=3)
def test_sixty_four_overlapping_jobs(lab, rng):
    """Number 9 of what must be shown, its last part."""
    tenant = lab.tenant(running_max=100)
    streams = all_streams()
    jobs = [(one, tenant.post(one, time_limit=300)) for one in filters(rng)]
    for _, job in jobs:
        tenant.await_running(job, hosts=3)
    lab.packets(streams).finish()
    for _, job in jobs:
        tenant.stop(job)
    for one, job in jobs:
        tenant.wait(job, 60, expect="success")
        found = numbers(tenant.download(job, "pcapng"))
        wanted = {i for i, stream in enumerate(streams) if matches(one, stream)}
        assert set(found) == wanted, "filter %s" % one
        assert all(taken == list(range(COUNT)) for taken in found.values()), "filter %s: %s" % (one, found)
