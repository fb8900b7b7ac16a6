#!/usr/bin/python3
"""What ctest reported in JUnit files, for tests/run: a line per fact, "passed N", "skipped N", "failed NAME" and "unsteady NAME".

Usage: results.py FIRST [AGAIN]     FIRST: of all tests; AGAIN: of those that had failed, each alone

A test that failed in FIRST and passed in AGAIN is unsteady: it passed, but is to be mended. What each test that failed in FIRST had
to say goes to the error output.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

WORDS = re.compile(r"^E  |^FAILED|LINE   \]|Assertion|ERROR|[Ee]rror:|Timeout|not within|Traceback|wrong|expected")
LINES_MAX = 12
LINE_MAX = 300


def read(path):
    """name -> (status, output); status as ctest has it: run, fail, notrun or disabled."""
    tests = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        failure = case.find("failure")
        said = failure.get("message", "") if failure is not None else ""
        tests[case.get("name")] = (case.get("status"), "%s\n%s" % (said, case.findtext("system-out") or ""))
    return tests


def excerpt(output):
    """The lines that seem to say why; the last ones where none does."""
    lines = [line.rstrip()[:LINE_MAX] for line in output.splitlines() if line.strip()]
    return ([line for line in lines if WORDS.search(line)] or lines)[-LINES_MAX:]


def report(first, again, facts, messages):
    """Write the lines and the messages."""
    failed = [name for name, (status, _) in first.items() if status == "fail"]
    steady = [name for name in failed if again.get(name, ("fail",))[0] != "run"]
    passed = sum(status == "run" for status, _ in first.values()) + len(failed) - len(steady)
    print("passed %d" % passed, file=facts)
    print("skipped %d" % sum(status in ("notrun", "disabled") for status, _ in first.values()), file=facts)
    for name in failed:
        print("%s %s" % ("failed" if name in steady else "unsteady", name), file=facts)
        print("--- %s:" % name, *excerpt(first[name][1]), sep="\n    ", file=messages)


def main():
    """See the module."""
    first, *again = [read(path) for path in sys.argv[1:]]
    report(first, again[0] if again else {}, sys.stdout, sys.stderr)


if __name__ == "__main__":
    main()
