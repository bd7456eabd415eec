"""A second rule folder that decides beside the live one: on real traffic, recorded apart, never acting.

It follows the decisions as they are recorded, in a task of its own: whatever fails here, no live decision waits for
it or changes by it.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.backtest.facts import Gathered, facts_for, known_until
from service.backtest.judged import side_of
from service.postgres.database import Database
from service.postgres.periodic import run_every
from service.review.statistics import statistics_of
from service.rulebook.recorded import parsed
from service.rulebook.watcher import Fingerprint, contents, fingerprint, hashes, try_load
from service.rules import RuleBook, RuleFile
from service.rules.rulefile import PARTICIPANT, STATS
from service.store.past import AsOf, PastSubmission, evidence_until
from service.store.rulebooks import kept_file, save_files
from service.store.shadow import (
    ShadowDecision,
    first_floor,
    is_alone,
    record_shadow,
    undecided_by_shadow,
)

EVERY = 2.0  # seconds
NAME = "shadow"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ShadowDecider:
    """Decides by the rules of ``folder`` what the live rules decided."""

    database: Database
    folder: Path
    every: float = EVERY
    _book: RuleBook | None = None
    _seen: Fingerprint | None = None
    _floor: int | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        await run_every(NAME, self.every, self.decide)

    async def decide(self) -> int:
        """Decide what was recorded since the last time; return how many."""
        await self._reload()
        if self._book is None:
            return 0
        async with self.database.begin() as connection:
            # Replicas of the worker share one shadow: two would record each decision twice.
            if not await is_alone(connection):
                return 0
            if self._floor is None:
                self._floor = await first_floor(connection)
            past = await undecided_by_shadow(connection, self._floor)
            decided = [await self._decision(connection, self._book, one) for one in past]
            await record_shadow(connection, decided)
        return len(decided)

    async def _reload(self) -> None:
        """Load the folder if it changed; broken rules leave the last good ones in place."""
        found = await asyncio.to_thread(fingerprint, self.folder)
        if found == self._seen:
            return
        self._seen = found
        loaded = await asyncio.to_thread(try_load, self.folder)
        if isinstance(loaded, tuple):
            errors = [str(finding) for finding in loaded if finding.severity == "error"]
            log.error(
                "shadow.rules_broken", findings=errors, hint="mend the files in AUTOREVIEW_SHADOW_RULES_DIR"
            )
            return
        async with self.database.begin() as connection:
            await save_files(connection, contents(loaded), hashes(loaded))
        self._book = loaded
        log.info("shadow.rules_loaded", files=hashes(loaded))

    async def _decision(
        self, connection: AsyncConnection, book: RuleBook, past: PastSubmission
    ) -> ShadowDecision:
        decision, submission = past.decision, past.submission
        assert decision is not None, "only decisions are followed"
        file = book.file_for(submission.study_id or "", submission.parent_study_id)
        if file is None:
            reason = "No rule file of the shadow claims the study."
            return ShadowDecision(decision.id, submission.id, None, None, None, reason)
        gathered = await self._gathered(connection, past, file)
        try:
            kept = await kept_file(connection, decision.rules_hash or "")
            facts = facts_for(past, file, parsed(kept) if kept else None, None, gathered).facts
            side = side_of(file, facts)
        # Recorded as failed, because it would fail again and block those behind it.
        except Exception as error:
            log.exception("shadow.failed", decision_id=decision.id)
            reason = f"Deciding failed: {type(error).__name__}: {error}"
            return ShadowDecision(decision.id, submission.id, file.hash, None, None, reason)
        return ShadowDecision(
            decision.id, submission.id, file.hash, side.outcome, side.rule, side.reason, side.trace
        )

    async def _gathered(self, connection: AsyncConnection, past: PastSubmission, file: RuleFile) -> Gathered:
        """Gather what the shadow's rules read and the live ones did not: evidence of the time, statistics of now."""
        submission = past.submission
        asked = [AsOf(submission.id, submission.participant_id, known_until(past))]
        payloads = await evidence_until(connection, asked, list(file.evidence))
        statistics = await statistics_of(connection, submission, file)
        return Gathered(payloads.get(submission.id, {}), statistics.get(STATS), statistics.get(PARTICIPANT))
