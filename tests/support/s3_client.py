"""An S3 client for tests that is independent of the code under test: one signed request, nothing more."""

import hashlib
import hmac
import time
import urllib.parse

import requests

REGION = "us-east-1"


class S3Client:
    """Signs with AWS Signature Version 4. Paths begin with the bucket: /bucket/key?query."""

    def __init__(self, endpoint, access_key, secret_key):
        self.endpoint, self.access_key, self.secret_key = endpoint, access_key, secret_key
        self.clock_s = 0  # how far ahead this client's clock is

    def request(self, method, path, body=b""):
        """A signed request; the answer."""
        host = urllib.parse.urlsplit(self.endpoint).netloc
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.clock_s))
        path, _, query = path.partition("?")
        scope = "%s/%s/s3/aws4_request" % (now[:8], REGION)
        signed = "host;x-amz-content-sha256;x-amz-date"
        digest = hashlib.sha256(body).hexdigest()
        lines = "host:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n" % (host, digest, now)
        text = "\n".join((method, path, query, lines, signed, digest))
        text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256(text.encode()).hexdigest()))
        key = ("AWS4" + self.secret_key).encode()
        for part in scope.split("/") + [text]:
            key = hmac.new(key, part.encode(), "sha256").digest()
        headers = {
            "x-amz-content-sha256": digest, "x-amz-date": now,
            "Authorization": "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"
            % (self.access_key, scope, signed, key.hex()),
        }  # fmt: skip
        url = self.endpoint + path + ("?" + query if query else "")
        return requests.request(method, url, headers=headers, data=body, timeout=30)

    def read(self, bucket, key):
        """An object that must be there; its bytes."""
        answer = self.request("GET", "/%s/%s" % (bucket, key))
        assert answer.status_code == 200, answer.text
        return answer.content
