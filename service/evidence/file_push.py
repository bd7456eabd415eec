"""A file that a person pushes: each row is a delivery, read as a platform's would be."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.domain.evidence import EvidenceOrigin
from service.errors import AutoreviewError
from service.evidence.csv_table import BadTable, read_documents
from service.evidence.rows import RowAnswer, read_rows, store_rows
from service.postgres.database import Database
from service.rules import RuleBook, RuleFile

LARGEST = 64 * 1024 * 1024  # bytes
BATCH = 500  # rows in one transaction


class BadEvidenceFile(AutoreviewError):
    """The file can't be read as rows of evidence."""

    code = "evidence_file"


@dataclass(slots=True)
class Pushed:
    """The results of the rows: counts by result, and the number and message of each refused row."""

    stored: int = 0
    repeated: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, answer: RowAnswer) -> None:
        self.stored += answer.status == 202
        self.repeated += answer.status == 200
        if answer.refused:
            self.refused.append((number, str(answer.refused)))
        self.warnings += [(number, warning) for warning in answer.warnings]

    def as_dict(self) -> dict[str, Any]:
        return {
            "stored": self.stored,
            "repeated": self.repeated,
            "refused": [{"row": number, "error": sentence} for number, sentence in self.refused],
            "warnings": [{"row": number, "warning": sentence} for number, sentence in self.warnings],
        }


def read_file(path: Path) -> list[tuple[int, dict[str, str] | str]]:
    """Return the numbered rows of a CSV file. Raise BadEvidenceFile."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadEvidenceFile(f"{path} is over {LARGEST} bytes.")
        return list(read_documents(path.read_bytes()))
    except OSError as error:
        raise BadEvidenceFile(f"{path} can't be read: {error.strerror}.") from None
    except BadTable as error:
        raise BadEvidenceFile(f"{path}: {error}.") from None


async def push_rows(
    database: Database,
    book: RuleBook,
    source: str,
    rows: Sequence[tuple[int, dict[str, str] | str]],
    *,
    is_dry: bool,
    advance: Callable[[int], object] = lambda _: None,
) -> Pushed:
    """Store the rows, each batch in a transaction of its own; ``is_dry``: store nothing and say what would be."""
    files = book.files_receiving(source)
    pushed = Pushed()
    for batch in _batches(rows):
        answers = await _push_batch(database, book, source, files, batch, is_dry=is_dry)
        for (number, _), answer in zip(batch, answers, strict=True):
            pushed.add(number, answer)
        advance(len(batch))
    return pushed


async def _push_batch(
    database: Database,
    book: RuleBook,
    source: str,
    files: Sequence[RuleFile],
    batch: Sequence[tuple[int, dict[str, str] | str]],
    *,
    is_dry: bool,
) -> list[RowAnswer]:
    read = await read_rows(source, files, [row for _, row in batch])
    if is_dry:
        async with database.engine.connect() as connection:  # its transaction is rolled back at the end
            return await store_rows(connection, source, read, book, EvidenceOrigin.FILE)
    async with database.begin() as connection:
        return await store_rows(connection, source, read, book, EvidenceOrigin.FILE)


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
