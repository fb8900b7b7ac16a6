#!/usr/bin/python3
"""api/openapi.yaml is well-formed and says what the API does.

References resolve, schemas are JSON Schema, examples fit, nothing is left unused; every row of api/routes.c that tenants reach is
described with its permission, and nothing else is; every code of api/errors.h occurs.
"""

import re
import sys
from pathlib import Path

import jsonschema
import sources
import yaml

METHODS = ("get", "put", "post", "delete", "head", "patch", "options")
ROUTE = re.compile(
    r'\{(API_TENANTS|EVERYWHERE), "(\w+)", (PCAPS)?(?: ?"([^"]*)")?, "[\w.]+", (PERM_(\w+)|0),'
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
    for kind in ("schemas", "responses", "parameters"):
        for name in document["components"][kind]:
            reference = f"#/components/{kind}/{name}"
            if reference not in used and name != "MethodNotAllowed":
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
        for name, example in (node.get("examples") or {}).items():
            validator = jsonschema.Draft202012Validator(node["schema"], resolver=resolver)
            for error in validator.iter_errors(example["value"]):
                problems.append(f"{path}/examples/{name}: {error.message}")


def operations(document):
    """(method, path with {id}) of every operation, and what it says."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield (method.upper(), re.sub(r"\{\w+\}", "{id}", path)), item, item[method]


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
        if path.count("{id}") != sum(p["in"] == "path" for p in named):
            problems.append(f"{where}: path parameters are not all described")
        if "400" not in operation["responses"]:
            problems.append(f"{where}: no 400")


def check_routes(document, routes, problems):
    described = {key: operation for key, _, operation in operations(document)}
    seen = set()
    for _, method, prefix, rest, _, permission in ROUTE.findall(routes):
        path = ("/accounts/{id}/pcaps" if prefix else "") + rest
        seen.add((method, path))
        operation = described.get((method, path))
        if operation is None:
            problems.append(f"{method} {path} of api/routes.c is not described")
        elif permission and f"`{permission.lower()}`" not in operation.get("description", ""):
            problems.append(f"{method} {path}: permission {permission.lower()} is not named")
    for method, path in described.keys() - seen:
        problems.append(f"{method} {path} has no route")
    return len(seen)


def check_errors(text, errors, problems):
    rows = ROW.findall(errors)
    for name, _, code in rows:
        if not re.search(rf"\b{code}\b", text):
            problems.append(f"code {code} ({name}) does not occur")
    return len(rows)


def main():
    root = Path(sources.root_from_argv())
    text = (root / "api/openapi.yaml").read_text()
    document = yaml.safe_load(text)
    problems = []
    check_references(document, problems)
    count = check_schemas(document, problems)
    if not problems:
        check_examples(document, problems)
        check_operations(document, problems)
    routes = check_routes(document, (root / "api/routes.c").read_text(), problems)
    rows = check_errors(text, (root / "api/errors.h").read_text(), problems)
    if count < 40 or routes < 12 or rows < 16:
        problems.append(f"only {count} schemas, {routes} routes and {rows} errors were seen")
    return sources.report("openapi: schemas", problems, count)


if __name__ == "__main__":
    sys.exit(main())
