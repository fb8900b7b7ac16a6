"""Every operation of the tenants' API with what it needs, for the matrix of who may do what to whom.

An Operation is one of api/openapi.yaml. `make` gives what a call of it in an account needs that succeeds: the id in its path (None where it
has none) and its body. What a call uses up is made anew each time.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Callable

import yaml
from api_rig import body, finished_job
from bucket_rig import conf, read_object
from contract import result
from openapi_check import DOCUMENT

METHODS = ("get", "put", "post", "delete")


@dataclass
class Operation:
    id: str
    method: str
    tail: str  # behind the account; %s is the object's id
    permission: str
    status: int
    make: Callable
    changes: bool = False  # or only reads

    @property
    def has_object(self):
        return "%s" in self.tail


class Maker:
    """What there is in an account to be asked for."""

    def __init__(self, api, account):
        self.api, self.account = api, account
        self.done = finished_job(api, account, b"payload of " + account.name.encode())
        self.kept = self.submit()
        self.bucket = self.add_bucket()["id"]
        self.admin = {"Authorization": "Bearer " + account.new_token("admin")}
        self.token = self.add_token()

    def submit(self):
        return result(self.api.call("POST", self.account.path(), self.account, json=body()))["id"]

    def add_token(self):
        answer = self.api.call("POST", self.account.tokens_path(), None, self.admin, json=token_body())
        return result(answer)["id"]

    def add_bucket(self):
        destination = conf(directory="matrix-" + secrets.token_hex(6))
        made = result(self.api.call("POST", self.account.path("/ownership"), self.account, json={"destination_conf": destination}))
        return {**made, "asked": destination}

    def challenge(self):
        made = self.add_bucket()
        content = read_object(made["asked"].split("?")[0].split("/", 3)[3] + "/" + made["filename"].rsplit("/", 1)[-1])
        return {"destination_conf": made["asked"], "ownership_challenge": content}


def token_body():
    """Of a token that any admin may create: it may do no more than the narrowest of them."""
    return {"name": "matrix-" + secrets.token_hex(6), "permissions": ["admin"]}


def nothing(_):
    return None, None


OPERATIONS = [
    Operation("listPcaps", "GET", "/pcaps", "read", 200, nothing),
    Operation("submitPcap", "POST", "/pcaps", "collect", 200, lambda m: (None, body()), changes=True),
    Operation("getPcapLimits", "GET", "/pcaps/limits", "read", 200, nothing),
    Operation("listOwnership", "GET", "/pcaps/ownership", "read", 200, nothing),
    Operation("createOwnership", "POST", "/pcaps/ownership", "collect", 200,
              lambda m: (None, {"destination_conf": conf(directory="new-" + secrets.token_hex(6))}), changes=True),
    Operation("validateOwnership", "POST", "/pcaps/ownership/validate", "collect", 200,
              lambda m: (None, m.challenge()), changes=True),
    Operation("deleteOwnership", "DELETE", "/pcaps/ownership/%s", "collect", 204,
              lambda m: (m.add_bucket()["id"], None), changes=True),
    Operation("getPcap", "GET", "/pcaps/%s", "read", 200, lambda m: (m.kept, None)),
    Operation("downloadPcap", "GET", "/pcaps/%s/download", "download", 200, lambda m: (m.done, None)),
    Operation("listTokens", "GET", "/tokens", "admin", 200, nothing),
    Operation("createToken", "POST", "/tokens", "admin", 200, lambda m: (None, token_body()), changes=True),
    Operation("getToken", "GET", "/tokens/%s", "admin", 200, lambda m: (m.token, None)),
    Operation("revokeToken", "DELETE", "/tokens/%s", "admin", 200, lambda m: (m.add_token(), None), changes=True),
    Operation("rollToken", "PUT", "/tokens/%s/value", "admin", 200, lambda m: (m.add_token(), None), changes=True),
    Operation("deletePcap", "DELETE", "/pcaps/%s", "collect", 204,
              lambda m: (finished_job(m.api, m.account, b"to be deleted, by " + m.account.name.encode()), None), changes=True),
    Operation("listAudit", "GET", "/audit", "admin", 200, nothing),
    Operation("stopPcap", "PUT", "/pcaps/%s/stop", "collect", 204, lambda m: (m.submit(), None), changes=True),
]  # fmt: skip


def documented():
    """{operationId: (method, path)} of all that the document says of the tenants' listener and accounts."""
    document = yaml.safe_load(DOCUMENT.read_text())
    found = {}
    for path, item in document["paths"].items():
        if "{account_id}" not in path:
            continue
        for method in METHODS:
            if method in item:
                found[item[method]["operationId"]] = (method.upper(), path)
    return found


def kept_object(operation, maker):
    """An object of the kind that the operation is about, which stays."""
    if operation.tail.startswith("/pcaps/ownership"):
        return maker.bucket
    if operation.tail.startswith("/tokens"):
        return maker.token
    return maker.done if operation.id == "downloadPcap" else maker.kept


def send(api, operation, account_id, object_id, headers, data):
    """The call, with any account, object and credential."""
    tail = operation.tail % object_id if operation.has_object else operation.tail
    options = {"data": json.dumps(data)} if data is not None else {}
    return api.call(operation.method, "/client/v4/accounts/%s%s" % (account_id, tail), None, headers, **options)
