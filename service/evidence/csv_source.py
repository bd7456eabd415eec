"""``from: csv``: one row for each submission in a file that a platform or a person writes."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.evidence.asked import LONGEST_WAIT, Answered, Asked, Failed, NotYet, Outcome
from service.evidence.csv_table import BadTable, Table, read_table
from service.evidence.threads import in_thread

LARGEST = 64 * 1024 * 1024  # bytes
SETTLED = 5.0  # seconds without a change, after which the last line of a file counts as whole
LOOKS = 3  # at a file that changes while it is read
REST = 10  # times as long as reading took, before a file that changed again is read again

Version = tuple[int, int, int]


class Changing(Exception):
    """The file changed each time that it was read."""


@dataclass(slots=True)
class CsvSource:
    """Reads ``path`` when it changed, and finds rows by the ``key`` column."""

    name: str
    path: Path
    key: str
    columns: Sequence[str]
    clock: Callable[[], float] = time.time
    _read: tuple[Version, bool, Table | str] | None = None
    _rest_until: float = 0.0
    _reading: asyncio.Task[Table | str] | None = None

    async def fetch(self, asked: Asked) -> Outcome:
        """Look for the submission's row. A file that is not there has no row yet."""
        # One thread reads for all who ask. It goes on when they stop waiting, so that a large file is read once.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(in_thread(self._table, name=f"evidence {self.name}"))
            self._reading.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                table = await asyncio.shield(self._reading)
        except TimeoutError:
            return Failed(f"{self.name} could not be read within {LONGEST_WAIT:.0f} s")
        # The platform exports it later, or replaces it right now: no failure.
        except FileNotFoundError:
            return NotYet(f"there is no file {self.name} yet")
        except Changing:
            return Failed(f"{self.name} changed each time that it was read")
        except OSError as error:
            return Failed(f"{self.name} can't be read: {error.strerror or type(error).__name__}")
        return _find(table, asked.submission_id, self.name)

    def _table(self) -> Table | str:
        """Return the rows, or what is wrong with the file. Raise OSError and Changing."""
        status = self.path.stat()
        is_growing = self.clock() - status.st_mtime < SETTLED
        before = self._read
        # An unchanged file is read again when it has settled: only then does its last line count.
        if before and (before[:2] == (_version(status), is_growing) or time.monotonic() < self._rest_until):
            return before[2]
        began = time.monotonic()
        content, version = self._content()
        try:
            found: Table | str = read_table(content, self.key, self.columns, is_growing=is_growing)
        except BadTable as error:
            found = str(error)
        self._read = version, is_growing, found
        self._rest_until = time.monotonic() + REST * (time.monotonic() - began)
        return found

    def _content(self) -> tuple[bytes, Version]:
        """Read the whole file, again where it changed meanwhile."""
        # A file that is overwritten in place can be half old and half new.
        for _ in range(LOOKS):
            with self.path.open("rb") as file:
                before = os.fstat(file.fileno())
                if before.st_size > LARGEST:
                    raise OSError(None, f"it is over {LARGEST // 1024 // 1024} MiB")
                content = file.read(LARGEST + 1)
                if _version(os.fstat(file.fileno())) == _version(before) and len(content) == before.st_size:
                    return content, _version(before)
        raise Changing


def _version(status: os.stat_result) -> Version:
    # With the inode, because a file that is replaced may keep its time and size.
    return status.st_mtime_ns, status.st_size, status.st_ino


def _find(table: Table | str, submission: str, file: str) -> Outcome:
    if isinstance(table, str):
        return Failed(f"{file}: {table}")
    if problem := table.problem(submission):
        return Failed(f"{file}: {problem}")
    row = table.rows.get(submission)
    if row is None:
        return NotYet(f"{file} has no row of the submission yet")
    return Answered(table.document(row), f"{file} row {row.number}")
