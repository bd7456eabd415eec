"""Prolific's list of a study, stored with the submissions seen: the statistics are computed over it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from service.errors import ProlificError
from service.postgres.database import Database, database_now
from service.prolific.client import Prolific
from service.prolific.filters import SubmissionFilter
from service.store.submissions import mark_listed, save_list
from service.telemetry.metrics import Metrics

REFRESH_EVERY = 600.0  # seconds
RETRY_LIST_AFTER = 60.0  # seconds, after a list that failed

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StudyLists:
    """Reads a study's list if its rules use statistics: once per process, then every ten minutes.

    A list that fails or is incomplete does not stop a review. Its rows are stored, it is read again a minute
    later, and statistics stay unknown until one list was complete.
    """

    database: Database
    metrics: Metrics
    timer: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def refresh(self, study_id: str, prolific: Prolific, *, parent_id: str | None = None) -> None:
        """Read the list if it is due. Only the first read of a study makes other reviews wait.

        ``parent_id`` is the study's parent: rows of a list don't name it.
        """
        lock = self._locks[study_id]
        # Statistics of ten minutes ago are better than a wait for a list of many pages.
        if lock.locked() and study_id in self._read:
            return
        async with lock:
            if self.timer() < self._due.get(study_id, float("-inf")):
                return
            try:
                await self._fetch(study_id, prolific, parent_id)
            except ProlificError as error:
                self.metrics.prolific_errors.labels(error.code).inc()
                log.warning("study.list_failed", study_id=study_id, error=str(error), code=error.code)
                self._due[study_id] = self.timer() + RETRY_LIST_AFTER
            else:
                self._read.add(study_id)
                self._due[study_id] = self.timer() + REFRESH_EVERY

    async def _fetch(self, study_id: str, prolific: Prolific, parent_id: str | None) -> None:
        """Store all pages, then mark the list as read. Raise ProlificError without the mark if rows are missing."""
        async with self.database.connect() as connection:
            asked_at = await database_now(connection)
        async for page in prolific.pages(SubmissionFilter(study=study_id)):
            rows = [replace(row, parent_study_id=parent_id) for row in page.results]
            async with self.database.begin() as connection:
                await save_list(connection, rows, claimed=True, asked_at=asked_at)
        async with self.database.begin() as connection:
            await mark_listed(connection, study_id)
