#!/usr/bin/python3
"""Holds answers of the API against api/openapi.yaml, for tests; and tells which answers no test has seen.

check() wants what the document says of an operation and status: known, its headers (those that are required, and no others), its
content type, its body. What is no operation must be as `x-unmatched-requests` has it. hook() is for requests, so that nobody needs to
remember. A Mismatch fails the test; those of other threads and those that were caught are left in `mismatches` (fixture below).

With EDGECAP_OPENAPI_SEEN=FILE each (operation, status) is noted there; then `openapi_check.py FILE` prints the rest.
"""

import functools
import json
import os
import re
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

DOCUMENT = Path(__file__).resolve().parents[2] / "api/openapi.yaml"
METHODS = ("get", "put", "post", "delete")
# Of HTTP itself: any answer may have them.
TRANSPORT = {"date", "connection", "content-length", "content-type"}
# What the proxy of deploy/nginx adds to every answer, all of it or nothing.
PROXY = {"server", "strict-transport-security", "x-content-type-options"}
EXCERPT_CHARS = 300
ERRORS_SHOWN = 3
mismatches = []


class Mismatch(AssertionError):
    """An answer that is not as the document has it."""


class Header:
    def __init__(self, said):
        self.required = said.get("required", False)
        self.codes = said.get("x-with-codes")
        self.validator = jsonschema.Draft202012Validator(said["schema"])


class Response:
    """What the document says of one status of an operation."""

    def __init__(self, said):
        self.headers = {name.lower(): Header(header) for name, header in said.get("headers", {}).items()}
        self.content = {
            kind: jsonschema.Draft202012Validator(media["schema"]) for kind, media in said.get("content", {}).items()
        }

    def problems(self, answer):
        yield from self.header_problems(answer)
        kind = answer.headers.get("content-type")
        if not self.content:
            if kind is not None or "content-length" in answer.headers or answer.body:
                yield "", "a body, or headers of one", (kind, answer.body)
        elif kind not in self.content:
            yield "header content-type", "is none of %s" % sorted(self.content), kind
        elif answer.head:
            if answer.body:
                yield "", "a body in answer to HEAD", answer.body
        elif answer.body is not None:
            yield from self.body_problems(answer, kind)

    def header_problems(self, answer):
        for name, header in self.headers.items():
            value = answer.headers.get(name)
            if value is None:
                if header.required or (header.codes and answer.code in header.codes):
                    yield "header " + name, "is missing", sorted(answer.headers)
                continue
            for error in header.validator.iter_errors(value):
                yield "header " + name, error.message, value
        others = answer.headers.keys() - self.headers.keys() - TRANSPORT
        if PROXY <= others:
            others -= PROXY
        for name in others:
            yield "header " + name, "is not documented for this status", answer.headers[name]

    def body_problems(self, answer, kind):
        if kind != "application/json":
            if kind.startswith("text/"):
                yield from self.value_problems(kind, answer.body.decode())
            return
        if answer.headers.get("content-length") != str(len(answer.body)):
            yield "header content-length", "is not the body's length %d" % len(answer.body), answer.headers.get("content-length")
        if answer.value is None:
            yield "body", "is no JSON text", answer.body
        else:
            yield from self.value_problems(kind, answer.value)

    def value_problems(self, kind, value):
        for error in self.content[kind].iter_errors(value):
            pointer = "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in error.absolute_path)
            yield "body " + (pointer or '""'), error.message, error.instance


class Answer:
    """What came back."""

    def __init__(self, method, status, headers, body):
        self.head, self.status, self.body = method == "HEAD", status, body
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.value = read_json(body) if body and self.headers.get("content-type") == "application/json" else None
        errors = self.value.get("errors") if isinstance(self.value, dict) else None
        first = errors[0] if isinstance(errors, list) and errors else None
        self.code = first.get("code") if isinstance(first, dict) else None


def read_json(body):
    """The value of a JSON text as strict as RFC 8259 has it; None when it is none."""

    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member occurs twice")
        return dict(pairs)

    def constant(name):
        raise ValueError(name)

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=members, parse_constant=constant)
    except ValueError:
        return None


class Operation:
    def __init__(self, name, responses):
        self.name, self.said = name, responses
        self.responses = {}

    def response(self, status):
        """What is said of a status, compiled when it is first seen; None when nothing is said."""
        if status not in self.responses:
            said = self.said.get(str(status))
            self.responses[status] = Response(said) if said else None
        return self.responses[status]


class Place:
    """A path of the document, with its operations by method."""

    def __init__(self, path, item):
        base = "" if item.get("servers") else "/client/v4"
        schemas = {p["name"]: (p, p["schema"].get("pattern", "^[^/]+$")) for p in item.get("parameters", [])}
        self.template, self.listeners = base + path, item["x-listeners"]
        self.fixed = -path.count("{")
        strict, loose = re.escape(base + path), re.escape(base + path)
        for name, (parameter, pattern) in schemas.items():
            field = re.escape("{%s}" % name)
            strict = strict.replace(field, ".+" if parameter.get("x-rest") else pattern.strip("^$"))
            loose = loose.replace(field, ".+" if parameter.get("x-rest") else "[^/]+")
        self.strict, self.loose = re.compile(strict, re.S), re.compile(loose, re.S)
        self.operations = {m.upper(): Operation(item[m]["operationId"], item[m]["responses"]) for m in METHODS if m in item}

    def allow(self):
        """Methods of an Allow header."""
        return set(self.operations) | ({"HEAD"} if "GET" in self.operations else set())

    def find(self, method):
        return self.operations.get("GET" if method == "HEAD" else method)


def inline(node, document, done):
    """node with what its references mean in their places, so that validators need not resolve any."""
    if isinstance(node, list):
        return [inline(one, document, done) for one in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference not in done:
            target = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]
            done[reference] = inline(target, document, done)
        return done[reference]
    kept = {key: inline(value, document, done) for key, value in node.items() if key not in ("example", "examples")}
    if "discriminator" in kept:
        return choose(kept, document, done)
    return kept


def choose(node, document, done):
    """oneOf with a discriminator as if, then, else: a fault then has a place, instead of fitting none of them."""
    name, mapping = node["discriminator"]["propertyName"], node["discriminator"]["mapping"]
    chain = False
    for value, reference in reversed(mapping.items()):
        other = inline({"$ref": reference}, document, done)
        chain = {"if": {"properties": {name: {"const": value}}}, "then": other, "else": chain} if chain else other
    return chain


class Document:
    """A document, ready to be asked."""

    def __init__(self, path=DOCUMENT):
        raw = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        done = {}
        places = [Place(name, inline(item, raw, done)) for name, item in raw["paths"].items()]
        self.places = sorted(places, key=lambda place: place.fixed, reverse=True)
        self.unmatched = Operation("unmatched", inline(raw["x-unmatched-requests"], raw, done))

    def operations(self):
        return [*(o for place in self.places for o in place.operations.values()), self.unmatched]

    def place(self, path, listener, loose=False):
        for place in self.places:
            pattern = place.loose if loose else place.strict
            if listener in (None, *place.listeners) and pattern.fullmatch(path):
                return place
        return None

    def problems(self, method, path, answer, listener):
        """(operation, [(where, what, seen), ...]): all that is wrong with an answer."""
        place = self.place(path, listener)
        operation = (place and place.find(method)) or self.unmatched
        found = []
        if operation is self.unmatched:
            if answer.status == 404 and place:
                found.append(("", "is a path of the document", path))
            if answer.status == 405 and not place:
                found.append(("", "is no path of the document", path))
            allow = answer.headers.get("allow")
            if answer.status == 405 and place and allow and set(allow.split(", ")) != place.allow():
                found.append(("header allow", "should name %s" % sorted(place.allow()), allow))
            # an id of the wrong form: the operation that was meant
            meant = self.place(path, listener, loose=True)
            if not place and meant and answer.status == 404 and answer.code in (7003, None):
                operation = meant.find(method) or operation
        response = operation.response(answer.status)
        if response is None:
            found.append(("", "is not a documented status", answer.body))
        else:
            found += response.problems(answer)
        return operation, found


@functools.lru_cache(None)
def document():
    return Document()


@functools.lru_cache(None)
def note_seen(operation, status):
    """Once for each: append it to the file that EDGECAP_OPENAPI_SEEN names."""
    name = os.environ.get("EDGECAP_OPENAPI_SEEN")
    if name:
        with open(name, "a", encoding="ascii") as file:
            file.write("%s %d\n" % (operation, status))


def check(method, target, status, headers, body, listener=None):
    """Raise a Mismatch unless the answer is as documented. body: None when it was not read; listener: None when any will do."""
    path = target.partition("?")[0]
    answer = Answer(method, status, headers, body)
    operation, found = document().problems(method, path, answer, listener)
    note_seen(operation.name, status)
    if not found:
        return
    lines = ["%s %d (%s %s):" % (operation.name, status, method, path)]
    for where, what, seen in found[:ERRORS_SHOWN]:
        lines.append("  %s: %s; seen: %s" % (where or "answer", what, repr(seen)[:EXCERPT_CHARS]))
    mismatches.append("\n".join(lines))
    raise Mismatch(mismatches[-1])


def check_raw(sent, status, headers, body, listener=None):
    """check() of an answer to bytes that may be no request."""
    line = sent.partition(b"\r\n")[0].decode("latin-1").split(" ")
    method, target = (line[0], line[1]) if len(line) >= 2 else (line[0], "")
    check(method, target, status, headers, body, listener)


def hook(listener=None):
    """For requests: hooks={"response": hook("tenants")}. A file that is streamed is left to its reader."""

    def on_response(answer, **options):
        is_json = answer.headers.get("Content-Type") == "application/json"
        body = None if options.get("stream") and not is_json else answer.content
        check(answer.request.method, answer.request.path_url, answer.status_code, answer.headers, body, listener)

    return on_response


@pytest.fixture(autouse=True)
def answers_are_documented():
    """Fails a test of which another thread, or an except clause, had a Mismatch."""
    yield
    seen = mismatches[:]
    mismatches.clear()
    assert not seen, "\n".join(seen)


def main():
    """Print the documented answers that are not in the file."""
    seen = set(Path(sys.argv[1]).read_text(encoding="ascii").splitlines())
    for operation in document().operations():
        unseen = [status for status in operation.said if "%s %s" % (operation.name, status) not in seen]
        if unseen:
            print(operation.name, *unseen)


if __name__ == "__main__":
    main()
