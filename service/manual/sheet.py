"""The held submissions as a CSV sheet: written, filled in by a person, and read back with all mistakes at once."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any, TextIO

from service.domain.decision import Action
from service.domain.printable import csv_cell, from_csv_cell
from service.errors import ConfigurationError
from service.manual.actions import InvalidAction, action_of, filled
from service.manual.texts import cleaned, is_readable
from service.store.holds import HeldSubmission

FIELDS = ("category", "message", "reasons", "code_type", "code", "percentage")
FILLED_IN = ("action", *FIELDS, "note")
READ_ONLY = ("since", "study_id", "guard", "rule", "proposed", "reason")  # for the person; not read back
COLUMNS = ("submission_id", *FILLED_IN, *READ_ONLY)

# Spreadsheets turn an id of digits into a number such as 6.0E+23.
MADE_A_NUMBER = re.compile(r"\d([.,]\d+)?E\+\d+")
# Spreadsheets separate cells by the character of their language setting.
DELIMITERS = (",", ";", "\t")


class SheetError(ConfigurationError):
    """The mistakes in a sheet, one line each, with its place."""

    code = "sheet"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True, slots=True)
class Row:
    """A person's decision on a submission."""

    line: int
    submission_id: str
    action: Action
    note: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows with a decision, and the number of rows without one."""

    rows: list[Row]
    left_alone: int


def write_sheet(holds: Iterable[HeldSubmission], file: TextIO) -> None:
    """Write the holds with empty cells to fill in. No cell is a formula to a spreadsheet."""
    writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    for hold in holds:
        writer.writerow({name: _cell(getattr(hold, name)) for name in ("submission_id", *READ_ONLY)})


def _cell(value: Any) -> Any:
    return csv_cell(value.isoformat() if isinstance(value, datetime) else str(value or "").replace("\0", ""))


def read_sheet(data: bytes, name: str, default: Action | None = None) -> Sheet:
    """Read the sheet called ``name``. Rows without an action get the default one, or are left alone.

    Commas, semicolons or tabs separate cells, a byte order mark is optional. Raise SheetError with all mistakes as
    ``name:line:column: what``, the column as its number.
    """
    reading = _Reading(name, default)
    try:
        lines = _lines(_text(data))
        header = next(lines, (1, []))[1]
        places = reading.header(header)
        if reading.mistakes:
            raise SheetError(reading.mistakes)
        for line, cells in lines:
            reading.row(line, cells, places, len(header))
    except _Unreadable as error:
        reading.mistake(error.line, 1, str(error))
    if reading.mistakes:
        raise SheetError(reading.mistakes)
    return Sheet(reading.rows, reading.left_alone)


class _Unreadable(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def _text(data: bytes) -> str:
    # UTF-16 is recognised by its byte order mark. UTF-8 may have one too.
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _Unreadable(line, 'it is not UTF-8; save it as "CSV UTF-8"') from None
    if "\0" in text:
        raise _Unreadable(text[: text.index("\0")].count("\n") + 1, "it contains a NUL, so it is not text")
    return text


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line where it begins. A first line ``sep=;``, as Excel writes it, sets the delimiter."""
    first, _, rest = text.partition("\n")
    declared = re.fullmatch(r'"?sep=(.)"?\r?', first)
    delimiter = declared[1] if declared else max(DELIMITERS, key=first.count)
    offset, line = (1, 0) if declared else (0, 0)
    rows = csv.reader(io.StringIO(rest if declared else text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise _Unreadable(line + offset + 1, f"the quotes don't fit: {error}") from None
        yield line + offset + 1, cells
        line = rows.line_num


@dataclass
class _Reading:
    """The state of reading a sheet."""

    name: str
    default: Action | None
    rows: list[Row] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    left_alone: int = 0
    _lines: dict[str, int] = field(default_factory=dict)  # submission -> the line that decides it

    def mistake(self, line: int, column: int, what: str) -> None:
        self.mistakes.append(f"{self.name}:{line}:{column}: {what}")

    def header(self, cells: list[str]) -> dict[str, int]:
        """Return the number of each known column."""
        places: dict[str, int] = {}
        for number, cell in enumerate(cells, start=1):
            column = cell.strip().lower().replace(" ", "_")
            if column in places:
                self.mistake(1, number, f"{column}: the column occurs twice")
            elif column in COLUMNS:
                places[column] = number
            elif column:
                near = get_close_matches(column, COLUMNS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(COLUMNS)}"
                self.mistake(1, number, f"{cell.strip()!r}: no such column; {hint}")
        needed = ("submission_id",) if self.default else ("submission_id", "action")
        for column in (one for one in needed if one not in places):
            self.mistake(1, 1, f"there is no column {column}")
        return places

    def row(self, line: int, cells: list[str], places: dict[str, int], width: int) -> None:
        """Read a row, or note its mistakes."""
        if not any(cell.strip() for cell in cells):
            return
        # A delimiter in an unquoted message: cells behind it are shifted, and the action may be another's.
        if any(cell.strip() for cell in cells[width:]):
            self.mistake(line, width + 1, f"more cells than the {width} columns of the first line")
            return
        cells_by_column = {
            column: from_csv_cell(cells[number - 1]) if number <= len(cells) else ""
            for column, number in places.items()
        }
        found = len(self.mistakes)
        try:
            action = self._action(cells_by_column)
        except InvalidAction as error:
            for column, what in error.problems:
                self.mistake(line, places.get(column, places.get("action", 1)), f"{column}: {what}")
            return
        if action is None:
            self.left_alone += 1
            return
        self._check_id(line, places["submission_id"], cells_by_column["submission_id"])
        note = self._note(line, places.get("note", 1), cells_by_column.get("note", ""))
        if len(self.mistakes) == found:
            self.rows.append(Row(line, cells_by_column["submission_id"], action, note))

    def _action(self, row: dict[str, str]) -> Action | None:
        """Return the row's action, None if it has none. Raise InvalidAction."""
        given = {column: _value(column, row.get(column, "")) for column in FIELDS}
        if row.get("action"):
            return action_of(row["action"], given)
        if without_action := filled(given):
            raise InvalidAction(*((column, "filled in, and there is no action") for column in without_action))
        # With a default action, a note belongs to that.
        if self.default is None and row.get("note"):
            raise InvalidAction(("note", "filled in, and there is no action"))
        return self.default

    def _check_id(self, line: int, column: int, submission: str) -> None:
        if not submission or not is_readable(submission):
            self.mistake(line, column, "submission_id: the id of a submission is needed")
        elif MADE_A_NUMBER.fullmatch(submission):
            self.mistake(line, column, "submission_id: a spreadsheet has changed it to a number")
        # Which of two decisions would be sent depends on their order: a person has to choose.
        elif submission in self._lines:
            self.mistake(line, column, f"submission_id: line {self._lines[submission]} decides it too")
        else:
            self._lines[submission] = line

    def _note(self, line: int, column: int, note: str) -> str | None:
        try:
            return cleaned(note) if note else None
        except ValueError as error:
            self.mistake(line, column, f"note: {error}")
            return None


def _value(column: str, text: str) -> Any:
    """Return a cell's value. Line ends or | separate reasons, a percentage may have its sign and a comma."""
    match column:
        case "reasons":
            return [part.strip() for part in re.split(r"[\n|]", text) if part.strip()]
        case "percentage" if text:
            return percentage(text)
        case _:
            return text


def percentage(text: str) -> float:
    """Return the number in a text. Raise InvalidAction if there is none."""
    try:
        return float(text.strip().removesuffix("%").strip().replace(",", "."))
    except ValueError:
        raise InvalidAction(("percentage", f"{text!r} is not a number")) from None
