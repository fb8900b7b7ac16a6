#!/usr/bin/python3
"""What tests/run counts: nothing that failed alone too is passed, and what had to be tried twice is named."""

import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import results

FIRST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x" tests="5" failures="2" disabled="0" skipped="1">
	<testcase name="a/good" status="run"><system-out>fine</system-out></testcase>
	<testcase name="a/bad" status="fail"><failure message="Failed"/><system-out>begin
E   AssertionError: 1 &lt; 2
end</system-out></testcase>
	<testcase name="a/shaky" status="fail"><failure message="Timeout"/><system-out>one
two</system-out></testcase>
	<testcase name="a/quiet" status="fail"><failure message=""/><system-out>%s</system-out></testcase>
	<testcase name="a/not" status="notrun"><system-out></system-out></testcase>
</testsuite>
""" % "\n".join("line %d" % n for n in range(100))
AGAIN = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x" tests="2" failures="1" disabled="0" skipped="0">
	<testcase name="a/bad" status="fail"><system-out>again</system-out></testcase>
	<testcase name="a/shaky" status="run"><system-out>fine</system-out></testcase>
</testsuite>
"""


def told(*texts):
    """The facts, sorted, and the messages."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(n) for n in range(len(texts))]
        for path, text in zip(paths, texts):
            path.write_text(text)
        files = [results.read(path) for path in paths]
    facts, messages = io.StringIO(), io.StringIO()
    results.report(files[0], files[1] if len(files) > 1 else {}, facts, messages)
    return sorted(facts.getvalue().splitlines()), messages.getvalue()


class Results(unittest.TestCase):
    """See the module."""

    def test_one_run(self):
        """All that failed is failed."""
        facts, messages = told(FIRST)
        self.assertEqual(facts, ["failed a/bad", "failed a/quiet", "failed a/shaky", "passed 1", "skipped 1"])
        self.assertIn("AssertionError: 1 < 2", messages)
        self.assertNotIn("begin", messages)
        self.assertIn("Timeout", messages)
        self.assertIn("line 99", messages)
        self.assertNotIn("line 80\n", messages)

    def test_tried_again(self):
        """What failed twice, or was not tried again, is failed."""
        facts, messages = told(FIRST, AGAIN)
        self.assertEqual(facts, ["failed a/bad", "failed a/quiet", "passed 2", "skipped 1", "unsteady a/shaky"])
        self.assertIn("a/shaky", messages)

    def test_no_result(self):
        """A file that is cut off is an error, not a run without failures."""
        with self.assertRaises(SyntaxError):
            told(FIRST[:300])


if __name__ == "__main__":
    unittest.main()
