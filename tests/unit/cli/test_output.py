"""Texts of participants: no control characters in a terminal, no formulas in a spreadsheet."""

import csv
import io
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.cli.holds import _print as print_holds
from service.cli.submissions import print_csv
from service.console.decision import print_decision
from service.console.output import echo, print_json, print_table
from service.domain.decision import Approve
from service.domain.printable import csv_cell, from_csv_cell, printable
from service.manual.sheet import read_sheet, write_sheet
from service.rules import check
from service.store.holds import HeldSubmission
from service.telemetry.log import configure_logs

HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eb\u2066\nDecision 2: approve\r\x7f\ud800"
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
HOLD = HeldSubmission(
    submission_id=HOSTILE,
    study_id=HOSTILE,
    participant_id=HOSTILE,
    decision_id=1,
    guard=HOSTILE,
    rule=HOSTILE,
    rule_file=HOSTILE,
    proposed=HOSTILE,
    reason=HOSTILE,
    by=None,
    since=datetime.now(UTC),
    age_s=60,
    deadline=datetime.now(UTC) + timedelta(days=1),
)
DECISION: dict[str, Any] = dict.fromkeys(
    (
        *(
            "id",
            "outcome",
            "status",
            "proposed",
            "guard",
            "reason",
            "submission_id",
            "study_id",
            "tag",
            "mode",
        ),
        *("participant_id", "decided_at", "trigger", "rule", "rule_file", "rules_hash", "recheck_at"),
    ),
    HOSTILE,
) | {
    "trace": [{"result": HOSTILE, "rule": HOSTILE, "why": HOSTILE}],
    "facts": {"evidence": {HOSTILE: HOSTILE}},
    "attempts": [{"at": HOSTILE, "request": HOSTILE, "status_code": HOSTILE, "answer": {"detail": HOSTILE}}],
}


@pytest.mark.parametrize(
    "show",
    [
        lambda: echo(HOSTILE),
        lambda: print_table(("a",), [{"a": HOSTILE}]),
        lambda: print_decision(DECISION),
        lambda: print_holds([HOLD], datetime.now(UTC)),
        lambda: print_json({HOSTILE: HOSTILE}),
        lambda: print_csv([{"id": HOSTILE, "study_code": {HOSTILE: HOSTILE}}]),
    ],
    ids=["echo", "table", "decision", "holds", "json", "csv"],
)
def test_printed_text_has_no_control_character(
    show: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show()
    shown = capsys.readouterr().out.replace("\r\n", "\n")  # CSV ends its lines so
    assert "owned" in shown
    assert not ACTING.search(shown), ascii(shown)


def test_printed_text_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_decision(DECISION)
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("Decision 2")]


def test_printed_json_has_the_same_value_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": HOSTILE, "name": "Zoë 😀"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"text": HOSTILE, "name": "Zoë 😀"}
    assert "Zoë 😀" in shown


def test_printed_text_keeps_letters_of_every_language() -> None:
    for text in ("Zoë", "日本語", "שלום", "نمی‌خواهم", "👩‍👩‍👧", "fine – thanks", "100 %"):
        assert printable(text) == text


def test_printed_findings_have_no_control_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\n\u202eevil: 1\n", encoding="utf-8"
    )
    echo(*map(str, check(tmp_path)))
    assert "\\u202eevil" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_have_no_control_character(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form=form, level="info")
    structlog.get_logger("a").warning(HOSTILE, why=HOSTILE, short="a\x1bb", all=[HOSTILE])
    logging.getLogger("b").warning("said %s", HOSTILE)
    structlog.get_logger("a").error("failed", exc_info=ValueError(HOSTILE))
    shown = capsys.readouterr().err
    assert "owned" in shown
    assert not ACTING.search(shown), ascii(shown)


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u00a0=1", "\u3000+1", "\ufeff=1", "\u200b=1"),
    *("＝1", "＋1", "－1", "＠a", " ＝1", "﹦1"),
]


@pytest.mark.parametrize("text", [*FORMULAS, "\t=1", "\r=1", "\n=1", "\n\n@x", "\nfine"])
def test_csv_cell_that_begins_as_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize("text", [*FORMULAS, "fine", "it's", "'quoted'"])
def test_csv_sheet_is_read_without_the_added_apostrophe(text: str) -> None:
    assert from_csv_cell(csv_cell(text)) == text.strip()


@pytest.mark.parametrize("text", ["fine\n=1+1", "fine;=1+1", "fine\t @x", "fine;＝1", "fine\r\n-1"])
def test_csv_cell_with_a_formula_behind_another_separator_is_guarded(text: str) -> None:
    assert csv_cell(text)[:6] in ("fine\n'", "fine;'", "fine\t'")


@pytest.mark.parametrize("value", ["a=b", "1-2", "me@example.org", "C0MPL3TE", 3, -3, None, "it's; fine"])
def test_csv_cell_without_a_formula_is_unchanged(value: object) -> None:
    assert csv_cell(value) == value


def test_sheet_of_holds_has_no_formula_and_no_control_character() -> None:
    buffer = io.StringIO()
    reasons = [HOSTILE, " =1+1", "＝1", "a\n=1", ""]
    holds = [replace(HOLD, submission_id=f"s{at}", reason=reason) for at, reason in enumerate(reasons)]
    write_sheet(holds, buffer)
    rows = list(csv.DictReader(io.StringIO(buffer.getvalue())))
    assert not ACTING.search(buffer.getvalue().replace("\r\n", "\n"))
    assert [row["reason"] for row in rows[1:]] == ["' =1+1", "'＝1", "a\n'=1", ""]
    assert len(read_sheet(buffer.getvalue().encode(), "f.csv", Approve()).rows) == len(reasons)


def test_commands_print_only_through_the_output_module() -> None:
    service = Path(__file__).parents[3] / "service"
    others = [
        path
        for folder in ("cli", "demo")
        for path in (service / folder).glob("*.py")
        if path.name != "output.py"
    ]
    for path in others:
        assert not re.search(r"typer\.echo\(|(?<![\w.])(?:print|Text)\(", path.read_text()), path
    for path in service.rglob("*.py"):
        text = path.read_text()
        if "csv.writer(" in text or "DictWriter(" in text:
            assert "csv_cell(" in text, f"{path}: its cells go through csv_cell"
