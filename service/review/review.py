"""The way of one submission through a review. Safe to run again at any point."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from service.domain.decision import DecisionStatus, Guard, Mode, Outcome, Trigger
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.ops.metrics import Metrics
from service.prolific.client import Prolific
from service.prolific.errors import Unreadable
from service.review.application import Applier, has_reached
from service.review.judging import judge
from service.review.lists import StudyLists
from service.review.recalling import recall
from service.review.reckoning import groups_read
from service.review.recording import Recorder
from service.review.replies import follows_up, reply_since
from service.review.studies import StudyCache
from service.review.treatment import MOST_IN_AN_HOUR, RetryLater, look_again, wait_for_all
from service.review.troubles import Troubles
from service.rules import RuleBook, RuleFile
from service.store.brakes import pause_of
from service.store.database import Database, database_now
from service.store.decisions import Recorded, may_have_arrived, newest
from service.store.evidence import Said, evidence_waits, mark_evidence_handled, newest_evidence
from service.store.inbox import event_waits, mark_events_handled
from service.store.queue import Lease
from service.store.submissions import Seen, see_submission
from service.store.troubles import begin_review, end_troubles

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


WHILE_PAUSED = timedelta(seconds=90)

# Hints that something changed: one review that begins after several of them serves them all.
HINTS = frozenset({Trigger.WEBHOOK, Trigger.EVIDENCE})

# How a decision that was sent can end; one whose submission awaits review all the same was reopened.
SETTLED = frozenset({DecisionStatus.APPLIED, DecisionStatus.ALREADY, DecisionStatus.SUPERSEDED})


NOT_COMPLETED = frozenset({Status.RESERVED, Status.ACTIVE, Status.TIMED_OUT})

# What says nothing of what became of a decision that may have arrived (reference 2.2).
UNSETTLED = frozenset({Status.PROCESSING, Status.UNKNOWN})


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
    troubles: Troubles
    clock: Clock = utc_now

    async def review(
        self,
        submission_id: str,
        trigger: Trigger,
        *,
        tries: int = 1,
        again: bool = False,
        lease: Lease | None = None,
    ) -> Recorded | None:
        """Decide one submission and apply the outcome; None if it awaits no review or no file claims it.

        Safe to run again at any point: the decision is on disk before Prolific is asked to act. ``again``
        sends once more what failed. Raises RetryLater where Prolific refused in a way that passes, LeaseLost
        where another worker has the job by now.
        """
        waiting = await self._waiting(submission_id)
        if trigger in HINTS and not waiting.calls_for_review and not again:
            log.debug("review.covered_by_an_earlier_one")
            return None
        await self._begin(submission_id)
        try:
            submission = await self.prolific.submission(submission_id)
            _there_yet(submission, trigger, tries)
            recorded = await self._decide(submission, waiting, trigger, again=again, lease=lease)
            if recorded and recorded.status is DecisionStatus.PENDING and recorded.decision.action:
                recorded = replace(recorded, status=await self.applier.apply(recorded, lease))
        except ProlificError as error:
            recorded = await self._refused(submission_id, trigger, error)
        async with self.database.begin() as connection:
            await mark_events_handled(connection, submission_id, waiting.began)
            await mark_evidence_handled(connection, waiting.said.rows)
            await end_troubles(connection, submission_id)
        return recorded

    async def stumble(self, submission_id: str, trigger: Trigger, error: Exception) -> timedelta | None:
        """An error of our own: after how long to try again; None once it came for so long that it is a *failed*."""
        after = await self.troubles.stumble(submission_id)
        if after is None:
            await self.recorder.record_failure(submission_id, trigger, self.mode, error, self.clock())
        return after

    async def _waiting(self, submission_id: str) -> Waiting:
        """What came in of the submission, as of now by the clock that stamps it: the database's."""
        async with self.database.connect() as connection:
            return Waiting(
                began=await database_now(connection),
                said=await newest_evidence(connection, submission_id),
                calls_for_review=await event_waits(connection, submission_id)
                or await evidence_waits(connection, submission_id),
            )

    async def _begin(self, submission_id: str) -> None:
        """Raises RetryLater where Prolific is left alone now, or was asked of this submission often enough."""
        try:
            self.prolific.check_pace()
        except ProlificError as error:
            raise RetryLater(wait_for_all(error), str(error)) from None
        async with self.database.begin() as connection:
            left = await begin_review(connection, submission_id, MOST_IN_AN_HOUR)
        if left:
            raise RetryLater(left, f"it was reviewed {MOST_IN_AN_HOUR} times within the hour")

    async def _decide(
        self, submission: Submission, waiting: Waiting, trigger: Trigger, *, again: bool, lease: Lease | None
    ) -> Recorded | None:
        rule_file = self.rules().file_for(submission.study_id) if submission.study_id else None
        async with self.database.begin() as connection:
            seen = await see_submission(connection, submission, claimed=rule_file is not None)
            last = await newest(connection, submission.id)
            sent = last is not None and await may_have_arrived(connection, last.id)
            pause = await pause_of(connection, submission.study_id)
        if last:
            how = {"sent": sent, "again": again, "pause": bool(pause)}
            if open_one := await self._go_on(last, submission, rule_file, **how):
                return open_one
        if submission.status is not Status.AWAITING_REVIEW:
            log.info("review.nothing_to_decide", status=submission.status.value)
            await self._cancel_timer(submission)
            return None
        if last and _by_a_person(last) and last.status not in SETTLED:
            log.info("review.decided_by_a_person", by=last.decision.by)
            return None
        only_looks = trigger is Trigger.SWEEP and not (waiting.calls_for_review or again)
        if last and _has_failed(last) and only_looks:
            log.info("review.still_failed", decision_id=last.id)
            return None
        if rule_file is None:
            log.warning("review.unclaimed", study_id=submission.study_id)
            self.metrics.unclaimed.inc()
            return None
        return await self._decide_by(rule_file, submission, waiting.said, seen, last, trigger, lease)

    async def _go_on(
        self,
        last: Recorded,
        submission: Submission,
        rule_file: RuleFile | None,
        *,
        sent: bool,
        again: bool,
        pause: bool,
    ) -> Recorded | None:
        """What is to become of a decision that is not done; None where the rules are to be asked.

        What failed is only settled, if it may have arrived, unless it is to be sent ``again``.
        """
        is_open = last.status is DecisionStatus.PENDING or (again and _has_failed(last))
        if not is_open and not (sent and _has_failed(last)):
            return None
        if submission.status is not Status.AWAITING_REVIEW or has_reached(last, submission):
            return await self._settle(last, submission, sent=sent)
        if not is_open:
            return None
        if _by_a_person(last) or ((sent or again) and not pause and self._may_be_sent(last, rule_file)):
            # Prolific may be at it: the same request again does no harm, another one might.
            return replace(last, status=DecisionStatus.PENDING)
        if sent and pause and last.status is DecisionStatus.PENDING:
            raise RetryLater(WHILE_PAUSED, "it is paused, and what was sent before may yet arrive")
        return None

    async def _settle(self, last: Recorded, submission: Submission, *, sent: bool) -> Recorded:
        """Prolific shows what became of it. Raises Unreadable where it may be at it still."""
        if sent and submission.status in UNSETTLED:
            raise Unreadable(200, f"What was sent is not confirmed, and it is {submission.status}.")
        if submission.status is not Status.AWAITING_REVIEW:
            await self._cancel_timer(submission)
        return replace(last, status=await self.applier.settle(last, submission))

    def _may_be_sent(self, recorded: Recorded, rule_file: RuleFile | None) -> bool:
        """Whether what was decided earlier would be sent now: the mode may have been lowered since."""
        mode = self.mode.at_most(rule_file.mode if rule_file else None)
        approves = recorded.decision.outcome is Outcome.APPROVE
        return mode is Mode.LIVE or (mode is Mode.APPROVE_ONLY and approves)

    async def _cancel_timer(self, submission: Submission) -> None:
        """It awaits no review any more: whatever was to be looked at later has been answered."""
        await self.recorder.cancel_timer(submission.study_id, submission.id)

    async def _decide_by(
        self,
        rule_file: RuleFile,
        submission: Submission,
        said: Said,
        seen: Seen,
        last: Recorded | None,
        trigger: Trigger,
        lease: Lease | None,
    ) -> Recorded | None:
        study = await self.studies.get(submission.study_id or "")
        if groups_read(rule_file):
            await self.lists.refresh(submission.study_id or "")
        async with self.database.connect() as connection:
            known = await recall(connection, rule_file, submission, study, said.payloads, seen)
        decision = judge(known, rule_file, self.mode, trigger, self.clock())
        if last and _by_a_person(last) and decision.guard is not Guard.REOPENED:
            log.info("review.decided_by_a_person", by=last.decision.by)
            return None
        if follows_up(known, decision):
            known = replace(known, replied=await reply_since(known, self.prolific))
            decision = judge(known, rule_file, self.mode, trigger, decision.decided_at)
        return await self.recorder.record(decision, rule_file, last, lease)

    async def _refused(self, submission_id: str, trigger: Trigger, error: ProlificError) -> Recorded:
        """Prolific would not show what is to be reviewed: try again later, or record that it failed."""
        after = await self.troubles.meet(submission_id, error)
        if after is not None:
            raise RetryLater(after, str(error)) from error
        return await self.recorder.record_failure(submission_id, trigger, self.mode, error, self.clock())


def _by_a_person(recorded: Recorded) -> bool:
    """A person's word is never overruled, not even by what comes to light later."""
    return recorded.decision.trigger is Trigger.PERSON


def _has_failed(recorded: Recorded) -> bool:
    return recorded.status is DecisionStatus.FAILED and recorded.decision.action is not None


def _there_yet(submission: Submission, trigger: Trigger, tries: int) -> None:
    """Raises RetryLater in passing states: a webhook faster than what it tells of, a decision being processed.

    Only webhooks of AWAITING REVIEW, or of a status nobody knows, call for a review; one that timed out may be
    completed after that. The sources: reference 0.5, 2.2 and 2.3.
    """
    is_early = trigger is Trigger.WEBHOOK and submission.status in NOT_COMPLETED
    if not is_early and submission.status is not Status.PROCESSING:
        return
    if after := look_again(tries):
        raise RetryLater(after, f"it is {submission.status} in passing")
