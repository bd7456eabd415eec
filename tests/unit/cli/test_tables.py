"""Tables and help texts at different terminal widths: ids and options are never cut."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from service.cli import app
from service.cli.decisions import COLUMNS as DECISIONS
from service.cli.help import OTHER, SECTIONS, section_of
from service.cli.holds import COLUMNS as HOLDS
from service.cli.holds import _row as hold_row
from service.cli.submissions import COLUMNS as SUBMISSIONS
from service.console.table import UNBOUNDED, table_lines
from service.store.holds import HeldSubmission

ID, PARTICIPANT, STUDY = "60aca280709ee40ec37d4885", "5f3a1c0b9d8e7f6a5b4c3d2e", "61bdb391810ff51fd48e5996"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOLD = HeldSubmission(
    submission_id=ID,
    study_id=STUDY,
    participant_id=PARTICIPANT,
    decision_id=1,
    guard="limit.request_return",
    rule="failed two attention checks",
    rule_file="stroop.yaml",
    proposed="request_return",
    reason="Held: more than 50 requests to return in 24 hours, so the breaker of the study is open.",
    by=None,
    since=NOW,
    age_s=3 * 86400,
    deadline=NOW + timedelta(days=18),
)
DECISION = {
    "id": "123456",
    "submission_id": ID,
    "decided_at": "2026-11-28 12:00:00",
    "outcome": "request_return",
    "status": "superseded",
    "guard": "limit.request_return",
    "rule": "failed two attention checks",
    "trigger": "webhook",
}
SUBMISSION = {
    "id": ID,
    "participant_id": PARTICIPANT,
    "status": "AWAITING REVIEW",
    "time_taken": "600",
    "study_code": "C0MPL3TE",
    "started_at": "2026-11-28T11:50:00.000Z",
    "completed_at": "2026-11-28T12:00:00.000Z",
    "return_requested": "",
}
TABLES: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (DECISIONS, DECISION),
    (SUBMISSIONS, SUBMISSION),
    (HOLDS, hold_row(HOLD, NOW)),
]


def table(columns: tuple[str, ...], row: dict[str, Any], width: int) -> list[str]:
    return list(table_lines(columns, [[str(row[name] or "") for name in columns]], width))


@pytest.mark.parametrize("width", [40, 80, 100, 120, 160, UNBOUNDED])
@pytest.mark.parametrize(("columns", "row"), TABLES)
def test_table_shows_every_value_whole_within_the_width(
    columns: tuple[str, ...], row: dict[str, Any], width: int
) -> None:
    lines = table(columns, row, width)
    assert all(cell_len(line) <= width for line in lines)
    shown = " ".join(" ".join(lines[1:]).split())
    assert all(" ".join(str(value).split()) in shown for value in row.values() if value)


def test_table_with_enough_width_has_one_line_per_row() -> None:
    assert len(table(DECISIONS, DECISION, UNBOUNDED)) == 2


def test_table_prints_an_id_wider_than_the_terminal_whole() -> None:
    assert ID in table(DECISIONS, DECISION | {"id": ID}, 10)[1]


def test_table_aligns_columns_with_wide_characters() -> None:
    header, first, second = table_lines(("name", "id"), [["日本", "1"], ["x", "2"]], 80)
    assert (header, first, second) == ("name  id", "日本  1", "x     2")


def test_table_without_rows_has_its_header() -> None:
    assert list(table_lines(("id", "name"), [], 80)) == ["id  name"]


def test_table_marks_a_near_deadline() -> None:
    assert hold_row(replace(HOLD, deadline=NOW + timedelta(days=2)), NOW)["deadline"] == "in 2 d !"


def _commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, command in group.commands.items():
        found.append(((*path, name), command))
        if hasattr(command, "commands"):
            found += _commands(command, (*path, name))
    return found


COMMANDS = _commands(typer.main.get_command(app))


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_help_cuts_no_option_and_shows_no_bool(path: tuple[str, ...], command: Any, columns: str) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": columns}).stdout
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    assert all(re.search(rf"{option}\b", shown) for option in options)
    assert "<bool>" not in shown
    assert "..." not in shown.replace("COMMAND [ARGS]...", "").replace("[OPTIONS] COMMAND", "")
    assert all(len(line) <= int(columns) for line in shown.splitlines())


def test_help_lists_each_command_in_a_section() -> None:
    group: Any = typer.main.get_command(app)
    assert {name for name, command in group.commands.items() if section_of(command) == OTHER} == set()
    shown = CliRunner().invoke(app, ["--help"]).stdout
    places = [shown.index(f"\n{section}:\n") for section in SECTIONS]
    assert places == sorted(places)
