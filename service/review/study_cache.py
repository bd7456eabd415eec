"""A cache of studies: each review needs one, and studies seldom change."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from service.domain.submission import Study
from service.postgres.database import Database
from service.prolific.client import Prolific
from service.prolific.errors import NotFound
from service.store.submissions import save_study

MAX_AGE = 60.0  # seconds


@dataclass(slots=True)
class StudyCache:
    """Studies as Prolific shows them, at most ``MAX_AGE`` seconds old."""

    database: Database
    timer: Callable[[], float] = time.monotonic
    _cached: dict[str, tuple[float, Study | None]] = field(default_factory=dict)
    _fetching: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def get(self, study_id: str, prolific: Prolific) -> Study | None:
        """Return the study, None if Prolific knows no such study. Raise ProlificError if it can't be fetched."""
        if self._is_fresh(study_id):
            return self._cached[study_id][1]
        # Reviews of one study begin together: one of them fetches it.
        async with self._fetching[study_id]:
            if not self._is_fresh(study_id):
                self._cached[study_id] = (self.timer(), await self._fetch(study_id, prolific))
        return self._cached[study_id][1]

    def fetched_at(self, study_id: str) -> float:
        """Return when the study was fetched, by ``timer``."""
        return self._cached[study_id][0]

    def _is_fresh(self, study_id: str) -> bool:
        return study_id in self._cached and self.timer() - self._cached[study_id][0] < MAX_AGE

    async def _fetch(self, study_id: str, prolific: Prolific) -> Study | None:
        try:
            study = await prolific.study(study_id)
        except NotFound:
            return None
        async with self.database.begin() as connection:
            await save_study(connection, study)
        return study
