"""The path of one submission through a review, from top to bottom.

    begin ─▶ fetch ─▶ [ lock ─▶ gather ─▶ next step ─▶ judge ─▶ record the decision and its attempt ] ─▶ send ─▶ end
                            one transaction (decide.py), in a slot for calls to Prolific

The slot for the call is taken before the decision, so that a request is sent right after its attempt is recorded.
A crash at any point leads to the same requests: the next review judges a recorded decision again, or settles it
by what Prolific shows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from service.domain.decision import DecisionStatus, Mode, Trigger
from service.domain.submission import Status
from service.errors import ProlificError
from service.postgres.database import Clock, Database, database_now
from service.prolific.client import Prolific
from service.prolific.errors import CallsPaused, NotFound
from service.review.apply import Failed, apply
from service.review.decide import Decider
from service.review.failures import FailureCounter
from service.review.job import Finished, Recording, ReviewJob, Send
from service.review.next_step import has_reached
from service.review.record import Recorder
from service.review.retry_policy import MOST_IN_AN_HOUR, RetryLater, wait_for_all
from service.store.decisions import Recorded, add_answer
from service.store.evidence import has_only_evidence
from service.store.reviews import Answer, Begun, begin_review, end_review, give_up
from service.store.submissions import save_submission
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

# Until the next fetch of a submission whose request was refused and that could not be fetched.
REFETCH_DELAY = timedelta(seconds=30)

# Triggers that report a change. One review that begins after several of them handles them all.
CHANGE_TRIGGERS = frozenset({Trigger.WEBHOOK, Trigger.EVIDENCE})


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Reviews submissions."""

    prolific: Prolific
    database: Database
    mode: Mode
    metrics: Metrics
    decider: Decider
    recorder: Recorder
    failures: FailureCounter
    clock: Clock | None = None

    async def review(self, job: ReviewJob) -> Recorded | None:
        """Decide one submission and apply the outcome. Return None if there is nothing to decide.

        Safe to repeat at any point: the decision and the attempt are stored before Prolific is called. Raise
        RetryLater if the review is to be repeated later, LeaseLost if another worker has the job.
        """
        async with self.database.single() as connection:
            begun = await begin_review(connection, job.submission_id, MOST_IN_AN_HOUR)
        if job.trigger in CHANGE_TRIGGERS and not begun.has_news and not job.again:
            log.debug("review.covered_by_an_earlier_one")
            # An event may be committed after the look and before this statement. Nothing was fetched since, so
            # nothing counts as handled here.
            return await self._end(job, None, Finished())
        if begun.wait:
            raise RetryLater(begun.wait, f"it was reviewed {MOST_IN_AN_HOUR} times within the hour")
        try:
            async with self.prolific.slot() as prolific:
                decided = await self.decider.decide(job, begun, prolific)
                if isinstance(decided, Send):
                    return await self._send(job, begun, decided, prolific)
        except CallsPaused as error:
            raise RetryLater(wait_for_all(error), str(error)) from error
        except ProlificError as error:
            decided = await self._fetch_failed(job, begun, error)
        return await self._end(job, begun, decided)

    async def crash_delay(self, job: ReviewJob, error: Exception) -> timedelta | None:
        """Count an internal error and return the delay before the next try.

        Return None when retries are exhausted (24 h). The submission then has a failed decision.
        """
        after = await self.failures.crash_delay(job.submission_id)
        if after is None:
            await self.give_up(job, error)
        return after

    async def give_up(self, job: ReviewJob, error: Exception) -> None:
        """Record a failed decision. New events, evidence or the `retry` command start another review."""
        async with self.database.single() as connection:
            begun = await begin_review(connection, job.submission_id, MOST_IN_AN_HOUR)
        now = await self._now()
        await self.recorder.record_failure(job.submission_id, job.trigger, self.mode, error, now)
        async with self.database.single() as connection:
            await give_up(connection, job.submission_id, begun)

    async def _send(self, job: ReviewJob, begun: Begun, send: Send, prolific: Prolific) -> Recorded:
        """Send the request, then store its result and end the job in one transaction.

        Raise RetryLater if the request failed and the retry policy allows another try.
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
            # Somebody else may have decided the submission first, which is why Prolific refused the request.
            if shown and (shown.status is not Status.AWAITING_REVIEW or has_reached(recorded, shown)):
                recorded = await self.recorder.settle(connection, (recorded,), shown)
                await save_submission(connection, shown, claimed=True)
        self.metrics.applications.labels(status.value).inc()
        # The attempt has its answer, so that a review now would send again without knowing the status.
        if failed.not_shown:
            raise RetryLater(REFETCH_DELAY, f"{failed.error}; then {failed.not_shown}") from failed.not_shown
        if recorded.status is DecisionStatus.PENDING:
            raise RetryLater(after or REFETCH_DELAY, str(failed.error)) from failed.error
        if recorded.status is DecisionStatus.FAILED:
            log.error(
                "decision.failed", decision_id=recorded.id, error=str(failed.error), code=failed.error.code
            )
        await self._end(job, begun, Finished(Recording(recorded), send.unread))
        return recorded

    async def _fetch_failed(self, job: ReviewJob, begun: Begun, error: ProlificError) -> Finished:
        """Raise RetryLater, or record a failed decision when retries are exhausted."""
        # A preview of a survey sends evidence for submissions that never existed: not a failure.
        if isinstance(error, NotFound) and await self._has_only_evidence(job):
            log.info("review.unknown_submission", error=str(error))
            self.metrics.evidence_unknown.inc()
            return Finished(unread=begun.unread)
        after = await self.failures.retry_delay(job.submission_id, error)
        if after is not None:
            raise RetryLater(after, str(error)) from error
        now = await self._now()
        failed = await self.recorder.record_failure(job.submission_id, job.trigger, self.mode, error, now)
        return Finished(Recording(failed), begun.unread)

    async def _has_only_evidence(self, job: ReviewJob) -> bool:
        async with self.database.single() as connection:
            return await has_only_evidence(connection, job.submission_id)

    async def _end(
        self, job: ReviewJob, begun: Begun | None, finished: Finished, answer: Answer | None = None
    ) -> Recorded | None:
        async with self.database.single() as connection:
            is_followed = await end_review(
                connection,
                job.submission_id,
                began=begun.now if begun else None,
                unread=finished.unread,
                lease=job.lease,
                answer=answer,
            )
        if job.lease and is_followed is not None:
            job.lease.ended, job.lease.is_followed = True, is_followed
        if answer:
            self.metrics.applications.labels(answer.status.value).inc()
        return finished.recording.recorded if finished.recording else None

    async def _now(self) -> datetime:
        if self.clock:
            return self.clock()
        async with self.database.single() as connection:
            return await database_now(connection)
