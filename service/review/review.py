"""The way of one submission through a review. Safe to run again at any point."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from service.domain.decision import DecisionStatus, Mode, Trigger
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.ops.metrics import Metrics
from service.prolific.client import Prolific
from service.review.application import Applier, has_reached
from service.review.judging import judge
from service.review.lists import StudyLists
from service.review.recalling import recall
from service.review.reckoning import groups_read
from service.review.recording import Recorder
from service.review.studies import StudyCache
from service.review.treatment import RetryLater, look_again, retry_after
from service.rules import RuleBook, RuleFile
from service.store.database import Database, database_now
from service.store.decisions import Recorded, may_have_arrived, newest
from service.store.evidence import Said, evidence_waits, mark_evidence_handled, newest_evidence
from service.store.inbox import event_waits, mark_events_handled
from service.store.submissions import Seen, see_submission

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


# Hints that something changed: one review that begins after several of them serves them all.
HINTS = frozenset({Trigger.WEBHOOK, Trigger.EVIDENCE})


@dataclass(frozen=True, slots=True)
class Waiting:
    """What had come in of a submission when its review ``began``."""

    began: datetime
    said: Said
    calls_for_review: bool


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What a review needs; built once, in the composition root."""

    prolific: Prolific
    database: Database
    rules: Callable[[], RuleBook]
    mode: Mode
    metrics: Metrics
    studies: StudyCache
    lists: StudyLists
    recorder: Recorder
    applier: Applier
    clock: Clock = utc_now

    async def review(self, submission_id: str, trigger: Trigger, tries: int = 1) -> Recorded | None:
        """Decide one submission and apply the outcome; None if it awaits no review or no file claims it.

        Safe to run again at any point: the decision is on disk before Prolific is asked to act. Raises
        RetryLater where Prolific refused in a way that passes.
        """
        waiting = await self._waiting(submission_id)
        if trigger in HINTS and not waiting.calls_for_review:
            log.debug("review.covered_by_an_earlier_one")
            return None
        try:
            submission = await self.prolific.submission(submission_id)
            _there_yet(submission, trigger, tries)
            recorded = await self._decide(submission, waiting.said, trigger)
        except ProlificError as error:
            recorded = await self._refused(submission_id, trigger, error, tries)
        if recorded and recorded.status is DecisionStatus.PENDING and recorded.decision.action:
            recorded = replace(recorded, status=await self.applier.apply(recorded, tries))
        async with self.database.begin() as connection:
            await mark_events_handled(connection, submission_id, waiting.began)
            await mark_evidence_handled(connection, waiting.said.rows)
        return recorded

    async def _waiting(self, submission_id: str) -> Waiting:
        """What came in of the submission, as of now by the clock that stamps it: the database's."""
        async with self.database.connect() as connection:
            return Waiting(
                began=await database_now(connection),
                said=await newest_evidence(connection, submission_id),
                calls_for_review=await event_waits(connection, submission_id)
                or await evidence_waits(connection, submission_id),
            )

    async def _decide(self, submission: Submission, said: Said, trigger: Trigger) -> Recorded | None:
        rule_file = self.rules().file_for(submission.study_id) if submission.study_id else None
        async with self.database.begin() as connection:
            seen = await see_submission(connection, submission, claimed=rule_file is not None)
            last = await newest(connection, submission.id)
            sent = last is not None and await may_have_arrived(connection, last.id)
        if last and last.status is DecisionStatus.PENDING:
            if submission.status is not Status.AWAITING_REVIEW or has_reached(last, submission):
                return replace(last, status=await self.applier.settle(last, submission))
            if sent:
                # Prolific may be at it: the same request again does no harm, another one might.
                return last
        if submission.status is not Status.AWAITING_REVIEW:
            log.info("review.nothing_to_decide", status=submission.status.value)
            return None
        if rule_file is None:
            log.warning("review.unclaimed", study_id=submission.study_id)
            self.metrics.unclaimed.inc()
            return None
        return await self._decide_by(rule_file, submission, said, seen, last, trigger)

    async def _decide_by(
        self,
        rule_file: RuleFile,
        submission: Submission,
        said: Said,
        seen: Seen,
        last: Recorded | None,
        trigger: Trigger,
    ) -> Recorded:
        study = await self.studies.get(submission.study_id or "")
        if groups_read(rule_file):
            await self.lists.refresh(submission.study_id or "")
        async with self.database.connect() as connection:
            known = await recall(connection, rule_file, submission, study, said.payloads, seen)
        decision = judge(known, rule_file, self.mode, trigger, self.clock())
        return await self.recorder.record(decision, rule_file.limits.reject, last)

    async def _refused(
        self, submission_id: str, trigger: Trigger, error: ProlificError, tries: int
    ) -> Recorded:
        """Prolific would not show what is to be reviewed: try again later, or record that it failed."""
        self.metrics.prolific_errors.labels(error.code).inc()
        after = retry_after(error, tries)
        if after is not None:
            raise RetryLater(after, str(error)) from error
        return await self.recorder.record_failure(submission_id, trigger, self.mode, error, self.clock())


def _there_yet(submission: Submission, trigger: Trigger, tries: int) -> None:
    """Raises RetryLater in passing states: a webhook faster than what it tells of, a decision being processed.

    The sources: reference 0.5 and 2.2.
    """
    is_early = trigger is Trigger.WEBHOOK and submission.status in {Status.RESERVED, Status.ACTIVE}
    if not is_early and submission.status is not Status.PROCESSING:
        return
    if after := look_again(tries):
        raise RetryLater(after, f"it is {submission.status} in passing")
