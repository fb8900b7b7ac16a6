"""Holds answers against api/openapi.yaml and the contract's envelope."""

import json
import re
from pathlib import Path

import jsonschema
import yaml

DOCUMENT = yaml.safe_load((Path(__file__).resolve().parents[3] / "api/openapi.yaml").read_text())
RESOLVER = jsonschema.RefResolver("", DOCUMENT)
CODES = {
    400: (1022, 6003, 9106), 401: (10000,), 403: (10001,), 404: (1404, 7003), 405: (10405,),
    409: (1409,), 410: (1410,), 413: (1413,), 416: (1416,), 422: (1422,), 429: (1429,),
    500: (1500,), 503: (1503,),
}  # fmt: skip


def validate(value, schema):
    jsonschema.Draft202012Validator(schema, resolver=RESOLVER).validate(value)


def resolve(node):
    while "$ref" in node:
        node = RESOLVER.resolve(node["$ref"])[1]
    return node


def operation(method, path):
    """What the document says of a method and a path; None when it is no operation."""
    path = path.partition("?")[0].removeprefix("/client/v4")
    method = "get" if method == "HEAD" else method.lower()
    for pattern, item in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[0-9a-f]{32}", pattern), path) and method in item:
            return item[method]
    return None


def check_headers(status, headers):
    """Headers that every answer of this status has."""
    lower = {k.lower(): v for k, v in headers.items()}
    assert re.fullmatch(r"[0-9a-f]{32}", lower["x-request-id"])
    assert ("retry-after" in lower) == (status in (429, 503)), lower
    if status in (429, 503):
        assert int(lower["retry-after"]) >= 1
    assert lower.get("x-should-retry") == ("false" if status in (409, 429) else None)
    assert ("allow" in lower) == (status == 405)
    assert "server" not in lower
    if status in (204, 304):
        assert "content-length" not in lower
    return lower


def check_failure(status, headers, body, code=None, pointer=None):
    """An error answer: envelope, code of its status, headers. Returns its first error."""
    assert status >= 400, (status, body)
    lower = check_headers(status, headers)
    assert lower["content-type"] == "application/json"
    envelope = json.loads(body)
    validate(envelope, {"$ref": "#/components/schemas/Failure"})
    for error in envelope["errors"]:
        assert error["code"] in CODES[status], (status, error)
    if code is not None:
        assert envelope["errors"][0]["code"] == code, envelope
    if pointer is not None:
        assert envelope["errors"][0].get("source", {}).get("pointer", "") == pointer, envelope
    return envelope["errors"][0]


def check(answer, method=None, path=None):
    """A requests' answer against the document; returns its parsed body, None without one."""
    method = method or answer.request.method
    path = path or answer.request.path_url
    lower = check_headers(answer.status_code, answer.headers)
    if answer.status_code >= 400 and method != "HEAD":
        check_failure(answer.status_code, answer.headers, answer.content)
    said = operation(method, path)
    if said is None or answer.status_code == 405:
        return answer.json() if answer.content else None
    assert str(answer.status_code) in said["responses"], "%s %s gives %d, which is not described" % (
        method, path, answer.status_code,
    )  # fmt: skip
    response = resolve(said["responses"][str(answer.status_code)])
    for name, header in response.get("headers", {}).items():
        header = resolve(header)
        if not header.get("required"):
            continue
        assert name.lower() in lower, "no header " + name
        validate(lower[name.lower()], header["schema"])
    content = response.get("content", {})
    if method == "HEAD" or not content:
        assert answer.content == b""
        return None
    kind = lower["content-type"]
    assert kind in content, kind
    if kind != "application/json":
        return answer.content
    value = answer.json()
    validate(value, content[kind]["schema"])
    return value


def result(answer):
    """The result of a call that must succeed, after check."""
    assert answer.status_code == 200, answer.text
    return check(answer)["result"]


def failure(answer, status, code=None, pointer=None):
    """An answer that must fail like this, after check. Returns its first error."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    check(answer)
    if answer.request.method == "HEAD":
        return None
    return check_failure(answer.status_code, answer.headers, answer.content, code, pointer)
