"""A machine on which the commands of the pages run: the service, a simulated Prolific, one folder, one shell."""

import csv
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from service.domain.decision import Mode
from service.postgres.embedded import delete_database
from tests import warm
from tests.process import environment, free_port
from tests.unit.docs.pages import ROOT, blocks
from tests.world import ADMIN, EVIDENCE, PATIENCE, SECRET, TOKEN, bearer

HOST = "https://review.example.org"
SUBMISSION, STUDY = "65f0000000000000000000aa", "60aca280709ee40ec37d4885"
(FIRST_RULES,) = [block.text for block in blocks("rules/README.md", "yaml") if "name: My study" in block.text]


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition to return something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


@dataclass
class Stage:
    """One folder and one environment, kept from command to command as in a shell."""

    folder: Path
    data: Path
    port: int = field(default_factory=free_port)
    prolific_port: int = field(default_factory=free_port)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What a person does after a command, such as editing a file."""

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "rules", self.folder / "rules")
        self.write("secrets/prolific-token", TOKEN)
        self.write("stroop.yaml", FIRST_RULES)
        given = {
            "prolific_url": self.prolific,
            "port": self.port,
            "data_dir": self.data,
            "log_format": "json",
        }
        self.environment = environment(given)
        self.environment = {n: v for n, v in self.environment.items() if not n.startswith("PYTEST")}
        warm.write_command(self.folder / "bin")
        path = (str(self.folder / "bin"), str(Path(sys.executable).parent), self.environment["PATH"])
        self.environment["PATH"] = ":".join(path)
        self.processes: dict[str, warm.Process] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def prolific(self) -> str:
        return f"http://127.0.0.1:{self.prolific_port}"

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, command: str) -> None:
        """Run a command of a page; what it exports stays set."""
        if command == "autoreview serve":
            self.serve()
            return
        for shown, real in (
            (HOST, self.url),
            ("/opt/autoreview/bin", str(Path(sys.executable).parent)),
            ("/var/lib/autoreview-new", str(self.folder / "new")),
            ("/var/lib/autoreview", str(self.data)),
        ):
            command = command.replace(shown, real)
        kept = self.folder / "environment"
        ended = subprocess.run(
            ["bash", "-a", "-e", "-o", "pipefail", "-c", f"{command}\nenv -0 > {kept}"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
        pairs = kept.read_text(encoding="utf-8").rstrip("\0").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs)

    def page(self, name: str, left_out: Mapping[str, str]) -> None:
        """Run a page's commands in their order."""
        for block in blocks(name, "console"):
            for command in block.commands:
                if command not in left_out:
                    self.run(command)
                    self.after.get(command, lambda: None)()

    def start(self, name: str, *arguments: str, ready: str, **settings: object) -> None:
        """Start a process and wait until it answers at ``ready``."""
        changed = self.environment | {f"AUTOREVIEW_{key.upper()}": str(one) for key, one in settings.items()}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = warm.start(arguments, env=changed, log=log, cwd=self.folder)
        self.processes[name] = process

        def answers() -> bool:
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
            try:
                return httpx.get(ready, timeout=30).is_success
            except httpx.TransportError:
                return False

        wait_for(answers, f"{name} to answer")

    def serve(self, name: str = "serve", **settings: object) -> None:
        """Start the service, or start it again."""
        self.stop(name)
        port = settings.get("port", self.port)
        self.start(name, "serve", ready=f"http://127.0.0.1:{port}/readyz", **settings)

    def stop(self, name: str) -> None:
        if process := self.processes.pop(name, None):
            process.send_signal(signal.SIGTERM)
            process.join(60)
            process.close()

    def sandbox(self) -> None:
        port = str(self.prolific_port)
        self.start(
            "sandbox", "sandbox", "--port", port, "--token", TOKEN, ready=f"{self.prolific}/sandbox/state/"
        )

    def held(self, *submissions: str) -> None:
        """Let submissions end that the first rule file holds: with evidence, and with a wrong code."""
        for submission in submissions:
            body = {"id": submission, "study_id": STUDY, "entered_code": "WRONG", "time_taken": 700}
            httpx.post(f"{self.prolific}/sandbox/submissions/", json=body).raise_for_status()
            evidence = {"attention_failed": 0, "consented": True}
            path = f"{self.url}/evidence/survey/{submission}"
            httpx.put(path, json=evidence, headers=bearer(EVIDENCE)).raise_for_status()

        def found() -> bool:
            answer = httpx.get(f"{self.url}/api/holds", headers=bearer(ADMIN), timeout=30).json()
            return {row["submission_id"] for row in answer["results"]} >= set(submissions)

        wait_for(found, "the submissions to be held")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.close()
        for data in (self.data, self.folder / "new"):
            if data.exists():
                delete_database(data)


def at_work(stage: Stage) -> Stage:
    """Let the service run on the first rule file, with all its settings."""
    stage.write("study-rules/study.yaml", FIRST_RULES)
    stage.write("secrets/evidence-token", EVIDENCE)
    stage.write("secrets/webhook-secret", SECRET)
    stage.environment |= environment(
        {
            "rules_dir": stage.folder / "study-rules",
            "mode": Mode.LIVE,
            "public_url": stage.url,
            "prolific_token_file": "secrets/prolific-token",
            "webhook_secrets_file": "secrets/webhook-secret",
            "evidence_token_file": "secrets/evidence-token",
            "admin_token": ADMIN,
        }
    ) | {"PATH": stage.environment["PATH"]}
    stage.sandbox()
    stage.serve()
    return stage


def fill_in(sheet: Path, column: str, value: str) -> None:
    """Fill in one column of a sheet's first row, as a person does in a spreadsheet."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, titles = list(reader), list(reader.fieldnames or ())
    rows[0][column] = value
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, titles)
        writer.writeheader()
        writer.writerows(rows)
