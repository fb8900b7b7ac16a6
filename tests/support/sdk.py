"""The published SDKs, each in a Node.js of its own that a test makes its calls with: tests/e2e/sdk."""

import json
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SOURCES, PACKAGES = TOP / "tests/e2e/sdk", TOP / "build/sdk"


class SdkError(Exception):
    """What the SDK threw: name of the class, status, errors and headers as its object has them."""

    def __init__(self, told):
        super().__init__("%s: %s" % (told["name"], told["message"]))
        self.name, self.status = told["name"], told.get("status")
        self.errors, self.headers = told.get("errors"), told.get("headers")


class Project:
    """A folder as a user of the SDK has it: programs of ours, compiled, beside its node_modules."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([TOP / "tests/support/npm-install", SOURCES, PACKAGES], check=True)
        (folder / "node_modules").symlink_to(PACKAGES / "node_modules")
        for source in (*SOURCES.glob("*.ts"), *SOURCES.glob("*.json")):
            shutil.copy(source, folder)
        self.compile()

    def compile(self, *files):
        """Compile what tsconfig.json says, or only check these; what the compiler finds wrong is an error."""
        argv = ["node", "node_modules/typescript/bin/tsc", "--pretty", "false"]
        if files:
            argv += ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", *files]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def check_types(self, module, answers):
        """Answers, as pairs of a type that a declaration file of the SDK exports and a value, fit those declarations."""
        lines = ["import type * as Declared from %s;" % json.dumps(module)]
        for number, (declared, value) in enumerate(answers):
            # by way of a constant, because in a literal members that only we have would be errors
            lines.append("const got%d = %s as const;" % (number, json.dumps(value)))
            lines.append("export const a%d: %s = got%d;" % (number, declared, number))
        (self.folder / "answers.ts").write_text("\n".join(lines) + "\n")
        self.compile("answers.ts")

    def run(self, program, env):
        """Run a program (JavaScript, an ES module) to its end; its output."""
        (self.folder / "program.mjs").write_text(program)
        done = subprocess.run(
            ["node", "program.mjs"], cwd=self.folder, env={"PATH": "/usr/bin:/bin", **env},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


class Sdk:
    """A client of one version, "current" or "old", with these options; for one account."""

    def __init__(self, project, version, account_id, **options):
        self.account_id, self.folder, self.downloads = account_id, project.folder, 0
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "node", "main.js", version, json.dumps(options)],
            cwd=project.folder, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, method, id=None, options=None, file=None, **params):
        """What the method gives; SdkError for what it throws."""
        params["account_id"] = self.account_id
        call = {"call": method, "id": id, "options": options, "file": file, "params": params}
        self.process.stdin.write(json.dumps({k: v for k, v in call.items() if v is not None}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise SdkError(answer["error"])
        return answer.get("value")

    def download(self, job, form="pcap"):
        """The file that download.get() gives; its path."""
        self.downloads += 1
        path = self.folder / ("%s.%d.%s" % (job, self.downloads, form))
        options = None if form == "pcap" else {"query": {"format": form}}
        self.call("download", job, options, str(path))
        return path

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()
