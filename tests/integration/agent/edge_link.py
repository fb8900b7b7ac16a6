"""An edge host with a link to the test: network namespaces for a sampler with its real engine."""

import os
import subprocess


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Link:
    """A namespace with one end of a veth pair: the edge host. The other end is in this namespace."""

    def __init__(self):
        number = os.getpid()
        self.name = "eca%d" % number
        net = "100.126.%d.%d" % (number >> 6 & 255, (number & 63) * 4)
        base = net.rsplit(".", 1)
        self.here, self.there = ("%s.%d" % (base[0], int(base[1]) + i) for i in (1, 2))
        self.prefix = net + "/30"

    def __enter__(self):
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.name, "type", "veth", "peer", "name", "up0", "netns", self.name)
            ip("addr", "add", self.here + "/30", "dev", self.name)
            ip("link", "set", self.name, "up")
            ip("-n", self.name, "addr", "add", self.there + "/30", "dev", "up0")
            ip("-n", self.name, "link", "set", "up0", "up")
            ip("-n", self.name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", self.name], capture_output=True)
        ip("netns", "del", self.name)

    def command(self, program):
        return ["ip", "netns", "exec", self.name, program]
