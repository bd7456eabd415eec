"""Studies change seldom and each review needs one: fetched once, then kept for a minute."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from service.domain.submission import Study
from service.postgres.database import Database
from service.prolific.client import Prolific
from service.prolific.errors import NotFound
from service.store.submissions import see_study

FRESH = 60.0  # seconds


@dataclass(slots=True)
class StudyCache:
    """Studies as Prolific shows them, at most ``FRESH`` seconds old."""

    database: Database
    timer: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, Study | None]] = field(default_factory=dict)
    _fetching: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def get(self, study_id: str, prolific: Prolific) -> Study | None:
        """Return the study, None if Prolific knows none. Raise ProlificError where it can't be asked."""
        if self._is_fresh(study_id):
            return self._kept[study_id][1]
        async with self._fetching[study_id]:
            if not self._is_fresh(study_id):
                self._kept[study_id] = (self.timer(), await self._fetch(study_id, prolific))
        return self._kept[study_id][1]

    def fetched_at(self, study_id: str) -> float:
        """Return when the study was fetched, by ``timer``."""
        return self._kept[study_id][0]

    def _is_fresh(self, study_id: str) -> bool:
        return study_id in self._kept and self.timer() - self._kept[study_id][0] < FRESH

    async def _fetch(self, study_id: str, prolific: Prolific) -> Study | None:
        try:
            study = await prolific.study(study_id)
        except NotFound:
            return None
        async with self.database.begin() as connection:
            await see_study(connection, study)
        return study
