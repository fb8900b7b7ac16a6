"""What tests ask of an answer beyond api/openapi.yaml, to which api_rig holds every one."""

import json


def check_failure(status, body, code=None, pointer=None):
    """An error answer. Returns its first error."""
    assert status >= 400, (status, body)
    errors = json.loads(body)["errors"]
    if code is not None:
        assert errors[0]["code"] == code, errors
    if pointer is not None:
        assert errors[0].get("source", {}).get("pointer", "") == pointer, errors
    return errors[0]


def result(answer):
    """The result of a call that must succeed."""
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def failure(answer, status, code=None, pointer=None):
    """An answer that must fail like this. Returns its first error."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    if answer.request.method == "HEAD":
        return None
    return check_failure(status, answer.content, code, pointer)
