"""The published `cloudflare` SDK for Node.js, unmodified, with nothing but its base URL changed: the current version and the oldest."""

import re
import secrets
import subprocess
import time

import pytest
from deaf_proxy import DeafProxy
from edgecap_client import UNDER_WAY, full_body, job_body
from edgecap_lab import TOP, await_true
from numbered import check_all, check_whole, numbers
from pcap_read import read_pcap
from sdk import Project, Sdk, SdkError

UDP = {"source_address": "1.2.3.4", "destination_address": "5.6.7.8", "protocol": 17}
KEY = {"headers": {"Idempotency-Key": "night watch 1"}}
NOBODY = "0123456789abcdef0123456789abcdef"
PCAPS = "cloudflare/resources/magic-transit/pcaps"
JOB = "Declared.PCAP & Declared.PCAPGetResponse.MagicVisibilityPCAPsPCAPsResponseFull"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def connect(lab, project):
    """Makes clients: connect(tenant, version, **options of the SDK's client)."""
    made = []

    def make(tenant, version="current", port=None, **options):
        base = "http://127.0.0.1:%d" % port if port else tenant.client.base
        options = {"apiToken": tenant.account["token"], "baseURL": base + "/client/v4", **options}
        made.append(Sdk(project, version, tenant.account["id"], **options))
        return made[-1]

    yield make
    for sdk in made:
        sdk.close()


def email_and_key(lab, tenant):
    email = "%s@example.net" % secrets.token_hex(4)
    made = lab.admin("user", "create", "--email", email, "--account", tenant.account["id"], "--role", "admin")
    return {"apiToken": None, "apiEmail": email, "apiKey": made["key"]}


def thrown(name, status, code, sdk, *words, **params):
    """The call throws this class, with errors as the API sent them; the SdkError."""
    with pytest.raises(SdkError) as caught:
        sdk.call(*words, **params)
    error = caught.value
    assert (error.name, error.status) == (name, status), error
    assert error.errors and {item["code"] for item in error.errors} == {code}, error.errors
    return error


def check_asked(lab, route, count):
    """The API has answered so many requests there, by its log, in which an answered one may be missing for a moment."""
    def answered():
        return len(re.findall(" event=request .*route=%s " % re.escape(route), lab.apis[0].log_text()))

    await_true("%d requests" % count, 5, lambda: answered() >= count)
    assert answered() == count


def curl(tenant, path, file):
    header = "Authorization: Bearer " + tenant.account["token"]
    subprocess.run(["curl", "-sS", "--fail", "-H", header, "-o", file, tenant.url + path], check=True)
    return file.read_bytes()


@pytest.mark.lab(edges=3)
@pytest.mark.parametrize("version", ["current", "old"])
def test_a_job_until_its_file(lab, project, connect, version):
    """create, get until success, list, download: what was sent is in the file, and curl gets the same."""
    tenant = lab.tenant()
    sdk = connect(tenant, version)
    created = sdk.call("create", **job_body(UDP, packet_limit=300))
    job = created["id"]
    assert created["status"] == "pending" and created["filter_v1"] == UDP, created
    tenant.await_running(job, hosts=3)
    sent = lab.packets([{"edge": i, "rate_per_s": 200, "count": 100} for i in (1, 2, 3)]).finish()

    def ended():
        seen = sdk.call("get", job)
        return seen if seen["status"] != "pending" else None

    seen = await_true("the job ends", 30, ended)
    assert seen["status"] == "success" and seen["packets_captured"] == 300, seen
    listed = sdk.call("list")
    assert listed == [seen]
    path = sdk.download(job)
    check_all(numbers(path), sent)
    check_all(numbers(sdk.download(job, "pcapng")), sent)
    assert path.read_bytes() == curl(tenant, "/%s/download" % job, project.folder / "curl.pcap")
    if version == "current":
        project.check_types(PCAPS, [(JOB, created), (JOB, seen)])


@pytest.mark.lab(edges=2)
def test_a_running_job_is_stopped(lab, project, connect):
    """stop gives nothing, on an ended job as well; with an e-mail address and a key."""
    tenant = lab.tenant()
    sdk = connect(tenant, **email_and_key(lab, tenant))
    job = sdk.call("create", **job_body(UDP))["id"]
    tenant.await_running(job, hosts=2)
    sent = lab.packets([{"edge": i, "rate_per_s": 100, "count": 50} for i in (1, 2)]).finish()
    time.sleep(0.2)  # the hosts have seen the last one
    assert sdk.call("stop", job) is None
    stopping = sdk.call("get", job)
    assert stopping["stop_requested"] > stopping["submitted"], stopping
    tenant.wait(job, 30, expect="success")
    assert sdk.call("stop", job) is None
    check_all(numbers(sdk.download(job)), sent)
    project.check_types(PCAPS, [(JOB, stopping), (JOB, sdk.call("get", job))])


@pytest.mark.lab(edges=0, buckets=True)
@pytest.mark.parametrize("version", ["current", "old"])
def test_a_bucket_from_challenge_to_removal(lab, project, connect, version):
    """The four ownership calls; the challenge is read from the bucket by somebody else's client."""
    sdk = connect(lab.tenant(), version)
    destination = {"destination_conf": lab.destination("captures")}
    added = sdk.call("ownership.create", **destination)
    assert added["status"] == "pending" and added["destination_conf"] == destination["destination_conf"]
    assert sdk.call("ownership.get") == [added]
    name = {"ownership_challenge": added["filename"]}
    refused = thrown("BadRequestError", 400, 1022, sdk, "ownership.validate", **destination, **name)
    assert "name of the challenge's file" in refused.errors[0]["message"]
    content = {"ownership_challenge": lab.s3.read("captures/" + added["filename"]).decode()}
    proved = sdk.call("ownership.validate", **destination, **content)
    assert (proved["id"], proved["status"]) == (added["id"], "success"), proved
    listed = sdk.call("ownership.get")
    assert listed == [proved]
    if version == "current":
        ownership = [("Declared.Ownership", added), ("Declared.Ownership", proved)]
        project.check_types(PCAPS + "/ownership", ownership)
    assert sdk.call("ownership.delete", proved["id"]) is None
    assert sdk.call("ownership.get") == []
    thrown("NotFoundError", 404, 1404, sdk, "ownership.delete", proved["id"])


@pytest.mark.lab(edges=1)
@pytest.mark.parametrize("version", ["current", "old"])
def test_errors_are_the_sdks_own(lab, connect, version):
    """Each status is thrown as its class, after one request, with what the API says about it."""
    tenant = lab.tenant(interval="60s")
    sdk = connect(tenant, version)
    wrong = job_body({"source_port": 65536}, packet_limit=10001)
    error = thrown("BadRequestError", 400, 1022, sdk, "create", **wrong)
    pointers = {item["source"]["pointer"] for item in error.errors}
    assert pointers == {"/filter_v1/source_port", "/packet_limit"}, error.errors
    thrown("AuthenticationError", 401, 10000, connect(tenant, version, apiToken="0" * 40), "list")
    if version == "current":  # the old one does not even send it
        thrown("BadRequestError", 400, 9106, connect(tenant, version, apiToken=None), "list")
    foreign = lab.tenant()
    foreign.account = {**foreign.account, "id": tenant.account["id"]}
    thrown("PermissionDeniedError", 403, 10001, connect(foreign, version), "list")
    thrown("NotFoundError", 404, 1404, sdk, "get", NOBODY)
    check_asked(lab, "pcaps.submit", 1)
    check_asked(lab, "pcaps.get", 1)
    check_asked(lab, "pcaps.list", 3 if version == "current" else 2)

    job = sdk.call("create", None, **job_body(UDP), options=KEY)["id"]
    thrown("ConflictError", 409, 1409, sdk, "download", job, file="/dev/null")
    check_asked(lab, "pcaps.download", 1)
    error = thrown("RateLimitError", 429, 1429, sdk, "create", **job_body(UDP))
    assert 0 < int(error.headers["retry-after"]) <= 60
    body = job_body(UDP, time_limit=1)
    thrown("UnprocessableEntityError", 422, 1422, sdk, "create", options=KEY, **body)
    check_asked(lab, "pcaps.submit", 4)
    tenant.stop(job)
    tenant.wait(job, 30, expect="success")
    assert "no packet matched" in sdk.call("answer", job)["messages"][0]["message"]


@pytest.mark.lab(edges=0)
@pytest.mark.parametrize("version", ["current", "old"])
def test_an_answer_is_lost(lab, connect, version):
    """The SDK repeats the POST by itself. With an Idempotency-Key this is one job."""
    tenant = lab.tenant()
    proxy = DeafProxy(int(tenant.client.base.rsplit(":", 1)[1]))
    sdk = connect(tenant, version, port=proxy.port)
    job = sdk.call("create", options=KEY, **job_body(UDP, time_limit=1))["id"]
    check_asked(lab, "pcaps.submit", 2)
    assert [seen["id"] for seen in sdk.call("list")] == [job]
    proxy.close()


@pytest.mark.lab(edges=0)
@pytest.mark.parametrize("version", ["current", "old"])
def test_an_answer_is_lost_without_a_key(lab, connect, version):
    """Its own option sends no key: the repeated POST is a request of its own, for which the first has used the slot."""
    tenant = lab.tenant(interval="60s")
    proxy = DeafProxy(int(tenant.client.base.rsplit(":", 1)[1]))
    sdk = connect(tenant, version, port=proxy.port)
    option = {"idempotencyKey": "night watch 1"}
    thrown("RateLimitError", 429, 1429, sdk, "create", options=option, **job_body(UDP, time_limit=1))
    check_asked(lab, "pcaps.submit", 2)
    assert len(sdk.call("list")) == 1
    proxy.deaf = 1
    hasty = connect(lab.tenant(), version, port=proxy.port)  # has no interval
    job = hasty.call("create", **job_body(UDP, time_limit=1))["id"]
    listed = [seen["id"] for seen in hasty.call("list")]
    assert len(listed) == 2 and listed[0] == job
    proxy.close()


@pytest.mark.lab(edges=0)
def test_more_jobs_than_a_page(lab, connect):
    """To the SDK a list is a single page: the newest 50, and the others when they are asked for."""
    tenant = lab.tenant(running_max=100)
    sdk = connect(tenant)
    jobs = [tenant.post(UDP, time_limit=1) for _ in range(52)]
    assert [seen["id"] for seen in sdk.call("list")] == jobs[:1:-1]
    rest = sdk.call("list", options={"query": {"page": 2}})
    assert [seen["id"] for seen in rest] == jobs[1::-1]


@pytest.mark.lab(edges=0)
def test_the_database_is_away(lab, connect):
    """503 is tried again after the time that the API asks for, and thrown in the end."""
    sdk = connect(lab.tenant())
    lab.database_kill()
    thrown("InternalServerError", 503, 1503, sdk, "list")
    check_asked(lab, "pcaps.list", 3)
    lab.database_start()
    await_true("the API is ready", 20, lab.clients[0].ready)
    assert sdk.call("list") == []


@pytest.mark.lab(edges=2)
def test_the_documented_programs(lab, project):
    """The programs of docs/sdk.md, as they stand there."""
    lab.traffic()
    tenant = lab.tenant()
    url, token = tenant.client.base + "/client/v4", tenant.account["token"]
    text = (TOP / "docs/sdk.md").read_text()
    programs = [re.sub("^    ", "", p, flags=re.M) for p in re.findall(r"(?:^(?:    .*)?\n)+", text, re.M) if p.strip()]
    env = {"EDGECAP_URL": url, "EDGECAP_TOKEN": token, "EDGECAP_ACCOUNT": tenant.account["id"]}
    job, status, packets = project.run(programs[0], env).split()
    assert status == "success" and int(packets) > 0
    tenant.wait(job, 1)
    assert len(read_pcap(project.folder / "download.pcap")[0]) == int(packets)
    env = {"CLOUDFLARE_BASE_URL": url, "CLOUDFLARE_API_TOKEN": token, "EDGECAP_ACCOUNT": tenant.account["id"]}
    assert project.run(programs[1], env).split() == [job, "success"]
    assert len(programs) == 2


@pytest.mark.lab(edges=3, buckets=True)
@pytest.mark.parametrize("version", ["current", "old"])
def test_a_full_capture_into_a_bucket(lab, project, connect, version):
    """From the proof of the bucket to the file in it: whole packets of the metro's two hosts, and nothing to download."""
    tenant = lab.tenant()
    sdk = connect(tenant, version)
    lab.s3.make_bucket("tenant-bucket")
    bucket = {"destination_conf": lab.destination("dir", "tenant-bucket")}
    added = sdk.call("ownership.create", **bucket)
    thrown("BadRequestError", 400, 1022, sdk, "create", **full_body(bucket["destination_conf"], "ORD"))
    challenge = lab.s3.read("dir/" + added["filename"], "tenant-bucket").decode()
    assert sdk.call("ownership.validate", ownership_challenge=challenge, **bucket)["status"] == "success"

    limits = {"time_limit": 300, "packet_limit": 800, "byte_limit": 10**8}
    created = sdk.call("create", **full_body(bucket["destination_conf"], "ORD", UDP, **limits))
    job = created["id"]
    asked_for = {"type": "full", "colo_name": "ORD", "status": "pending", **bucket, **limits}
    assert asked_for.items() <= created.items(), created
    tenant.await_running(job, hosts=2)
    running = sdk.call("get", job)
    assert running["status"] == "running", running
    thrown("ConflictError", 409, 1409, sdk, "download", job, file="/dev/null")
    thrown("ConflictError", 409, 1409, sdk, "ownership.delete", added["id"])
    thrown("RateLimitError", 429, 1429, sdk, "create", **full_body(bucket["destination_conf"], "ams01"))
    count = 200 if version == "current" else 400  # the old one cannot stop it: it ends at its packet limit
    source = lab.packets([{"edge": i, "rate_per_s": 200, "count": count, "bytes": 1400} for i in (1, 2)])
    source.finish()
    if version == "current":
        time.sleep(0.2)  # the hosts have seen the last packet
        assert sdk.call("stop", job) is None
    seen = [created, running, sdk.call("get", job)]
    end = time.monotonic() + 30
    while seen[-1]["status"] in UNDER_WAY and time.monotonic() < end:
        seen.append(sdk.call("get", job))
    steps = [UNDER_WAY.index(one["status"]) for one in seen[:-1]]
    assert steps == sorted(steps) and seen[-1]["status"] == "success", seen
    assert seen[-1]["packets_captured"] == 2 * count, seen[-1]
    check_whole(lab.s3.read("dir/pcap_%s.pcap" % job, "tenant-bucket"), source)
    thrown("ConflictError", 409, 1409, sdk, "download", job, file="/dev/null")
    assert sdk.call("list") == seen[-1:]
    if version == "current":
        project.check_types(PCAPS, [(JOB, one) for one in seen])
    assert sdk.call("ownership.delete", added["id"]) is None
