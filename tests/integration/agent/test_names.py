"""A sampler that has to look up its API's name, in libcurl's thread and within the cage."""

import os
import shutil
import socket
import struct
import threading

import pytest
from conftest import REAL
from fake_api import FakeApi, pcap

NAME = "api.edgecap.test"


class Nameserver:
    """Answers every question for an IPv4 address with one, on UDP port 53; there is no other kind of record."""

    def __init__(self, here, answer):
        self.answer, self.asked = answer, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((here, 53))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(512)
            except OSError:
                return
            end = query.index(b"\0", 12) + 1
            kind = struct.unpack_from(">H", query, end)[0]
            self.asked.append(kind)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(self.answer)
            reply = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(kind == 1), 0, 0) + query[12 : end + 4]
            self.socket.sendto(reply + (record if kind == 1 else b""), peer)

    def close(self):
        self.socket.close()


@pytest.fixture
def resolver(link):
    """The edge host's resolv.conf, which ip(8) mounts for what it starts there, and the nameserver that it names."""
    folder = "/etc/netns/" + link.name
    os.makedirs(folder)
    try:
        with open(folder + "/resolv.conf", "w") as f:
            f.write("nameserver %s\noptions timeout:1 attempts:1\n" % link.here)
        yield
    finally:
        shutil.rmtree(folder)


def test_a_name_is_looked_up(link, make_sampler, resolver):
    with FakeApi(address=link.here) as api:
        names = Nameserver(link.here, link.here)
        try:
            sampler = make_sampler(link.command(REAL))
            sampler.api = api
            sampler.start(EDGECAP_INTERFACES="up0", EDGECAP_EDGE_URL="http://%s:%d" % (NAME, api.port))
            job = api.post(pcap(), time_limit_s=1)
            job.prefixes = [link.prefix]
            api.wait_state(job, "done", seconds=20)
            assert 1 in names.asked
            assert sampler.terminate()[0] == 0
        finally:
            names.close()
