"""A private S3 server for tests written in Python: tests/support/with-s3, held until closed."""

import json
import os
import re
import secrets
import subprocess
import time
from pathlib import Path

from s3_client import S3Client

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
        # what programs are told: a test may put something in between
        self.store_endpoint = self.bucket_endpoint = self.variables["endpoint"]

    def log_text(self):
        return (self.folder / "with-s3.log").read_text(errors="replace")

    def _file_once(self, name, text):
        """Its path. Written once: programs that were told of it may be reading it."""
        path = self.folder / name
        if not path.exists():
            path.write_text(text + "\n")
            path.chmod(0o600)
        return str(path)

    def settings(self, prefix="edgecap/lab"):
        """What a program of ours is told; the secret is in a file."""
        return {
            "EDGECAP_STORAGE": "s3://%s/%s?endpoint=%s&plaintext=yes&stall=5s"
            % (self.variables["bucket"], prefix, self.store_endpoint),
            "EDGECAP_S3_ACCESS_KEY_ID": self.variables["access_key"],
            "EDGECAP_S3_SECRET_ACCESS_KEY_FILE": self._file_once("s3-secret", self.variables["secret_key"]),
            "EDGECAP_S3_UPLOAD_ACCESS_KEY_ID": self.variables["upload_access_key"],
            "EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY_FILE": self._file_once("s3-upload-secret", self.variables["upload_secret_key"]),
        }

    def bucket_settings(self):
        """What programs are told for tenants' buckets to be here."""
        entries = json.dumps([{
            "scheme": "s3", "endpoint": self.bucket_endpoint, "private": True, "plaintext": True,
            "access_key_id": self.variables["access_key"],
            "secret_access_key_file": self._file_once("s3-secret", self.variables["secret_key"]),
        }])  # fmt: skip
        return {
            "EDGECAP_BUCKETS_FILE": self._file_once("buckets.json", entries),
            "EDGECAP_BUCKET_SECRET_FILE": self._file_once("bucket-secret", secrets.token_hex(32)),
        }

    @property
    def client(self):
        """Anybody's client, with the keys that own the buckets."""
        told = self.variables
        return S3Client(told["endpoint"], told["access_key"], told["secret_key"])

    def read(self, key, bucket=None):
        """An object's bytes."""
        return self.client.read(bucket or self.variables["bucket"], key)

    def make_bucket(self, name):
        """One more bucket."""
        answer = self.client.request("PUT", "/" + name)
        assert answer.status_code == 200, answer.text
        return name

    def uploads(self, bucket):
        """Keys of the multipart uploads that nobody has finished or given up."""
        answer = self.client.request("GET", "/%s?uploads=" % bucket)
        assert answer.status_code == 200, answer.text
        return re.findall("<Key>([^<]*)</Key>", answer.text)

    def bucket_keys(self, bucket):
        """Keys of the objects in a bucket, at most 1,000."""
        answer = self.client.request("GET", "/%s?list-type=2" % bucket)
        assert answer.status_code == 200, answer.text
        return sorted(re.findall("<Key>([^<]*)</Key>", answer.text))

    def control(self, *words, env=None):
        """A command of with-s3's control program; its output. env: more variables."""
        return subprocess.run(
            [self.variables["ctl"], *words], check=True, capture_output=True, text=True,
            env={**os.environ, "EDGECAP_TEST_S3_BUCKET": self.variables["bucket"], **(env or {})},
        ).stdout  # fmt: skip

    def keys(self, bucket=""):
        """Everything that is in the bucket, parts of unfinished uploads included, also those that S3 does not show."""
        return sorted(entry["name"] for entry in json.loads(self.control("list", bucket)))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
