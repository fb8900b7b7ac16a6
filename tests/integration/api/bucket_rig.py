"""An API that lets tenants' buckets be at the private S3 server of with-s3, and what is needed to look into those buckets."""

import hashlib
import hmac
import json
import os
import socket
import threading

from api_rig import Api
from contract import failure
from s3_client import REGION, S3Client

SECRET = "a bucket secret of 32 bytes or more"
ENDPOINT = os.environ.get("EDGECAP_TEST_S3_ENDPOINT", "")
BUCKET = os.environ.get("EDGECAP_TEST_S3_BUCKET", "")
ACCESS_KEY = os.environ.get("EDGECAP_TEST_S3_ACCESS_KEY", "")
SECRET_KEY = os.environ.get("EDGECAP_TEST_S3_SECRET_KEY", "")


def conf(bucket=BUCKET, directory="dir", region=REGION, endpoint=ENDPOINT):
    """A destination_conf at the private server."""
    return "s3://%s%s?region=%s&endpoint=%s" % (bucket, "/" + directory if directory else "", region, endpoint)


def entry(folder, endpoint=ENDPOINT, secret_key=SECRET_KEY, **members):
    """An entry of the operator's list, its secret in a file."""
    path = folder / ("secret-" + hashlib.sha256(secret_key.encode()).hexdigest()[:8])
    path.write_text(secret_key + "\n")
    merged = {"scheme": "s3", "endpoint": endpoint, "access_key_id": ACCESS_KEY, "private": True,
              "plaintext": True, "secret_access_key_file": str(path), **members}  # fmt: skip
    return {k: v for k, v in merged.items() if v is not None}


def bucket_api(db, folder, entries, **settings):
    path = folder / "buckets.json"
    path.write_text(json.dumps(entries))
    secret = folder / "bucket-secret"
    secret.write_text(SECRET + "\n")
    return Api(db, folder, EDGECAP_BUCKETS_FILE=str(path), EDGECAP_BUCKET_SECRET_FILE=str(secret), **settings)


def s3(method, path):
    """A signed request to the private server."""
    return S3Client(ENDPOINT, ACCESS_KEY, SECRET_KEY).request(method, path)


def read_object(key, bucket=BUCKET):
    return S3Client(ENDPOINT, ACCESS_KEY, SECRET_KEY).read(bucket, key).decode()


def token(account, bucket_id, expires, destination, secret=SECRET):
    """A challenge's content as the API makes it (api/ownership_token.h), with any expiry."""

    def mac(key, text):
        return hmac.new(key, text.encode(), "sha256").digest()

    key = mac(secret.encode(), "edgecap ownership challenge v1")
    text = "edgecap-ownership-v1.%s.%s.%d.%s" % (account, bucket_id, expires, mac(key, destination).hex()[:32])
    return text + "." + mac(mac(key, "signature"), text).hex()


def add(api, account, destination, **more):
    return api.call("POST", account.path("/ownership"), account, json={"destination_conf": destination, **more})


def prove(api, account, destination, challenge):
    return api.call("POST", account.path("/ownership/validate"), account,
                    json={"destination_conf": destination, "ownership_challenge": challenge})  # fmt: skip


def refused(answer, pointer, text):
    """400 on this field, for a reason that has this text."""
    error = failure(answer, 400, 1022, pointer)
    assert text in error["message"], error
    for secret in (SECRET_KEY, "tenant/secret", "tenant%2F", "TENANTKEY", "Signature="):
        assert secret not in answer.text
    return error["message"]


class Listener:
    """Notes who connects. answer: what everybody is sent; b"" closes at once, None keeps silent."""

    def __init__(self, answer=b""):
        self.answer = answer
        self.sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.sock.getsockname()[1]
        self.seen = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                one, peer = self.sock.accept()
            except OSError:
                return
            self.seen.append((peer, one))
            if self.answer:
                one.recv(65536)
                one.sendall(self.answer)
            if self.answer is not None:
                one.close()
