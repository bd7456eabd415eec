"""CSV files of platforms and spreadsheets, and damaged ones."""

import os
import time
from pathlib import Path

import pytest

from service.evidence.asked import Answered, Asked, Failed, NotYet, Outcome
from service.evidence.csv_source import CsvSource
from service.evidence.csv_table import BadTable, read_table

PLAIN = "SESSION_ID,failed,comment\ns1,2,fine\ns2,0,ok\n"
QUALTRICS = (
    "StartDate\tSESSION_ID\tfailed\n"
    'Start Date\tSession\t"How many,\nin all?"\n'
    '"{""ImportId"":""startDate""}"\t"{""ImportId"":""SESSION_ID""}"\t"{""ImportId"":""QID1""}"\n'
    "2026-01-01\ts1\t2\n"
)


def source(path: Path) -> CsvSource:
    return CsvSource(path.name, path, "SESSION_ID", ("failed", "comment"))


async def ask(path: Path, submission: str = "s1") -> Outcome:
    return await source(path).fetch(Asked(submission, "p1", "study"))


def values(content: bytes, submission: str = "s1") -> dict[str, str]:
    table = read_table(content, "SESSION_ID", ("failed", "comment"), is_growing=False)
    return table.document(table.rows[submission])


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace("\ns1", "\n\n\ns1").encode(),
    ],
)
def test_csv_encodings_delimiters_and_line_ends_are_recognised(content: bytes) -> None:
    assert values(content) == {"failed": "2", "comment": "fine"}


def test_csv_file_that_is_not_utf_8_is_read_as_windows_1252() -> None:
    assert values(PLAIN.replace("fine", "très “bien”").encode("cp1252"))["comment"] == "très “bien”"


def test_csv_header_rows_of_qualtrics_are_recognised() -> None:
    table = read_table(QUALTRICS.encode("utf-16"), "SESSION_ID", ("failed",), is_growing=False)
    assert {key: row.cells for key, row in table.rows.items()} == {"s1": ("2",)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"session,failed\n", "there is no column SESSION_ID; the first columns are session, failed"),
        (b"SESSION_ID,failed,failed\n", "column failed stands in the header 2 times"),
        (b'SESSION_ID,failed\ns1,"2\n', "line 2: unexpected end of data"),
        (b"SESSION_ID,failed\ns1,\x81\xff\n", "save the file as UTF-8"),
    ],
)
def test_unreadable_csv_file_is_reported_with_its_position(content: bytes, reason: str) -> None:
    with pytest.raises(BadTable, match=reason.replace("(", "\\(")):
        read_table(content, "SESSION_ID", ("failed",), is_growing=False)


async def test_duplicate_csv_key_fails_only_its_submission(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{PLAIN}s1,3,again\n", encoding="utf-8")
    assert await ask(path) == Failed("a.csv: rows 2, 4 are of one submission: one row is needed")
    assert isinstance(await ask(path, "s2"), Answered)


async def test_csv_row_with_too_many_columns_fails_only_its_submission(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{PLAIN}s3,1,well, maybe\ns4,1,,,\n", encoding="utf-8")
    found = await ask(path, "s3")
    assert isinstance(found, Failed)
    assert "row 4 has 4 columns and the header 3" in found.reason
    assert isinstance(await ask(path, "s2"), Answered)
    assert isinstance(await ask(path, "s4"), Answered)


async def test_missing_csv_file_or_row_means_not_yet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert await ask(path) == NotYet("there is no file a.csv yet")
    path.write_text(PLAIN, encoding="utf-8")
    assert await ask(path, "s9") == NotYet("a.csv has no row of the submission yet")


async def test_incomplete_last_csv_line_means_not_yet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN + "s3,1", encoding="utf-8")
    assert isinstance(await ask(path, "s1"), Answered)
    assert isinstance(await ask(path, "s3"), NotYet)
    path.write_text(PLAIN + "s3,12,whole", encoding="utf-8")
    os.utime(path, (time.time() - 60, time.time() - 60))
    found = await ask(path, "s3")
    assert isinstance(found, Answered)
    assert found.document == {"failed": "12", "comment": "whole"}


async def test_csv_file_is_read_again_only_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PLAIN, encoding="utf-8")
    os.utime(path, (1, 1))
    table = source(path)
    assert isinstance(await table.fetch(Asked("s1", None, None)), Answered)
    first = table._read
    assert isinstance(await table.fetch(Asked("s2", None, None)), Answered)
    assert table._read is first
    table._rest_until = 0.0
    (tmp_path / "new.csv").write_text(f"{PLAIN}s3,1,new\n", encoding="utf-8")
    (tmp_path / "new.csv").replace(path)
    assert isinstance(await table.fetch(Asked("s3", None, None)), Answered)


async def test_csv_folder_or_oversized_file_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "a.csv"
    folder.mkdir()
    assert isinstance(await ask(folder), Failed)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    assert await ask(large) == Failed("large.csv can't be read: it is over 64 MiB")
