"""A CSV file as survey platforms and spreadsheets write it: its encoding, its delimiter, its rows by key."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

DELIMITERS = ",;\t|"
BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
IMPORT_ID = '{"ImportId"'  # stands in every cell of the third header row of Qualtrics
LONGEST_HEADER = 1_000_000  # characters
SHARED = 40  # characters of a cell up to which equal ones share their memory


class BadTable(Exception):
    """A file that can't be read; the message names the row and the column where there is one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row's number in the file, as a spreadsheet counts, and its cells."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file by key, ``repeated`` the numbers of rows that share one, ``broken`` why a row can't be read."""

    columns: tuple[str, ...]
    rows: Mapping[str, Row]
    repeated: Mapping[str, list[int]]
    broken: Mapping[str, str]

    def problem(self, key: str) -> str | None:
        """Return why the row of a key can't be used, None if it can."""
        if numbers := self.repeated.get(key):
            return f"rows {', '.join(map(str, numbers[:10]))} are of one submission: one row is needed"
        return self.broken.get(key)

    def document(self, row: Row) -> dict[str, str]:
        return dict(zip(self.columns, row.cells, strict=True))


def read_table(content: bytes, key: str, wanted: Sequence[str], *, is_growing: bool) -> Table:
    """Read the ``key`` and ``wanted`` columns of a file. Raise BadTable.

    Of a file that ``is_growing`` a last line without an end is left out: it may be half of one.
    """
    text = decoded(content)
    if is_growing and not text.endswith(("\n", "\r")):
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    rows = _rows(text)
    header = next(rows, None)
    if header is None:
        raise BadTable("the file is empty")
    names = [name.strip() for name in header.cells]
    columns = tuple(name for name in dict.fromkeys(wanted) if name in names)
    for name in (key, *columns):
        _check_column(name, names)
    places = [names.index(name) for name in columns]
    found: dict[str, Row] = {}
    repeated: dict[str, list[int]] = {}
    broken: dict[str, str] = {}
    at = names.index(key)
    for row in _data(rows):
        cell = row.cells[at].strip() if at < len(row.cells) else ""
        if not cell:
            continue
        # The row is refused as a whole: in shifted cells, values would be those of other columns.
        if problem := _misfit(row, len(names)):
            broken[cell] = problem
            continue
        kept = Row(row.number, tuple(_shared(row.cells[place]) for place in places))
        # Neither the first nor the last is taken: which of them is right is not known.
        if found.setdefault(cell, kept) is not kept:
            repeated.setdefault(cell, [found[cell].number]).append(row.number)
    return Table(columns, found, repeated, broken)


def decoded(content: bytes) -> str:
    """Decode UTF-8, UTF-16 and Windows-1252, by their marks or what can't be anything else. Raise BadTable."""
    encoding = next((name for mark, name in BOMS if content.startswith(mark)), None) or _unmarked(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = (
            f"line {line}: not {encoding.upper()} nor another encoding that is read: save the file as UTF-8"
        )
        raise BadTable(message) from None


def _unmarked(content: bytes) -> str:
    beginning = content[:1000]
    # UTF-16 without a mark: the upper byte of most characters of European languages is 0.
    if beginning and beginning[1::2].count(0) > len(beginning) / 4:
        return "utf-16-le"
    if beginning and beginning[::2].count(0) > len(beginning) / 4:
        return "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        # The end of a file that grows may be half a character.
        return "utf-8" if error.end == len(content) and "unexpected end" in error.reason else "cp1252"
    return "utf-8"


def _rows(text: str) -> Iterator[Row]:
    """Yield the rows that hold something, without the line by which Excel names the delimiter."""
    first = text[:100].split("\n", 1)[0].strip().lower()
    named = first.removeprefix("sep=") if first.startswith("sep=") else None
    if named is not None:
        text = text.split("\n", 1)[1] if "\n" in text else ""
    reader = csv.reader(
        StringIO(text, newline=""), delimiter=named or _delimiter(text), skipinitialspace=True, strict=True
    )
    before = 1 if named is not None else 0
    try:
        for number, cells in enumerate(reader, start=before + 1):
            if any(cells):
                yield Row(number, tuple(cells))
    except csv.Error as error:
        raise BadTable(f"line {reader.line_num + before}: {error}") from None


def _delimiter(text: str) -> str:
    """Return what the header's cells stand apart by: the one that occurs most, outside of quotes."""
    counts, is_quoted = dict.fromkeys(DELIMITERS, 0), False
    for character in text[:LONGEST_HEADER]:
        if character == '"':
            is_quoted = not is_quoted
        elif character in "\r\n" and not is_quoted:
            break
        # Labels of questions contain commas, but in quotes.
        elif character in counts and not is_quoted:
            counts[character] += 1
    return max(counts, key=lambda delimiter: counts[delimiter])


def _check_column(name: str, names: Sequence[str]) -> None:
    if name not in names:
        shown = ", ".join(names[:20])
        raise BadTable(f"there is no column {name}; the first columns are {shown}")
    if names.count(name) > 1:
        raise BadTable(f"column {name} stands in the header {names.count(name)} times")


def _data(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows below the header, without Qualtrics' second and third header rows."""
    labels, import_ids = next(rows, None), next(rows, None)
    # Qualtrics repeats the header as labels and as ids. A file of another platform has data there.
    if import_ids is None or not import_ids.cells[0].startswith(IMPORT_ID):
        yield from (row for row in (labels, import_ids) if row is not None)
    yield from rows


def _misfit(row: Row, width: int) -> str | None:
    """Return how a row differs from the header: its cells may be in the wrong columns."""
    cells = row.cells
    if len(cells) == width or (len(cells) > width and not any(cells[width:])):
        return None
    return (
        f"row {row.number} has {len(cells)} columns and the header {width}: "
        "put quotes around texts that have the delimiter in them"
    )


def _shared(cell: str) -> str:
    """Return one shared object for equal cells, so that a million rows take less memory."""
    return sys.intern(cell) if len(cell) <= SHARED else cell


def read_documents(content: bytes) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yield each row's number and cells by column, or the sentence that says why it can't be read. Raise BadTable."""
    rows = _rows(decoded(content))
    header = next(rows, None)
    if header is None:
        raise BadTable("the file is empty")
    names = [name.strip() for name in header.cells]
    for name in names:
        if name:
            _check_column(name, names)
    for row in _data(rows):
        problem = _misfit(row, len(names))
        yield row.number, problem or dict(zip(names, row.cells, strict=False))
