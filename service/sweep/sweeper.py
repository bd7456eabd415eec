"""One sweep: compare Prolific's lists with the database, and enqueue overdue reviews."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from service.domain.decision import Trigger
from service.domain.submission import Status
from service.errors import ProlificError
from service.postgres.database import Database, database_now
from service.prolific.client import Prolific
from service.prolific.filters import SubmissionFilter
from service.rules import RuleBook
from service.store.overdue import (
    RECENT,
    Cause,
    missing_from_list,
    overdue_timers,
    pending_without_job,
    unprocessed_in_list,
)
from service.store.queue import enqueue_reviews
from service.store.submissions import studies_with_parents

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Swept:
    """The result of a sweep: studies, submissions listed, reviews enqueued by cause, and problems."""

    studies: int = 0
    listed: int = 0
    found: Counter[Cause] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def note(self, overdue: Mapping[str, Cause], study: str | None = None) -> None:
        """Count and log overdue submissions."""
        self.found.update(overdue.values())
        for submission, cause in overdue.items():
            log.warning("sweep.found", submission_id=submission, study_id=study, cause=cause.value)

    def as_dict(self) -> dict[str, Any]:
        return {
            "studies": self.studies,
            "awaiting_review": self.listed,
            "enqueued": self.found.total(),
            "found": {cause.value: self.found[cause] for cause in Cause},
            "problems": self.problems,
        }


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Finds what webhooks missed. ``only`` are the studies to sweep, empty for all known ones."""

    prolific: Prolific
    database: Database
    rules: Callable[[], RuleBook]
    only: tuple[str, ...] = ()

    async def sweep(self) -> Swept:
        """Sweep once. A study that can't be listed does not stop the others."""
        swept = Swept()
        for study in await self._studies(swept):
            swept.studies += 1
            try:
                await self._list(study, swept)
            except ProlificError as error:
                swept.problems.append(f"study {study}: {error}")
        # This part needs only the database, so it runs even if Prolific does not answer.
        async with self.database.begin() as connection:
            overdue = await pending_without_job(connection, await database_now(connection))
            await enqueue_reviews(connection, overdue, Trigger.SWEEP)
            timers = [one for one in await overdue_timers(connection) if one not in overdue]
            await enqueue_reviews(connection, timers, Trigger.RECHECK)
        swept.note(overdue | dict.fromkeys(timers, Cause.TIMER_MISSED))
        return swept

    async def _studies(self, swept: Swept) -> Iterable[str]:
        """Return the configured studies, else those in rule files and webhooks; each needs a rule file."""
        book = self.rules()
        async with self.database.connect() as connection:
            # Each study takes at least one call, so those without recent activity are left out.
            parents = await studies_with_parents(connection, within=RECENT)
        named = [study for file in book.files for study in file.studies or ()]
        known = self.only or (*named, *parents)
        claimed = [study for study in dict.fromkeys(known) if book.file_for(study, parents.get(study))]
        unclaimed = [study for study in self.only if study not in claimed]
        swept.problems += [f"study {study}: no rule file claims it" for study in unclaimed]
        return claimed

    async def _list(self, study: str, swept: Swept) -> None:
        """Enqueue the submissions of a study that its list shows as overdue, and those missing from it.

        Raise IncompleteList before the latter if rows are missing: a part of the list can't show what is gone.
        """
        async with self.database.connect() as connection:
            # By the database's clock, because it is compared with times in the database.
            asked_at = await database_now(connection)
        # Prolific may ignore the status, so that rows are filtered here, too.
        wanted = SubmissionFilter(study=study, status=Status.AWAITING_REVIEW)
        all_listed = set[str]()
        async for page in self.prolific.pages(wanted):
            # A row may be on two pages.
            new = {one.id for one in page.results if wanted.accepts(one.status)}.difference(all_listed)
            listed = sorted(new)
            swept.listed += len(listed)
            all_listed |= new
            # After each page, so that reviews start while a long list is still read.
            async with self.database.begin() as connection:
                overdue = await unprocessed_in_list(connection, listed, asked_at)
                await enqueue_reviews(connection, overdue, Trigger.SWEEP)
            swept.note(overdue, study)
        async with self.database.begin() as connection:
            overdue = await missing_from_list(connection, study, sorted(all_listed), asked_at)
            await enqueue_reviews(connection, overdue, Trigger.SWEEP)
        swept.note(overdue, study)
