"""Full captures for the assembler: jobs with a tenant's bucket, on the private S3 server of with-s3, behind a gate."""

import hashlib
import hmac
import json
import os
import re
import secrets
import subprocess

import kit
import pcap_read
from chunks import BEGIN_NS, chunk, packet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kit import Host, sql
from s3_client import REGION, S3Client
from tcp_gate import Gate

SECRET = "a bucket secret of 32 bytes or more"
MIB = 1024 * 1024
PAYLOAD = 1400
CHUNK_PACKETS = 1000
IN_THE_MIDDLE = 9 * MIB  # one part and the beginning of the next
LARGE = 14000  # packets of a job that is three parts of an upload: 19.5 MiB


def variable(name):
    return os.environ["EDGECAP_TEST_S3_" + name]


def control(*words):
    """A command of with-s3's control program."""
    subprocess.run([variable("CTL"), *words], check=True, capture_output=True)


def seal_keys(account, destination, secret=SECRET, keys=None):
    """A tenant's r2 keys as the API keeps them (storage/bucket_keys.h, base/seal.h)."""
    keys = keys or (variable("ACCESS_KEY"), variable("SECRET_KEY"))
    key = hmac.new(secret.encode(), b"edgecap bucket keys v1", "sha256").digest()
    nonce = secrets.token_bytes(12)
    about = ("%s\n%s" % (account, destination)).encode()
    return b"\x01" + nonce + AESGCM(key).encrypt(nonce, "\n".join(keys).encode(), about)


class Bucket:
    """A bucket of its own, and the operator's list that has the gate in front of the server."""

    def __init__(self, world, name=None):
        self.world, self.name = world, name or "tenant-" + secrets.token_hex(6)
        self.client = S3Client(variable("ENDPOINT"), variable("ACCESS_KEY"), variable("SECRET_KEY"))
        self.gate = Gate(variable("ENDPOINT"))
        self.make()
        self.destination = "s3://%s/dir?region=%s&endpoint=%s" % (self.name, REGION, self.gate.endpoint)

    def make(self):
        assert self.client.request("PUT", "/" + self.name).status_code == 200

    def remove(self):
        """Everything in it, and the bucket."""
        for key in self.keys():
            self.client.request("DELETE", "/%s/%s" % (self.name, key))
        answer = self.client.request("DELETE", "/" + self.name)
        assert answer.status_code == 204, answer.text

    def keys(self):
        answer = self.client.request("GET", "/%s?list-type=2" % self.name)
        assert answer.status_code == 200, answer.text
        return sorted(re.findall("<Key>([^<]*)</Key>", answer.text))

    def uploads(self):
        """Ids of unfinished uploads."""
        answer = self.client.request("GET", "/%s?uploads=" % self.name)
        assert answer.status_code == 200, answer.text
        return re.findall("<UploadId>([^<]*)</UploadId>", answer.text)

    def deny(self, *actions, ending=""):
        """Nobody may do this any more, not even the owner; ending: of the keys that it holds for."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Deny", "Principal": "*", "Action": ["s3:" + action for action in actions],
                "Resource": ["arn:aws:s3:::" + self.name, "arn:aws:s3:::%s/*%s" % (self.name, ending)],
            }],
        }  # fmt: skip
        answer = self.client.request("PUT", "/%s?policy=" % self.name, json.dumps(policy).encode())
        assert answer.status_code in (200, 204), answer.text

    def allow(self):
        answer = self.client.request("DELETE", "/%s?policy=" % self.name)
        assert answer.status_code in (200, 204), answer.text

    def settings(self, **members):
        """Of an assembler that may write there; members: of the list's entry."""
        secret, entries = self.world.dir / "s3-secret", self.world.dir / ("list-%s.json" % secrets.token_hex(4))
        secret.write_text(variable("SECRET_KEY") + "\n")
        entry = {"scheme": "s3", "endpoint": self.gate.endpoint, "private": True, "plaintext": True,
                 "access_key_id": variable("ACCESS_KEY"), "secret_access_key_file": str(secret), **members}  # fmt: skip
        entries.write_text(json.dumps([{k: v for k, v in entry.items() if v is not None}]))
        return {"BUCKETS_FILE": entries, "BUCKET_SECRET": SECRET}


class FullJob(kit.Job):
    """A full capture of two hosts whose parts have ended."""

    def __init__(self, world, bucket, packets=LARGE, per_chunk=CHUNK_PACKETS, validated=True):
        self.bucket, self.per_chunk, self.sent = bucket, per_chunk, []
        hosts = [Host("ord-a"), Host("ord-b")]
        for n, host in enumerate(hosts):
            self.fill(host, n, packets // 2)
        super().__init__(world, hosts, limit=None, type="full", colo_name="ord01", byte_limit=10**9,
                         destination=bucket.destination)  # fmt: skip
        self.store()
        if validated:
            self.add_bucket()
            self.ready()

    def fill(self, host, number, count):
        """Chunks with so many packets."""
        for first in range(0, count, self.per_chunk):
            packets = [(BEGIN_NS + 1000 * (2 * n + number), packet(n, PAYLOAD))
                       for n in range(first, min(first + self.per_chunk, count))]  # fmt: skip
            host.add(chunk(packets, snaplen=262144), len(packets))
            self.sent += packets

    def add_bucket(self, credentials=None):
        """The tenant has added it, and proved that it is its own."""
        sql("""INSERT INTO buckets (account_id, id, destination, credentials, validated, filename, submitted,
            token_sha256, expires) VALUES ('%s', '%s', '%s', %s, now(), 'ownership-challenge.txt', now(),
            decode(repeat('00', 32), 'hex'), now() + interval '7 d')""" % (
            self.account, kit.new_id(), self.bucket.destination,
            "decode('%s', 'hex')" % credentials.hex() if credentials else "NULL"))  # fmt: skip

    @property
    def key(self):
        return "dir/pcap_" + self.id

    def hurry(self):
        """The pauses between the tries are not what is tested here."""
        sql("UPDATE pcaps SET claim_at = now() WHERE %s AND stage = 'ready' AND claim_at > now()" % self.where)

    def await_end(self, stage, seconds=60):
        """Without the pauses between the tries."""
        def ended():
            self.hurry()
            return self.stage() in ("done", "failed")

        kit.await_true(lambda: "%s: it is %s\n%s" % (stage, self.row(), self.world.logs()), seconds, ended)
        row = self.row()
        assert row["stage"] == stage, (row, self.world.logs())
        return row

    def check_failed(self, *words, attempts=5, seconds=60):
        """Failed for a reason that has these words and nothing that is nobody's business; the chunks are there."""
        row = self.await_end("failed", seconds)
        message = row["error_message"]
        for word in words:
            assert word in message, message
        secret = (variable("ACCESS_KEY"), variable("SECRET_KEY"), self.bucket.name, self.bucket.destination,
                  self.bucket.gate.endpoint.removeprefix("http://"), "127.0.0.1", self.id, str(self.world.dir))  # fmt: skip
        assert not [one for one in secret if one in message], message
        assert row["attempts"] == attempts, row
        # they outlive those of other jobs
        sql("UPDATE pcaps SET completed = completed - interval '1 hour' WHERE " + self.where)
        assert row["expires"] and not row["chunks_removed"] and self.chunk_folder().exists(), row
        return row

    def reassemble(self):
        env = dict(os.environ, EDGECAP_DATABASE_URL="host=%s user=edgecap_admin dbname=edgecap" % kit.SOCKET)
        done = subprocess.run([kit.BIN / "edgecap-admin", "pcap", "reassemble", self.id, "--json"],
                              env=env, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0 and json.loads(done.stdout) == {"id": self.id, "stage": "ready"}, done

    def check_done(self, seconds=60):
        """Done, and in the bucket are the file with every packet, and its manifest, and nothing else."""
        row = self.await_end("done", seconds)
        self.check_bucket(row)
        return row

    def check_bucket(self, row):
        bucket = self.bucket
        assert bucket.keys() == [self.key + ".json", self.key + ".pcap"], bucket.keys()
        assert bucket.uploads() == [], self.world.logs()
        pcap = bucket.client.read(bucket.name, self.key + ".pcap")
        manifest = json.loads(bucket.client.read(bucket.name, self.key + ".json"))
        assert hashlib.sha256(pcap).hexdigest() == row["pcap_sha256"] == manifest["file"]["sha256"]
        assert manifest["file"]["packets"] == row["packets_in_file"] and manifest["messages"] == row["warnings"]
        found = [(p.time_ns, p.data) for p in pcap_read.parse_pcap(pcap)[0]]
        assert found == [(t // 1000 * 1000, data) for t, data in sorted(self.sent)]


def in_the_middle(bucket, seen=()):
    """Wait until an upload, none of those, is held by the gate; all uploads."""
    def began():
        uploads = bucket.uploads()
        return bucket.gate.holds() and set(uploads) - set(seen) and uploads

    return kit.await_true("an upload is under way", 30, began)


def check_again(job):
    """What failed is right when the operator has it assembled again."""
    job.reassemble()
    return job.check_done()
