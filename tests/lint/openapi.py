#!/usr/bin/python3
"""api/openapi.yaml is well-formed and says what the API does.

References resolve, schemas are JSON Schema, examples fit, nothing is left unused; every row of api/routes.c is described with its
listeners and permission, and nothing else is; every answer has the headers that its status asks for; statuses and codes are those of api/errors.h.
redocly/ looks at the form, with a linter that others wrote.
"""

import re
import sys
from pathlib import Path

import jsonschema
import sources
import yaml

METHODS = ("get", "put", "post", "delete", "head", "patch", "options")
COMPONENTS = ("schemas", "responses", "parameters", "headers", "examples")
LISTENERS = {"API_TENANTS": ["tenants"], "API_EDGE": ["edge"], "API_OPS": ["ops"], "EVERYWHERE": ["tenants", "edge", "ops"]}
# Any request can be malformed, too large, one too many, or find the process without memory.
ALWAYS = ("400", "413", "500", "503")
WITH_STATUS = {"Retry-After": ("429", "503"), "X-Should-Retry": ("409", "429"), "Allow": ("405",), "Content-Range": ("206", "416")}
ROUTE = re.compile(
    r'\{(API_\w+|EVERYWHERE), "(\w+)", (PCAPS|TOKENS|AUDIT)?(?: ?"([^"]*)")?, "[\w.]+", (PERM_(\w+)|0),'
)
ROW = re.compile(r"X\((\w+),\s*(\d{3}),\s*(\d{4,5}),")


def resolve(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def walk(node, path=""):
    """Every mapping below node, with where it is."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}/{index}")


def check_references(document, problems):
    used = set()
    for path, node in walk(document):
        reference = node.get("$ref")
        if not isinstance(reference, str):
            continue
        try:
            resolve(document, reference)
            used.add(reference)
        except (KeyError, TypeError):
            problems.append(f"{path}: {reference} does not resolve")
    for kind in COMPONENTS:
        for name in document["components"][kind]:
            reference = f"#/components/{kind}/{name}"
            if reference not in used:
                problems.append(f"{reference} is not used")


def check_schemas(document, problems):
    count = 0
    for path, node in walk(document):
        schema = node.get("schema")
        if isinstance(schema, dict) and not path.endswith("/properties"):
            count += 1
            try:
                jsonschema.Draft202012Validator.check_schema(schema)
            except jsonschema.SchemaError as error:
                problems.append(f"{path}/schema: {error.message}")
    for name, schema in document["components"]["schemas"].items():
        count += 1
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            problems.append(f"schemas/{name}: {error.message}")
    return count


def check_examples(document, problems):
    resolver = jsonschema.RefResolver("", document)
    for path, node in walk(document):
        if not isinstance(node.get("schema"), dict):
            continue
        examples = node.get("examples", {}).items()
        values = {name: (resolve(document, one["$ref"]) if "$ref" in one else one)["value"] for name, one in examples}
        if "example" in node:
            values[""] = node["example"]
        validator = jsonschema.Draft202012Validator(node["schema"], resolver=resolver)
        for name, value in values.items():
            for error in validator.iter_errors(value):
                problems.append(f"{path}/examples/{name}: {error.json_path}: {error.message}")


def operations(document):
    """(method, path with {id} or {rest}) of every operation, and what it says."""
    for path, item in document["paths"].items():
        rest = [p["name"] for p in item.get("parameters", []) if p.get("x-rest")]
        for method in METHODS:
            if method in item:
                name = re.sub(r"\{(\w+)\}", lambda m: "{rest}" if m[1] in rest else "{id}", path)
                yield (method.upper(), name), item, item[method]


def check_operations(document, problems):
    ids = set()
    for (method, path), item, operation in operations(document):
        where = f"{method} {path}"
        for key in ("operationId", "summary", "responses", "tags"):
            if key not in operation:
                problems.append(f"{where}: no {key}")
        if operation.get("operationId") in ids:
            problems.append(f"{where}: operationId is not unique")
        ids.add(operation.get("operationId"))
        parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
        named = [resolve(document, p["$ref"]) if "$ref" in p else p for p in parameters]
        if path.count("{") != sum(p["in"] == "path" for p in named):
            problems.append(f"{where}: path parameters are not all described")
        for status in ALWAYS:
            if status not in operation["responses"]:
                problems.append(f"{where}: no {status}")
        check_headers(document, where, operation["responses"], problems)
    check_headers(document, "x-unmatched-requests", document["x-unmatched-requests"], problems)


def check_headers(document, where, responses, problems):
    """X-Request-Id everywhere, and of WITH_STATUS what belongs to a status, there and nowhere else."""
    for status, response in responses.items():
        response = resolve(document, response["$ref"]) if "$ref" in response else response
        headers = response.get("headers", {})
        if "X-Request-Id" not in headers:
            problems.append(f"{where} {status}: no X-Request-Id")
        for name, statuses in WITH_STATUS.items():
            if (name in headers) != (status in statuses):
                problems.append(f"{where} {status}: {name} is there for {' and '.join(statuses)}")


def check_routes(document, routes, problems):
    described = {key: (operation, item) for key, item, operation in operations(document)}
    seen = set()
    for listener, method, prefix, rest, _, permission in ROUTE.findall(routes):
        path = (f"/accounts/{{id}}/{prefix.lower()}" if prefix else "") + rest
        seen.add((method, path))
        operation, item = described.get((method, path), (None, None))
        if operation is None:
            problems.append(f"{method} {path} of api/routes.c is not described")
            continue
        if item.get("x-listeners") != LISTENERS[listener]:
            problems.append(f"{method} {path} is served by {', '.join(LISTENERS[listener])}")
        if permission and f"`{permission.lower()}`" not in operation.get("description", ""):
            problems.append(f"{method} {path}: permission {permission.lower()} is not named")
    for method, path in described.keys() - seen:
        problems.append(f"{method} {path} has no route")
    return len(seen)


def described_errors(document):
    """(status, code) of every error that an answer may have."""
    every = [operation["responses"] for _, _, operation in operations(document)]
    for responses in (*every, document["x-unmatched-requests"]):
        for status, response in responses.items():
            response = resolve(document, response["$ref"]) if "$ref" in response else response
            for where, node in walk(response.get("content", {})):
                if where.endswith("/items/properties/code"):
                    for code in node.get("enum", [node.get("const")]):
                        yield status, str(code)


def check_errors(document, errors, problems):
    rows = {(status, code): name for name, status, code in ROW.findall(errors)}
    described = set(described_errors(document))
    for status, code in sorted(rows.keys() - described):
        problems.append(f"{status} with code {code} ({rows[status, code]}) does not occur")
    for status, code in sorted(described - rows.keys()):
        problems.append(f"{status} with code {code} is not in api/errors.h")
    return len(rows)


def main():
    root = Path(sources.root_from_argv())
    document = yaml.load((root / "api/openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    problems = []
    check_references(document, problems)
    count = check_schemas(document, problems)
    if not problems:
        check_examples(document, problems)
        check_operations(document, problems)
    routes = check_routes(document, (root / "api/routes.c").read_text(), problems)
    rows = check_errors(document, (root / "api/errors.h").read_text(), problems)
    if count < 100 or routes < 15 or rows < 16:
        problems.append(f"only {count} schemas, {routes} routes and {rows} errors were seen")
    return sources.report("openapi: schemas", problems, count)


if __name__ == "__main__":
    sys.exit(main())
