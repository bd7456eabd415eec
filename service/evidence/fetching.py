"""Asking sources about submissions: apart from reviews, so that none of them waits for a source.

A review that waits for a source notes in its own transaction that the source is to be asked. Here such notes are
taken, each attempt with a lease: what a killed process had under way is asked again when the lease is over. An
answer is stored as evidence in the transaction that ends the attempt and has the submission reviewed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from service.domain.decision import Trigger
from service.domain.evidence import EvidenceOrigin
from service.domain.submission import Status
from service.errors import AutoreviewError
from service.evidence.answers import Usable, used
from service.evidence.asked import Asked, Failed, NotYet
from service.evidence.sources import Clients
from service.postgres.database import Database, database_now
from service.postgres.periodic import run_every
from service.rules import RuleBook, Source
from service.store.evidence import NewEvidence, add_evidence
from service.store.fetches import FAILED, FOUND, NOT_YET, Due, end_fetch, postpone_fetch, take_due
from service.store.queue import enqueue_reviews
from service.telemetry.metrics import Metrics

LOOK_EVERY = 1.0  # seconds
SOON = 0.1  # seconds between two looks at least
OTHER_RULES = timedelta(
    seconds=10
)  # until a source that this process has no declaration of is looked at again
OVERDUE = timedelta(minutes=10)  # after a source's time; then no process has its declaration any more
AWAITED = frozenset({Status.AWAITING_REVIEW.value, None})
AT_ONCE = 4  # attempts of one source, in each process
LONGEST_BACK_OFF = 8  # times ``retry_every``, while a source fails

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Fetcher:
    """Asks the sources that reviews wait for. Of each, ``AT_ONCE`` attempts are under way at most."""

    rules: Callable[[], RuleBook]
    clients: Clients
    database: Database
    metrics: Metrics
    _running: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Ask until cancelled; attempts under way are given up then, and made again by another process."""
        try:
            await run_every("evidence.fetches", SOON, self._start_due)
        finally:
            for task in self._tasks:
                task.cancel()
            await self.clients.close()

    async def _start_due(self) -> None:
        """Start due attempts, then wait until one ends or ``CHECK_EVERY`` is over."""
        sources = [source for file in self.rules().files for source in file.evidence.values()]
        names = {source.name for source in sources if source.is_asked}
        free = {name: AT_ONCE - self._running[name] for name in names if self._running[name] < AT_ONCE}
        self._ended.clear()
        if free:
            async with self.database.begin() as connection:
                due = await take_due(connection, free)
            for one in due:
                self._running[one.source] += 1
                task = asyncio.create_task(self._attempt(one))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LOOK_EVERY)

    async def _attempt(self, due: Due) -> None:
        structlog.contextvars.bind_contextvars(submission_id=due.submission_id, source=due.source)
        try:
            await self._ask(due)
        except Exception:
            # The lease brings it back.
            log.exception("evidence.fetch_crashed")
        finally:
            self._running[due.source] -= 1
            self._ended.set()

    async def _ask(self, due: Due) -> None:
        # Decided or returned since: nothing would use the answer.
        if due.status not in AWAITED:
            async with self.database.begin() as connection:
                await end_fetch(
                    connection, due, NOT_YET, "the submission no longer awaits review", after=None
                )
            return
        source = self._declared(due)
        if source is None:
            await self._without_declaration(due)
            return
        asked = Asked(due.submission_id, due.participant_id, due.study_id)
        try:
            outcome = await self.clients.client(source).fetch(asked)
        except AutoreviewError as error:
            outcome = Failed(str(error))
        await self._end(due, source, used(source, outcome))

    def _declared(self, due: Due) -> Source | None:
        """Return the source as it was declared when a review had it asked; None if it is not so here."""
        file = self.rules().file_for(due.study_id or "", due.parent_id)
        source = file.evidence.get(due.source) if file else None
        return source if source and source.declaration == due.declaration else None

    async def _without_declaration(self, due: Due) -> None:
        """Leave an attempt to a process with the rules that it was scheduled by, or to a later review."""
        async with self.database.begin() as connection:
            # During a rolling update, processes have different rules: another one may have this declaration.
            is_overdue = await database_now(connection) > due.until + OVERDUE
            if not is_overdue:
                await postpone_fetch(connection, due, OTHER_RULES)
                return
        await self._end(due, None, Failed("no rule file declares the source as it was declared"))

    async def _end(self, due: Due, source: Source | None, outcome: Usable | NotYet | Failed) -> None:
        """Store the result of an attempt, its evidence and the review that follows in one transaction."""
        result, reason = _as_result(outcome)
        async with self.database.begin() as connection:
            now = await database_now(connection)
            after = _next(due, source, outcome, now)
            # Its lease was over, and another process has the attempt now: its answer counts.
            if not await end_fetch(connection, due, result, reason, after=after):
                return
            if source and isinstance(outcome, Usable):
                origin = EvidenceOrigin(source.origin)
                new = NewEvidence(due.source, due.submission_id, dict(outcome.values), origin)
                await add_evidence(connection, [new])
                await enqueue_reviews(connection, [due.submission_id], Trigger.EVIDENCE)
            # The last attempt: the review decides without this evidence, or holds the submission for want of
            # it.
            elif after is None:
                await enqueue_reviews(connection, [due.submission_id], Trigger.RECHECK)
        self.metrics.evidence_fetches.labels(due.source, result).inc()
        write = log.warning if reason and result != NOT_YET else log.info
        write("evidence.fetched", result=result, why=reason, attempt=due.attempts)


def _as_result(outcome: Usable | NotYet | Failed) -> tuple[str, str | None]:
    match outcome:
        case Usable(problem=problem):
            return FOUND, problem
        case NotYet(reason):
            return NOT_YET, reason
        case Failed(reason):
            return FAILED, reason


def _next(
    due: Due, source: Source | None, outcome: Usable | NotYet | Failed, now: datetime
) -> timedelta | None:
    """Return when to ask again: ``retry_every``, longer while the source fails, and not beyond its time."""
    if source is None or isinstance(outcome, Usable) or now >= due.until:
        return None
    times = min(2**due.failures, LONGEST_BACK_OFF) if isinstance(outcome, Failed) else 1
    return source.retry_every * times
