"""A tenant's side of the HTTP API, for tests."""

import secrets
import time
from pathlib import Path

import openapi_check
import requests
import secret_check

DOCUMENTED_FILTER = {
    "source_address": "1.2.3.4",
    "source_port": 123,
    "destination_address": "5.6.7.8",
    "destination_port": 80,
    "protocol": 6,
}


UNDER_WAY = ("pending", "running", "conversion_pending", "conversion_running")


def full_body(destination, colo, filter_v1=None, **limits):
    """A body of POST /pcaps for a full capture."""
    body = {"type": "full", "system": "magic-transit", "destination_conf": destination, "colo_name": colo}
    body.update({"time_limit": 300, **limits})
    if filter_v1 is not None:
        body["filter_v1"] = filter_v1
    return body


def job_body(filter_v1=None, time_limit=300, packet_limit=10000):
    """A body of POST /pcaps."""
    body = {"type": "simple", "system": "magic-transit"}
    body.update(time_limit=time_limit, packet_limit=packet_limit)
    if filter_v1 is not None:
        body["filter_v1"] = filter_v1
    return body


def request(method, url, listener="tenants", **options):
    """A request with requests; the answer is held to api/openapi.yaml."""
    return requests.request(method, url, hooks={"response": openapi_check.hook(listener)}, **options)


class Client:
    """One API process."""

    def __init__(self, base, ops):
        self.base, self.ops = base, ops

    def ready(self):
        try:
            return request("GET", self.ops + "/readyz", timeout=2, listener="ops").status_code == 200
        except requests.RequestException:
            return False

    def metrics(self):
        """What GET /metrics answers."""
        answer = request("GET", self.ops + "/metrics", timeout=10, listener="ops")
        assert answer.status_code == 200, answer.text
        return answer.text

    def tenant(self, account, lab):
        return Tenant(self, account, lab)


class Tenant:
    """One account's calls. Methods named call_... return the raw answer; the others assert success."""

    def __init__(self, client, account, lab):
        self.client, self.account, self.lab = client, account, lab
        self.headers = {"Authorization": "Bearer " + account["token"]}
        secret_check.note("token", account["token"])
        self.url = "%s/client/v4/accounts/%s/pcaps" % (client.base, account["id"])

    def at(self, client):
        """The same account at another API."""
        return Tenant(client, self.account, self.lab)

    def call(self, method, path="", timeout=30, **options):
        headers = {**self.headers, **options.pop("headers", {})}
        return request(method, self.url + path, headers=headers, timeout=timeout, **options)

    def result(self, method, path="", **options):
        """The result of a call that must succeed."""
        answer = self.call(method, path, **options)
        assert answer.status_code == 200, "%s %s: %d %s" % (
            method, path, answer.status_code, answer.text,
        )  # fmt: skip
        envelope = answer.json()
        assert envelope["success"] is True and envelope["errors"] == []
        return secret_check.note_answer(envelope["result"])

    def post(self, filter_v1=None, **limits):
        """Submit a job; its id."""
        return self.result("POST", json=job_body(filter_v1, **limits))["id"]

    def add_bucket(self, destination, read):
        """Add a bucket and prove that it is ours; read(filename) gives the content of a file in it."""
        made = self.result("POST", "/ownership", json={"destination_conf": destination})
        proof = {"destination_conf": destination, "ownership_challenge": read(made["filename"])}
        secret_check.note_answer(proof)
        seen = self.result("POST", "/ownership/validate", json=proof)
        assert seen["status"] == "success", seen
        return seen

    def post_full(self, destination, colo, filter_v1=None, **limits):
        """Submit a full capture; its id."""
        return self.result("POST", json=full_body(destination, colo, filter_v1, **limits))["id"]

    def get(self, job):
        return self.result("GET", "/" + job)

    def patient_get(self, job):
        """GET that survives an API or database that is away for the moment: None then."""
        try:
            answer = self.call("GET", "/" + job, timeout=5)
        except requests.RequestException:
            return None
        if answer.status_code == 503:
            assert answer.headers["Retry-After"].isdigit()
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def stop(self, job):
        answer = self.call("PUT", "/%s/stop" % job)
        assert answer.status_code == 204 and answer.content == b"", answer.text

    def delete(self, job):
        answer = self.call("DELETE", "/" + job)
        assert answer.status_code == 204 and answer.content == b"", answer.text

    def await_job(self, job, seconds, condition, what):
        """Poll until condition(job object); the object."""
        end, seen = time.monotonic() + seconds, None
        while time.monotonic() < end:
            seen = self.patient_get(job) or seen
            if seen and condition(seen):
                return seen
            time.sleep(0.1)
        raise AssertionError("job %s not %s within %g s: %s" % (job, what, seconds, seen))

    def await_running(self, job, hosts=None, seconds=20):
        """Until all (or that many) hosts capture."""
        def running(seen):
            counts = seen["samplers"]
            assert seen["status"] in ("pending", "running"), seen
            return counts["running"] >= (hosts if hosts is not None else counts["total"])

        return self.await_job(job, seconds, running, "running")

    def wait(self, job, seconds=60, expect=None):
        """Until the job has ended; checks its ledger; the job object."""
        seen = self.await_job(job, seconds, lambda j: j["status"] not in UNDER_WAY, "ended")
        if expect:
            assert seen["status"] == expect, seen
        self.lab.check_job(self.account, job, self)
        return seen

    def download(self, job, form="pcap"):
        """The file, in the lab's folder; its path."""
        answer = self.call("GET", "/%s/download" % job, params={} if form == "pcap" else {"format": form})
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        path = Path(self.lab.dir) / ("%s.%s.%s" % (job, secrets.token_hex(2), form))
        path.write_bytes(answer.content)
        return path
