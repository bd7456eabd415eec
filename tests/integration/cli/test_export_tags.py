"""``autoreview export tags``: a row for each submission, and no cell that a spreadsheet runs."""

import asyncio
import csv
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.world import rules_text

RULES = """
  - name: slow
    when: submission.time_taken > 1000
    approve:
    tag: "=cmd|' /C calc'!A0"
  - name: quick
    when: submission.time_taken < 500
    hold: look
"""


async def test_each_submission_has_its_newest_decision_and_its_tag(
    start: Start, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(rules_text(RULES)) as world:
        slow, usual = world.completed(seconds=2000), world.completed(seconds=700)
        for one in (slow, usual):
            await world.reviewed(one)
    monkeypatch.setenv("AUTOREVIEW_DATABASE_URL", database_url)
    out = tmp_path / "tags.csv"
    arguments = ["export", "tags", "--study", STROOP]
    shown = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert shown.exit_code == 0, shown.output
    rows = {row["submission_id"]: row for row in csv.DictReader(StringIO(shown.stdout))}
    assert rows.keys() == {slow.id, usual.id}
    assert rows[slow.id] | {"decided_at": ""} == {
        "submission_id": slow.id,
        "participant_id": slow.participant_id,
        "outcome": "approve",
        "tag": "'=cmd|' /C calc'!A0",
        "decided_at": "",
    }
    assert rows[usual.id]["tag"] == ""
    stored = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--out", str(out)])
    assert stored.exit_code == 0
    assert out.read_text(encoding="utf-8") == shown.stdout
