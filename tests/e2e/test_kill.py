"""kill -9 at random moments of running jobs: every job ends in time, and nothing that was stored is lost.

Number 7 of what must be shown. Packets with known numbers flow all the time; when all rounds are over, each file is compared with
what was sent while its parts had their windows open. EDGECAP_TEST_ROUNDS or --rounds asks for more than 20 rounds.
"""

import time

import pytest
from kill_rounds import check_exact, check_named, claimant
from numbered import numbers

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
VICTIMS = ("api", "assembler", "sampler", "database", "assembler at work")
GRACE_S = 30  # after the window (ARCHITECTURE.md)
ASSEMBLY_S = 20  # a lease that has to run out, and the merge


class Round:
    """Jobs in flight, one kill, and the restart."""

    def __init__(self, lab, tenants, rng, victim):
        self.lab, self.tenants, self.rng, self.victim = lab, tenants, rng, victim
        self.killed_edge, self.killed_ns = None, None
        self.jobs = {}

    def submit(self):
        for _ in range(2):
            window_s = self.rng.randint(2, 3)
            tenant = self.rng.choice(self.tenants)
            self.jobs[tenant.post(UDP, time_limit=window_s, packet_limit=10000)] = time.monotonic() + window_s

    def kill(self):
        """Kill and, after a moment, start again."""
        lab, pause = self.lab, self.rng.uniform(0, 1)
        self.killed_ns = time.time_ns()
        if self.victim == "database":
            lab.database_kill()
            time.sleep(pause)
            lab.database_start()
            return
        if self.victim == "assembler at work":
            program = claimant(lab, self.jobs, 20)
        else:
            kinds = {"api": lab.apis, "assembler": lab.assemblers, "sampler": lab.samplers}
            program = self.rng.choice(kinds[self.victim])
        if self.victim == "sampler":
            self.killed_edge = program
        program.kill()
        time.sleep(pause)
        program.start()

    def run(self):
        self.submit()
        wait = 0 if self.victim == "assembler at work" else self.rng.uniform(0, 3.5)
        time.sleep(wait)
        self.kill()
        print("%s killed after %.2f s" % (self.killed_edge.name if self.killed_edge else self.victim, wait))
        for job, window_end in self.jobs.items():
            bound = max(1, window_end + GRACE_S + ASSEMBLY_S - time.monotonic())
            seen = self.tenants[0].wait(job, bound, expect="success")
            if self.killed_edge is None:
                assert seen["samplers"]["done"] == 3, "%s killed: %s" % (self.victim, seen)
            else:
                check_named(self.lab, self.tenants[0], job, self.killed_edge)


@pytest.mark.lab(edges=3, apis=2, assemblers=2)
def test_kill_nine_rounds(lab, rng, request):
    """The API, an assembler, a sampler, PostgreSQL: one at a time, at random moments."""
    account = lab.account(running_max=100)
    tenants = [client.tenant(account, lab) for client in lab.clients]
    source = lab.packets([{"edge": i, "rate_per_s": 100} for i in (1, 2, 3)])
    jobs, rounds = [], request.config.getoption("--rounds")
    for number in range(rounds):
        victim = VICTIMS[number % len(VICTIMS)]
        print("round %d: %s" % (number + 1, victim))
        lab.await_samplers(3)
        one = Round(lab, tenants, rng, victim)
        one.run()
        jobs += [(job, one.killed_ns) for job in one.jobs]
    sent = source.stop()
    for job, killed_ns in jobs:
        check_exact(lab, job, numbers(tenants[0].download(job, "pcapng")), sent, killed_ns)
