"""The sources of past submissions: the database, or Prolific's list together with the database."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Status, Study, Submission
from service.store.past import CHUNK, PastSubmission, decided_of, past_submissions

# A submission that was never completed has nothing to review.
UNFINISHED = frozenset({Status.RESERVED, Status.ACTIVE, Status.TIMED_OUT})


class PastSource(Protocol):
    """Past submissions. ``is_complete`` is True if all of the study are known, and statistics include them all."""

    @property
    def total(self) -> int: ...
    @property
    def study(self) -> Study | None: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def is_complete(self) -> bool: ...
    def chunks(self) -> AsyncIterator[Sequence[PastSubmission]]:
        """Yield the submissions in the order of completion."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """The submissions of a study in the database."""

    connection: AsyncConnection
    study_id: str
    study: Study | None
    parent_id: str | None
    total: int
    is_complete: bool

    def chunks(self) -> AsyncIterator[Sequence[PastSubmission]]:
        return past_submissions(self.connection, self.study_id)


@dataclass(frozen=True, slots=True)
class Listed:
    """The submissions in Prolific's list of a study. ``connection`` is None without a database."""

    connection: AsyncConnection | None
    submissions: Sequence[Submission]
    study: Study | None
    parent_id: str | None = None
    is_complete: bool = True

    @property
    def total(self) -> int:
        return len(self.submissions)

    async def chunks(self) -> AsyncIterator[Sequence[PastSubmission]]:
        """Yield the completed ones, with the decision where this service made one."""
        completed = {
            (one.completed_at, one.id): one
            for one in self.submissions
            if one.completed_at and one.status not in UNFINISHED
        }
        wanted = [completed[key] for key in sorted(completed)]
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            ids = [one.id for one in chunk]
            known = await decided_of(self.connection, ids) if self.connection else {}
            yield [PastSubmission(one, *known.get(one.id, (None, None))) for one in chunk]
