"""The job of the public documentation, by curl as the documentation has it, from POST to the file."""

import json
import subprocess

import openapi_curl
import pytest
from pcap_read import parse, read_pcap

FILTER = "src host 1.2.3.4 and src port 123 and dst host 5.6.7.8 and dst port 80 and tcp"

POST = """curl -X POST ${base}/accounts/${account_id}/pcaps \\
--header 'Content-Type: application/json' \\
--header "X-Auth-Email: ${email}" \\
--header "X-Auth-Key: ${key}" \\
--data '{
        "filter_v1": {
               "source_address": "1.2.3.4",
               "source_port": 123,
               "destination_address": "5.6.7.8",
               "destination_port": 80,
               "protocol": 6
        },
        "time_limit": 300,
        "packet_limit": 10000,
        "type": "simple",
        "system": "magic-transit"
}'"""
WHO = """ \\
--header 'Content-Type: application/json' \\
--header "X-Auth-Email: ${email}" \\
--header "X-Auth-Key: ${key}\""""
GET = "curl -X GET ${base}/accounts/${account_id}/pcaps/${pcap_id}" + WHO
DOWNLOAD = (
    "curl -X GET ${base}/accounts/${account_id}/pcaps/${pcap_id}/download" + WHO
    + " \\\n--output download.pcap"
)  # fmt: skip
LIST = "curl -X GET ${base}/accounts/${account_id}/pcaps" + WHO


class Shell:
    """A tenant's shell with the documentation's variables."""

    def __init__(self, folder, **variables):
        self.folder, self.variables = folder, variables

    def run(self, line):
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", **openapi_curl.environment(self.folder), **self.variables},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        openapi_curl.check(self.folder, None if "--output" in line else done.stdout, done.stderr)
        return done.stdout

    def json(self, line):
        answer = json.loads(self.run(line))
        assert set(answer) >= {"result", "success", "errors", "messages"}, answer
        assert answer["success"] is True and answer["errors"] == [], answer
        return answer["result"]


def user_of(lab, account):
    made = lab.admin("user", "create", "--email", "ops@example.net", "--account", account["id"], "--role", "admin")
    return {"email": "ops@example.net", "key": made["key"]}


def test_documented_lines(lab, tmp_path):
    """Number 1 of what must be shown: the documented body and calls, verbatim, on real traffic."""
    lab.traffic()
    account = lab.account()
    tenant = lab.clients[0].tenant(account, lab)
    shell = Shell(
        tmp_path, base=lab.clients[0].base + "/client/v4", account_id=account["id"], **user_of(lab, account)
    )
    job = shell.json(POST)
    assert job["status"] == "pending" and job["time_limit"] == 300 and job["packet_limit"] == 10000
    assert job["filter_v1"]["source_address"] == "1.2.3.4"
    shell.variables["pcap_id"] = job["id"]
    assert shell.json(GET)["id"] == job["id"]
    tenant.wait(job["id"], 120, expect="success")
    job = shell.json(GET)
    assert job["status"] == "success" and job["packets_captured"] == 10000
    assert job["stop_reason"]["code"] == "packet_limit"
    assert [j["id"] for j in shell.json(LIST)] == [job["id"]]
    shell.run(DOWNLOAD)
    check_file(tmp_path / "download.pcap", 10000)
    hosts = lab.sql_json("SELECT packets_stored FROM pcap_parts")
    assert len(hosts) == 3 and all(host["packets_stored"] > 0 for host in hosts)


def tool(*words):
    """Run a tool that reads captures: it must not complain; its stdout."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    complaints = [
        line for line in done.stderr.splitlines()
        if not line.startswith(("reading from file", "Running as user"))
    ]  # fmt: skip
    assert complaints == [], complaints
    return done.stdout


def check_file(path, count):
    assert tool("tcpdump", "-n", "-r", path, "not (%s)" % FILTER) == ""
    assert len(tool("tcpdump", "-n", "-r", path).splitlines()) == count
    fields = tool("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.time_delta", "-e", "frame.cap_len")
    rows = [line.split("\t") for line in fields.splitlines()]
    assert len(rows) == count
    assert all(float(delta) >= 0 for delta, _ in rows), "packets out of order"
    assert max(int(length) for _, length in rows) == 160, "cut to 160 bytes"
    tool("tshark", "-n", "-r", path, "-V", "-c", "200")
    info = tool("capinfos", "-M", path)
    assert "Strict time order:   True" in info and "Ethernet" in info, info
    packets, link_type = read_pcap(path)
    flows = {parse(packet.data, link_type).source for packet in packets}
    assert flows == {"1.2.3.4"}


@pytest.mark.lab(edges=2)
def test_pcapng_has_every_host(lab):
    """The pcapng file: one interface per host with its statistics, read without a warning."""
    lab.traffic()
    tenant = lab.tenant()
    job = tenant.post({"destination_address": "5.6.7.0/24"}, time_limit=2)
    tenant.wait(job, 60, expect="success")
    path = tenant.download(job, "pcapng")
    rows = tool("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.interface_name").split()
    assert len(set(rows)) == 2 and all(name.startswith("edge-") for name in rows), set(rows)
    assert "Strict time order:   True" in tool("capinfos", "-M", path)
    shown = tool("python3", lab_figures(), path)
    assert "edge-1" in shown and "edge-2" in shown, shown


def lab_figures():
    from edgecap_lab import TOP

    return TOP / "deploy/lab/figures"
