"""Studies change seldom and each review needs one: fetched once, then kept for a minute."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.domain.submission import Study
from service.prolific.client import Prolific
from service.prolific.errors import NotFound
from service.store.database import Database
from service.store.submissions import see_study

FRESH = 60.0  # seconds


@dataclass(slots=True)
class StudyCache:
    """Studies as Prolific shows them, at most ``FRESH`` seconds old."""

    prolific: Prolific
    database: Database
    timer: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, Study | None]] = field(default_factory=dict)

    async def get(self, study_id: str) -> Study | None:
        """The study, None if Prolific knows none. Raises ProlificError where it can't be asked."""
        fetched_at, study = self._kept.get(study_id, (0.0, None))
        if study_id in self._kept and self.timer() - fetched_at < FRESH:
            return study
        try:
            study = await self.prolific.study(study_id)
        except NotFound:
            study = None
        if study:
            async with self.database.begin() as connection:
                await see_study(connection, study)
        self._kept[study_id] = (self.timer(), study)
        return study
