"""A private S3 server for tests written in Python: tests/support/with-s3, held until closed."""

import json
import os
import subprocess
import time
from pathlib import Path

WITH_S3 = Path(__file__).resolve().parent / "with-s3"


class S3Server:
    """A Ceph RGW on an address of ours; it goes away with this process, whatever happens to that."""

    def __init__(self, folder, address="127.0.0.1"):
        self.folder = Path(folder)
        told = self.folder / "s3.json"
        # cat ends when our end of its input is closed, and with-s3 with it.
        tell = (
            "import json, os, sys; tell = {k[16:].lower(): v for k, v in os.environ.items() if k.startswith('EDGECAP_TEST_S3_')}; "
            "open(sys.argv[1] + '.new', 'w').write(json.dumps(tell)); os.rename(sys.argv[1] + '.new', sys.argv[1]); "
            "os.execvp('cat', ['cat'])"
        )
        with open(self.folder / "with-s3.log", "wb") as log:
            self.process = subprocess.Popen(
                [WITH_S3, "--address", address, "/usr/bin/python3", "-c", tell, told],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 60
        while not told.exists():
            assert self.process.poll() is None and time.monotonic() < end, self.log_text()
            time.sleep(0.05)
        self.variables = json.loads(told.read_text())

    def log_text(self):
        return (self.folder / "with-s3.log").read_text(errors="replace")

    def settings(self, prefix="edgecap/lab"):
        """What a program of ours is told; the secret is in a file."""
        secret = self.folder / "s3-secret"
        if not secret.exists():
            secret.write_text(self.variables["secret_key"] + "\n")
            secret.chmod(0o600)
        return {
            "EDGECAP_STORAGE": "s3://%s/%s?endpoint=%s&plaintext=yes&stall=5s"
            % (self.variables["bucket"], prefix, self.variables["endpoint"]),
            "EDGECAP_S3_ACCESS_KEY_ID": self.variables["access_key"],
            "EDGECAP_S3_SECRET_ACCESS_KEY_FILE": str(secret),
        }

    def control(self, *words):
        """A command of with-s3's control program; its output."""
        return subprocess.run(
            [self.variables["ctl"], *words], check=True, capture_output=True, text=True,
            env={**os.environ, "EDGECAP_TEST_S3_BUCKET": self.variables["bucket"]},
        ).stdout  # fmt: skip

    def keys(self):
        """Everything that is in the bucket, parts of unfinished uploads included."""
        return sorted(entry["name"] for entry in json.loads(self.control("list")))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
