"""The researchers' own systems in the rehearsal: a server that is late and fails, a database, and a file.

The second study of the shipped rules gets them as sources: a submission whose work is unfinished waits until all
three agree with what the task pushed.
"""

import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.participants import Evidence
from service.shipped import shipped

RULES = "two-part-task.yaml"
FAILS_EVERY = 5  # requests
SOURCES = """evidence:
  results:                    # our server has it late, and fails periodically
    from: http
    url: "{url}/results/{{submission.id}}"
    map: {{parts_done: task.parts}}
    fields: {{parts_done: int}}
    retry_every: 1s
    wait: 1h
  lab:                        # our database
    from: sql
    query: SELECT parts_done FROM results WHERE session_id = :submission_id
    fields: {{parts_done: int}}
    retry_every: 1s
    wait: 1h
  export:                     # what a spreadsheet saved: every value is a text
    from: csv
    file: exports/task.csv
    key: SESSION_ID
    map: {{parts_done: Parts done}}
    fields: {{parts_done: int}}
    retry_every: 1s
    wait: 1h
"""
RULE = """rules:
  - name: our systems disagree about unfinished work
    when: >-
      evidence.task.parts_done < 2 && (evidence.results.parts_done != evidence.task.parts_done
      || evidence.lab.parts_done != evidence.task.parts_done
      || evidence.export.parts_done != evidence.task.parts_done)
    hold: The server, the database or the file says otherwise than the task.
"""


@dataclass(slots=True)
class Laboratory:
    """Knows what participants of the second study did, once it was recorded."""

    folder: Path
    known: dict[str, Evidence] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def rules(self) -> Path:
        return self.folder / "rules"

    @property
    def database(self) -> Path:
        return (self.folder / "lab.db").resolve()

    @property
    def file(self) -> Path:
        return self.rules / "exports" / "task.csv"

    def app(self) -> Starlette:
        """Return the server of ``from: http``."""
        return Starlette(routes=[Route("/results/{submission_id}", self._result)])

    def prepare(self, url: str) -> None:
        """Write the rules with the three sources, an empty database, and a file without rows."""
        shutil.rmtree(self.rules, ignore_errors=True)
        self.file.parent.mkdir(parents=True)
        for path in shipped("rules").glob("*.yaml"):
            shutil.copy(path, self.rules)
        path = self.rules / RULES
        rules = path.read_text(encoding="utf-8")
        rules = rules.replace("evidence:\n", SOURCES.format(url=url), 1).replace("\nrules:\n", f"\n{RULE}", 1)
        path.write_text(rules, encoding="utf-8")
        self.database.unlink(missing_ok=True)
        with sqlite3.connect(self.database) as lab:
            lab.execute("CREATE TABLE results (session_id TEXT PRIMARY KEY, parts_done INTEGER)")
        self._write([["SESSION_ID", "Parts done"]], "w")

    def record(self, submission_id: str, evidence: Evidence) -> None:
        """Take in what a participant did: each system has it from now on, the server after it was asked once."""
        parts = evidence["parts_done"]
        self.known[submission_id] = evidence
        with sqlite3.connect(self.database) as lab:
            lab.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", [submission_id, parts])
        self._write([[submission_id, str(parts)]], "a")

    def _write(self, rows: list[list[str]], mode: str) -> None:
        with self.file.open(mode, encoding="utf-8", newline="") as file:
            file.writelines(f"{';'.join(row)}\n" for row in rows)  # ids and numbers: nothing to quote

    async def _result(self, request: Request) -> Response:
        submission = request.path_params["submission_id"]
        self.asked[submission] += 1
        if self.asked.total() % FAILS_EVERY == 0:
            return Response(status_code=503)
        if submission not in self.known or self.asked[submission] == 1:
            return Response(status_code=404)
        return JSONResponse({"task": {"parts": str(self.known[submission]["parts_done"])}})
