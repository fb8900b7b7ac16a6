"""A program of tests/support that plays many clients, in a process of its own: it reads its orders as a line of JSON, says "ready" when its clients
stand, and ends with its stdin."""

import json
import subprocess
import sys

ENDED_S = 60


class Player:
    """The process, as a context manager. program: its file; orders: what it reads first. Afterwards `last` is what it said at its end."""

    def __init__(self, program, orders):
        self.program, self.orders, self.last = program, orders, None

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-B", self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self.ask(json.dumps(self.orders))
        if said != "ready\n":
            self.process.kill()
            raise RuntimeError("%s did not come: %r" % (type(self).__name__, said))
        return self

    def ask(self, line=""):
        """Write a line; the line that answers it."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __exit__(self, *_):
        try:
            self.last, _ = self.process.communicate(timeout=ENDED_S)
        finally:
            self.process.kill()
            self.process.wait()
