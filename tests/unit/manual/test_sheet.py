"""The CSV sheet of holds: written, filled in, and read back as spreadsheets save it."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from service.domain.decision import Approve, Complete, Hold, Reject, RequestReturn
from service.manual.sheet import COLUMNS, SheetError, read_sheet, write_sheet
from service.store.holds import HeldSubmission
from tests.world import MESSAGE

HEADER = "submission_id,action,category,message,reasons,code_type,code,percentage,note\n"


def row(**cells: str) -> str:
    buffer = io.StringIO()
    csv.DictWriter(buffer, HEADER.strip().split(",")).writerow(cells)
    return buffer.getvalue()


def mistakes(text: str | bytes, **options: Any) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SheetError) as caught:
        read_sheet(data, "f.csv", **options)
    return str(caught.value).splitlines()


def test_sheet_row_has_its_action_in_columns() -> None:
    sheet = (
        HEADER
        + row(submission_id="a", action="approve", note="fine")
        + row(submission_id="b", action="Reject", category="OTHER", message=MESSAGE)
        + row(submission_id="c", action="request-return", reasons="No code.|No data.\nNo consent.")
        + row(submission_id="d", action="complete", code_type="PART", percentage="12,5 %", message="Thanks")
        + row(submission_id="e", action="HOLD", reasons="I ask.")
        + row(submission_id="f")
        + "\n ,\n"
    )
    read = read_sheet(sheet.encode(), "f.csv")
    assert [(one.submission_id, one.action, one.note) for one in read.rows] == [
        ("a", Approve(), "fine"),
        ("b", Reject("OTHER", MESSAGE), None),
        ("c", RequestReturn(("No code.", "No data.", "No consent.")), None),
        ("d", Complete("PART", None, 12.5, "Thanks"), None),
        ("e", Hold("I ask."), None),
    ]
    assert read.left_alone == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: ("sep=;\n" + text.replace(",", ";")).encode(),
        lambda text: text.replace("submission_id,action", '"Submission ID","ACTION "').encode(),
        lambda text: text.replace("\n", ",,\n").encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=[
        "plain",
        "bom",
        "utf-16",
        "crlf",
        "cr",
        "semicolons",
        "tabs",
        "sep",
        "quoted",
        "more cells",
        "no end",
    ],
)
def test_sheet_is_read_as_spreadsheets_save_it(change: Any) -> None:
    text = "submission_id,action,note\na,approve,très bien\nb,,\nc,Approve,\n"
    read = read_sheet(change(text), "f.csv")
    assert [(one.submission_id, one.note) for one in read.rows] == [("a", "très bien"), ("c", None)]
    assert read.left_alone == 1


def test_sheet_row_without_an_action_gets_the_default_action() -> None:
    text = "submission_id,action,reasons,note\na,,,\nb,hold,I ask.,\nc,,,seen\n"
    read = read_sheet(text.encode(), "f.csv", Approve())
    assert [(one.action, one.note) for one in read.rows] == [
        (Approve(), None),
        (Hold("I ask."), None),
        (Approve(), "seen"),
    ]
    assert len(read_sheet(b"submission_id\na\nb\n", "f.csv", Approve()).rows) == 2


def test_sheet_errors_are_all_reported_with_their_position() -> None:
    sheet = (
        HEADER
        + row(submission_id="a", action="aprove")
        + row(submission_id="b", action="reject", category="RUDE", message="short")
        + row(submission_id="c", action="approve", category="OTHER")
        + row(submission_id="d", action="request-return")
        + row(submission_id="e", action="complete", code="X", percentage="half")
        + row(submission_id="f", action="complete", code="X", code_type="Y")
        + row(submission_id="g", category="OTHER")
        + row(submission_id="h", note="why")
        + row(submission_id="", action="approve")
        + row(submission_id="6.5E+13", action="approve")
        + row(submission_id="twice", action="approve")
        + row(submission_id="twice", action="hold", reasons="x")
        + row(submission_id="i", action="hold", reasons="one|two")
        + row(submission_id="j", action="hold", reasons="two\nlines of it")
        + row(submission_id="k", action="complete", code="X", percentage="100")
        + row(submission_id="m", action="complete", code="X", percentage="0")
        + row(submission_id="n", action="approve", percentage="0 %")
        + row(submission_id="o", percentage="0")
        + "l,approve,,,,,,,,more\n"
    )
    found = mistakes(sheet)
    places = [line.split(": ")[0] for line in found]
    assert places == [
        "f.csv:2:2",
        "f.csv:3:3",
        "f.csv:3:4",
        "f.csv:4:3",
        "f.csv:5:5",
        "f.csv:6:8",
        "f.csv:7:2",
        "f.csv:8:3",
        "f.csv:9:9",
        "f.csv:10:1",
        "f.csv:11:1",
        "f.csv:13:1",
        "f.csv:14:5",
        "f.csv:15:5",
        "f.csv:17:8",
        "f.csv:18:8",
        "f.csv:19:8",
        "f.csv:20:8",
        "f.csv:21:10",
    ]
    assert "did you mean approve?" in found[0]
    assert "TOO_QUICKLY" in found[1]
    assert "100 characters or more, and it has 5" in found[2]
    assert "line 12" in found[11]
    assert "approve does not take it" in found[16]


@pytest.mark.parametrize(
    ("data", "place", "named"),
    [
        (b"", "1:1", "submission_id"),
        (b"id,action\n", "1:1", "submission_id"),
        (b"submission_id\na\n", "1:1", "action"),
        (b"submission_id,action,notes\n", "1:3", "did you mean note?"),
        (b"submission_id,action,action\n", "1:3", "twice"),
        (b"submission_id,action\na,approve\nb,\xe9\n", "3:1", "UTF-8"),
        (b"submission_id,action\na,app\x00rove\n", "2:1", "NUL"),
        (b'submission_id,action\na,"approve\nb,approve\n', "2:1", "quotes"),
        (b'submission_id,action\na,"app"rove\n', "2:1", "quotes"),
        (b"submission_id,action\na," + b"x" * 200_000 + b"\n", "2:1", "quotes"),
        (b"PK\x03\x04\x14\x00\x06\x00", "1:1", "NUL"),
    ],
)
def test_sheet_cell_with_invalid_yaml_is_reported_with_its_line(data: bytes, place: str, named: str) -> None:
    found = mistakes(data)
    assert any(line.startswith(f"f.csv:{place}: ") and named in line for line in found), found


def test_sheet_has_no_formula_and_is_read_back_unchanged() -> None:
    ids = ["=cmd|'/c calc'!A0", "+1", "-1", "@x", 'quote"d, with; all', "plain", "'apostrophe"]
    buffer = io.StringIO()
    now = datetime.now(UTC)
    hold = HeldSubmission(
        *("", None, None, 1, None, None, None, "hold", '=HYPERLINK("x")\n"two", lines', None), now, 0, now
    )
    write_sheet([replace(hold, submission_id=name) for name in ids], buffer)
    rows = list(csv.DictReader(io.StringIO(buffer.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for one in rows for cell in one.values())
    assert {one["action"] for one in rows} == {""}
    read = read_sheet(buffer.getvalue().encode(), "f.csv", Approve())
    assert [one.submission_id for one in read.rows] == ids


def test_sheet_of_100_000_rows_is_read() -> None:
    text = "submission_id,action,message\n" + "".join(
        f"{number:024x},approve,\n" for number in range(100_000)
    )
    assert len(read_sheet(text.encode(), "f.csv").rows) == 100_000
