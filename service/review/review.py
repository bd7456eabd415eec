"""The path of one submission through a review, from top to bottom.

    begin ─▶ fetch ─▶ [ lock ─▶ gather ─▶ next step ─▶ judge ─▶ record the decision and its attempt ] ─▶ send ─▶ end
                            one transaction, in a slot for calls to Prolific

All that a decision rests on is read under the study's lock, in the transaction that records the attempt to send
it, and the slot for the call is held by then: nothing can change between the decision and its request. A crash
at any point leads to the same requests: what was recorded is judged again, or settled by what Prolific shows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus, Guard, Mode, Trigger
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.postgres.database import Database, database_now
from service.prolific.client import Prolific
from service.prolific.errors import NotFound, Resting, Unreadable
from service.review.apply import Failed, apply, settled
from service.review.failures import FailureCounter
from service.review.gather import Fetched, Gatherer, usage_of
from service.review.judge import judge, propose, sources_to_ask, still_asks_to_return
from service.review.known import Known
from service.review.limits import ServiceLimits
from service.review.next_step import Decide, LookAgain, Resend, Settle, Skip, has_reached, next_step
from service.review.record import Recorder, Recording
from service.review.replies import follows_up, reply_since
from service.review.retry_policy import MOST_IN_AN_HOUR, RetryLater, look_again, wait_for_all
from service.rules import RuleBook
from service.store.decisions import Recorded, add_answer, add_attempt, lock_for_review
from service.store.evidence import is_all_known
from service.store.fetches import ask_sources
from service.store.queue import Lease, LeaseLost, cancel_timer
from service.store.reviews import Answer, Begun, begin_review, end_review, give_up
from service.store.submissions import see_submission
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

NOT_SHOWN = timedelta(
    seconds=30
)  # until a submission that was refused and could not be fetched is fetched again

WHILE_PAUSED = timedelta(seconds=90)

# Hints that something changed: one review that begins after several of them serves them all.
HINTS = frozenset({Trigger.WEBHOOK, Trigger.EVIDENCE})

# What a webhook that says AWAITING REVIEW may be faster than: Prolific moves the submission a moment later.
NOT_COMPLETED = frozenset({Status.RESERVED, Status.ACTIVE, Status.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class ReviewJob:
    """One review: of what, why, at which try; ``again`` is a person's `retry`."""

    submission_id: str
    trigger: Trigger
    tries: int = 1
    again: bool = False
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A review that has nothing to send. ``unread`` is the evidence that it has read."""

    recording: Recording | None = None
    unread: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send now: it is recorded as an attempt."""

    recording: Recording
    attempt: int
    unread: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AskReplies:
    """Whether the participant replied must be known before the decision may follow a request to return."""

    known: Known


@dataclass(frozen=True, slots=True)
class FetchAgain:
    """Other rules came into force since the submission was fetched."""


Decided = Finished | Send | AskReplies | FetchAgain


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What a review needs; built once, in the composition root."""

    prolific: Prolific
    database: Database
    rules: Callable[[], RuleBook]
    mode: Mode
    metrics: Metrics
    gatherer: Gatherer
    recorder: Recorder
    failures: FailureCounter
    service_limits: ServiceLimits
    # Before the lock in the database, which other processes wait for: who waits here keeps no connection meanwhile.
    _deciding: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def review(self, job: ReviewJob) -> Recorded | None:
        """Decide one submission and apply the outcome; None if there is nothing to decide.

        Safe to repeat at any point: the decision and the attempt are stored before Prolific is called. Raise
        RetryLater where a failure may pass, LeaseLost where another worker has the job by now.
        """
        async with self.database.single() as connection:
            begun = await begin_review(connection, job.submission_id, MOST_IN_AN_HOUR)
        if job.trigger in HINTS and not begun.has_news and not job.again:
            log.debug("review.covered_by_an_earlier_one")
            return await self._end(job, begun, Finished())
        if begun.wait:
            raise RetryLater(begun.wait, f"it was reviewed {MOST_IN_AN_HOUR} times within the hour")
        try:
            async with self.prolific.slot() as prolific:
                decided = await self._decide(job, begun, prolific)
                if isinstance(decided, Send):
                    return await self._send(job, begun, decided, prolific)
        except Resting as error:
            raise RetryLater(wait_for_all(error), str(error)) from error
        except ProlificError as error:
            decided = await self._not_shown(job, begun, error)
        return await self._end(job, begun, decided)

    async def crash_delay(self, job: ReviewJob, error: Exception) -> timedelta | None:
        """Return how long to wait after an error of our own; None when retries are exhausted: it is *failed* then."""
        after = await self.failures.crash_delay(job.submission_id)
        if after is None:
            await self.give_up(job, error)
        return after

    async def give_up(self, job: ReviewJob, error: Exception) -> None:
        """Record that the submission can't be reviewed, until something new arrives or a person retries it."""
        async with self.database.single() as connection:
            begun = await begin_review(connection, job.submission_id, MOST_IN_AN_HOUR)
        now = await self._now()
        await self.recorder.record_failure(job.submission_id, job.trigger, self.mode, error, now)
        async with self.database.single() as connection:
            await give_up(connection, job.submission_id, begun)

    async def _decide(self, job: ReviewJob, begun: Begun, prolific: Prolific) -> Finished | Send:
        """Fetch and decide, again if the rules changed meanwhile or replies have to be looked up."""
        fetched = await self.gatherer.fetch(job.submission_id, prolific, self.rules())
        _check_arrived(fetched.submission, job)
        replied: tuple[str | None] | None = None
        while True:
            await prolific.ready()
            study = fetched.submission.study_id or ""
            async with self._deciding[study], self.database.begin() as connection:
                decided = await self._decide_under_lock(connection, job, begun, fetched, replied)
            match decided:
                case AskReplies(known):
                    replied = (await reply_since(known, prolific),)
                case FetchAgain():
                    fetched = await self.gatherer.fetch(job.submission_id, prolific, self.rules())
                case _:
                    self.recorder.report(decided.recording)
                    return decided

    async def _decide_under_lock(
        self,
        connection: AsyncConnection,
        job: ReviewJob,
        begun: Begun,
        fetched: Fetched,
        replied: tuple[str | None] | None,
    ) -> Decided:
        """Gather, decide and record in one transaction."""
        submission = fetched.submission
        alone = self.service_limits.are_set
        await lock_for_review(connection, submission.study_id or "", submission.id, alone=alone)
        known = await self.gatherer.known(connection, fetched, job.lease)
        if not known.history.lease_held:
            raise LeaseLost
        step = next_step(
            submission,
            known.history,
            is_claimed=fetched.rule_file is not None,
            again=job.again,
            only_looks=job.trigger is Trigger.SWEEP and not (begun.has_news or job.again),
        )
        unread = tuple(known.history.unread)
        match step:
            case Settle(decisions):
                settled = Recording(await self._settle(connection, decisions, submission))
                if submission.status is not Status.AWAITING_REVIEW:
                    return Finished(settled, unread)
                # It was asked to be returned. What is new beside that, evidence above all, has to be decided on.
                more = await self._decide_under_lock(connection, job, begun, fetched, replied)
                is_all = isinstance(more, Finished) and more.recording is None
                return Finished(settled, unread) if is_all else more
            case Resend(decision):
                attempt = await add_attempt(connection, decision.id, decision.decision.action)
                return Send(Recording(decision), attempt, unread)
            case LookAgain(reason):
                raise Unreadable(200, reason)
            case Skip():
                await self._skip(connection, step, known)
                return Finished(None, unread)
            case Decide():
                return await self._judge(connection, job, known, fetched, replied)
            case _:
                assert_never(step)

    async def _judge(
        self,
        connection: AsyncConnection,
        job: ReviewJob,
        known: Known,
        fetched: Fetched,
        replied: tuple[str | None] | None,
    ) -> Decided:
        """Ask the rules in force, then the guards; record what comes of it."""
        submission, unread = known.submission, tuple(known.history.unread)
        rule_file = self.rules().file_for(submission.study_id or "", submission.parent_study_id)
        if rule_file is None or rule_file is not fetched.rule_file:
            return FetchAgain()
        if replied:
            known = replace(known, replied=replied[0])
        proposal = propose(known, rule_file, self.mode)
        if still_asks_to_return(known, proposal):
            log.debug("review.still_asks_to_return")
            if job.trigger is Trigger.RECHECK and known.ask_again_at:
                await self.recorder.set_timer(connection, submission.id, known.ask_again_at)
            return Finished(None, unread)
        usage = await usage_of(connection, proposal.outcome, known, rule_file, self.service_limits)
        decision, opens = judge(known, proposal, usage, job.trigger)
        newest = known.history.newest
        if newest and newest.decision.trigger is Trigger.PERSON and decision.guard is not Guard.REOPENED:
            log.info("review.decided_by_a_person", by=newest.decision.by)
            return Finished(None, unread)
        if known.was_asked and replied is None and follows_up(decision):
            return AskReplies(known)
        if decision.guard is Guard.PAUSED and known.unconfirmed:
            raise RetryLater(WHILE_PAUSED, "it is paused, and what was sent before may yet arrive")
        recording = await self.recorder.record(connection, known, decision, opens, again=job.again)
        if asked := sources_to_ask(known, proposal):
            await ask_sources(connection, submission.id, asked)
        if recording.attempt is None:
            return Finished(recording, unread)
        return Send(recording, recording.attempt, unread)

    async def _settle(
        self, connection: AsyncConnection, decisions: tuple[Recorded, ...], submission: Submission
    ) -> Recorded:
        """Record what Prolific shows of decisions whose answer is not known; return the last of them."""
        found = decisions[-1]
        for decision in decisions:
            status = settled(decision, submission)
            attempt = await add_attempt(connection, decision.id, None)
            await add_answer(connection, attempt, status, None, {"status": submission.status.value})
            self.metrics.applications.labels(status.value).inc()
            found = replace(decision, status=status)
        if submission.status is not Status.AWAITING_REVIEW:
            await cancel_timer(connection, submission.id)
        return found

    async def _skip(self, connection: AsyncConnection, skip: Skip, known: Known) -> None:
        submission = known.submission
        if skip.is_unclaimed:
            log.warning(skip.event, study_id=submission.study_id)
            self.metrics.unclaimed.inc()
        else:
            log.info(skip.event, status=submission.status.value)
        if skip.ends_timer and known.history.has_timer:
            await cancel_timer(connection, submission.id)

    async def _send(self, job: ReviewJob, begun: Begun, send: Send, prolific: Prolific) -> Recorded:
        """Send the request and store what came of it; the job ends in the same transaction.

        Raise RetryLater where it failed and the retry policy allows another try.
        """
        recorded = send.recording.recorded
        applied = await apply(recorded, prolific)
        if isinstance(applied, Failed):
            return await self._send_failed(job, begun, send, applied)
        recorded = replace(recorded, status=applied.status)
        await self._end(job, begun, Finished(Recording(recorded), send.unread), applied.stored(send.attempt))
        return recorded

    async def _send_failed(self, job: ReviewJob, begun: Begun, send: Send, failed: Failed) -> Recorded:
        after = await self.failures.retry_delay(job.submission_id, failed.error)
        status = DecisionStatus.PENDING if after else DecisionStatus.FAILED
        recorded, shown = replace(send.recording.recorded, status=status), failed.shown
        async with self.database.begin() as connection:
            stored = failed.stored(send.attempt, status)
            await add_answer(connection, stored.attempt, status, stored.status_code, stored.answer)
            if shown and (shown.status is not Status.AWAITING_REVIEW or has_reached(recorded, shown)):
                recorded = await self._settle(connection, (recorded,), shown)
                await see_submission(connection, shown, claimed=True)
        self.metrics.applications.labels(status.value).inc()
        if recorded.status is DecisionStatus.PENDING or failed.not_shown:
            if failed.not_shown:
                raise RetryLater(NOT_SHOWN, f"{failed.error}; then {failed.not_shown}") from failed.not_shown
            raise RetryLater(after or NOT_SHOWN, str(failed.error)) from failed.error
        if recorded.status is DecisionStatus.FAILED:
            log.error(
                "decision.failed", decision_id=recorded.id, error=str(failed.error), code=failed.error.code
            )
        await self._end(job, begun, Finished(Recording(recorded), send.unread))
        return recorded

    async def _not_shown(self, job: ReviewJob, begun: Begun, error: ProlificError) -> Finished:
        """Prolific did not show what is to be reviewed: try again later, or record that it failed.

        Previews of a survey send evidence for submissions that never existed: that is no failure.
        """
        if isinstance(error, NotFound) and await self._is_only_evidence(job):
            log.info("review.unknown_submission", error=str(error))
            self.metrics.evidence_unknown.inc()
            return Finished(unread=begun.unread)
        after = await self.failures.retry_delay(job.submission_id, error)
        if after is not None:
            raise RetryLater(after, str(error)) from error
        now = await self._now()
        failed = await self.recorder.record_failure(job.submission_id, job.trigger, self.mode, error, now)
        return Finished(Recording(failed), begun.unread)

    async def _is_only_evidence(self, job: ReviewJob) -> bool:
        async with self.database.single() as connection:
            return await is_all_known(connection, job.submission_id)

    async def _end(
        self, job: ReviewJob, begun: Begun, finished: Finished, answer: Answer | None = None
    ) -> Recorded | None:
        async with self.database.single() as connection:
            ended = await end_review(
                connection,
                job.submission_id,
                began=begun.now,
                unread=finished.unread,
                lease=job.lease,
                answer=answer,
            )
        if job.lease:
            job.lease.ended = ended
        if answer:
            self.metrics.applications.labels(answer.status.value).inc()
        return finished.recording.recorded if finished.recording else None

    async def _now(self) -> datetime:
        if self.gatherer.clock:
            return self.gatherer.clock()
        async with self.database.single() as connection:
            return await database_now(connection)


def _check_arrived(submission: Submission, job: ReviewJob) -> None:
    """Raise RetryLater in passing states: a webhook faster than what it reports, a decision being processed.

    Only webhooks of AWAITING REVIEW, or of a status nobody knows, call for a review. A submission that timed out
    may be completed after that.
    """
    is_early = job.trigger is Trigger.WEBHOOK and submission.status in NOT_COMPLETED
    if not is_early and submission.status is not Status.PROCESSING:
        return
    if after := look_again(job.tries):
        raise RetryLater(after, f"it is {submission.status} in passing")
