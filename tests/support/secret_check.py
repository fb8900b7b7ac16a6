"""No log has a secret or a packet's content: what a run has made is noted, and looked for in what its programs have written.

note() is called by whoever makes or is given a secret (edgecap_lab, edgecap_client, the rigs of the integration tests); check_logs() at the
end of each. Found is the text itself, and its hex, base64 and percent-encoded forms; signatures, bearer tokens and passwords
in URLs by their form; content by the mark that the tests' packets carry (packet_source).
"""

import base64
import re
import urllib.parse

NAMES = {"token", "key", "value", "secret", "ownership_challenge"}  # members of answers that are shown once
LENGTH_MIN = 12  # shorter ones are in everything
FORMS = {
    "a signature": rb"(?i)\b(?:X-Amz-Signature|Signature|sig)=[0-9a-f]{64}",
    "a bearer token": rb"(?i)\bBearer +[A-Za-z0-9_.~+/-]{16,}",
    "a password in a URL": rb"(?i)\b(?:postgres|postgresql|https?|s3)://[^\s/:@\"]*:[^\s/@\"]+@",
    "a password": rb"(?i)\bpassword=(?!\*)[^\s\"']{4,}",
    "an ownership challenge": rb"edgecap-ownership-v1\.[A-Za-z0-9_-]{20,}",
}
MARKS = {"a packet's content": [b"ECSQ"]}

_noted = {}


def note(name, value):
    """A secret of this run; text or bytes."""
    value = value.encode() if isinstance(value, str) else bytes(value)
    value = value.strip()
    if len(value) >= LENGTH_MIN:
        _noted[value] = name
    return value


def note_answer(answer):
    """All that an answer shows once, however deep."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name in NAMES and isinstance(value, str):
                note(name, value)
            else:
                note_answer(value)
    elif isinstance(answer, list):
        for value in answer:
            note_answer(value)
    return answer


def note_settings(settings):
    """Settings of a program that are secrets, by value or by file, and the password in a URL."""
    for name, value in settings.items():
        if value is None:
            continue
        if name.endswith("_FILE") and ("SECRET" in name or "TOKEN" in name):
            with open(value, "rb") as file:
                note(name, file.read())
        elif "SECRET" in name or "TOKEN" in name or name.endswith("PASSWORD"):
            note(name, value)
        elif name == "EDGECAP_DATABASE_URL":
            found = re.match(r"\w+://[^/:@]*:([^/@]+)@", value)
            if found:
                note("database password", urllib.parse.unquote(found[1]))
    return settings


def written(value):
    """The forms in which a program may have written these bytes."""
    encoded = urllib.parse.quote_from_bytes(value, safe="")
    inner = base64.b64encode(value).rstrip(b"=")
    return {value, encoded.encode(), value.hex().encode(), value.hex().upper().encode(), inner[: len(inner) // 4 * 4],
            base64.urlsafe_b64encode(value).rstrip(b"=")}  # fmt: skip


def find(text):
    """What is in a log that should not be: names and where, never the secret itself."""
    found = []
    for value, name in _noted.items():
        if any(form in text for form in written(value)):
            at = next(text.find(form) for form in written(value) if form in text)
            found.append("%s (%s...) in line %d" % (name, value[:3].decode("latin-1"), text.count(b"\n", 0, at) + 1))
    for name, pattern in FORMS.items():
        match = re.search(pattern, text)
        if match:
            found.append("%s in line %d" % (name, text.count(b"\n", 0, match.start()) + 1))
    for name, marks in MARKS.items():
        for mark in marks:
            for form in (mark, mark.hex().encode(), mark.hex().upper().encode()):
                if form in text:
                    found.append("%s in line %d" % (name, text.count(b"\n", 0, text.find(form)) + 1))
    return found


def check_logs(paths):
    """AssertionError when one of these files has what it should not."""
    problems = []
    for path in paths:
        problems += ["%s: %s" % (path.name, what) for what in find(path.read_bytes())]
    assert not problems, "secrets in logs: " + "; ".join(problems)
