"""Lets curl lines run as they are written and holds their answers to api/openapi.yaml (openapi_check)."""

import re
import urllib.parse
from pathlib import Path

import openapi_check


def environment(folder):
    """Variables under which curl notes in the folder what check() wants to know."""
    folder = Path(folder)
    (folder / ".curlrc").write_text(
        'dump-header = "%s"\nwrite-out = "%%{stderr}\\nasked: %%{method} %%{url_effective}\\n"\n' % (folder / "heads")
    )
    return {"CURL_HOME": str(folder)}


def check(folder, stdout, stderr, listener="tenants"):
    """The answer to the one curl that has run. stdout: the body, None when it went elsewhere; stderr: all of it."""
    method, url = re.findall(r"^asked: (\S+) (\S+)$", stderr, re.M)[-1]
    lines = (Path(folder) / "heads").read_bytes().decode("latin-1").split("\r\n\r\n")[-2].split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    path = urllib.parse.urlsplit(url).path
    body = None if stdout is None else stdout.encode()
    openapi_check.check(method, path, int(lines[0].split()[1]), headers, body, listener)
