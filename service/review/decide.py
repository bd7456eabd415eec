"""The decision step of a review: one transaction under the study's lock.

    [ lock ─▶ gather ─▶ next step ─▶ judge ─▶ record the decision and its attempt ]

Everything that a decision depends on is read under the study's lock, in the transaction that records the attempt
to send it. So nothing can change between the decision and its attempt.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Guard, Mode, Trigger
from service.domain.submission import Status, Submission
from service.postgres.database import Database
from service.prolific.client import Prolific
from service.prolific.errors import Unreadable
from service.review.gather import Fetched, Gatherer, usage_of
from service.review.job import Finished, Recording, ReviewJob, Send
from service.review.judge import judge, propose, sources_to_ask, still_asks_to_return
from service.review.known import Known
from service.review.limits import ServiceLimits
from service.review.next_step import Decide, LookAgain, Resend, Settle, Skip, next_step
from service.review.record import Recorder
from service.review.replies import follows_up, reply_since
from service.review.retry_policy import RetryLater, not_visible_delay
from service.rules import RuleBook
from service.store.decisions import add_attempt, lock_for_review
from service.store.fetches import ask_sources
from service.store.queue import LeaseLost, cancel_timer, set_timer
from service.store.reviews import Begun
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

PAUSED_RETRY = timedelta(seconds=90)

# Prolific sends the webhook of AWAITING REVIEW shortly before its API shows that status.
NOT_COMPLETED = frozenset({Status.RESERVED, Status.ACTIVE, Status.TIMED_OUT})

# The result of looking up the participant's replies: (None,) without a reply, None before the lookup.
Replied = tuple[str | None] | None


@dataclass(frozen=True, slots=True)
class AskReplies:
    """The decision follows a request to return: look up the participant's replies first."""

    known: Known


@dataclass(frozen=True, slots=True)
class FetchAgain:
    """The rules in force changed after the submission was fetched, or another review recorded something.

    The status that was fetched may be older than that record. ``records`` is the number of records to expect then.
    """

    records: int


Decided = Finished | Send | AskReplies | FetchAgain


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides fetched submissions and records the decisions."""

    database: Database
    rules: Callable[[], RuleBook]
    mode: Mode
    metrics: Metrics
    gatherer: Gatherer
    recorder: Recorder
    service_limits: ServiceLimits
    # Reviews of one study in this process wait here, so that they hold no connection while they wait. The lock in
    # the database excludes other processes.
    _study_locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def decide(self, job: ReviewJob, begun: Begun, prolific: Prolific) -> Finished | Send:
        """Fetch and decide. Repeat if the basis changed since the fetch, or replies had to be looked up.

        Raise RetryLater if the submission is in a passing status, LeaseLost if another worker has the job, and
        ProlificError if Prolific does not show the submission.
        """
        fetched = await self.gatherer.fetch(job.submission_id, prolific, self.rules())
        _check_status(fetched.submission, job)
        replied: Replied = None
        while True:
            await prolific.ready()
            study = fetched.submission.study_id or ""
            async with self._study_locks[study], self.database.begin() as connection:
                decided = await self._decide_under_lock(connection, job, begun, fetched, replied)
            match decided:
                case AskReplies(known):
                    replied = (await reply_since(known, prolific),)
                case FetchAgain(records):
                    begun = replace(begun, records=records)
                    fetched = await self.gatherer.fetch(job.submission_id, prolific, self.rules())
                case _:
                    self.recorder.report(decided.recording)
                    return decided

    async def _decide_under_lock(
        self, connection: AsyncConnection, job: ReviewJob, begun: Begun, fetched: Fetched, replied: Replied
    ) -> Decided:
        """Gather, decide and record in one transaction."""
        submission = fetched.submission
        alone = self.service_limits.are_set
        await lock_for_review(connection, submission.study_id or "", submission.id, alone=alone)
        known = await self.gatherer.known(connection, fetched, job.lease)
        # Another worker took the job over, for example while this process was suspended.
        if not known.history.lease_held:
            raise LeaseLost
        # A decision was recorded after the fetch: what was fetched may be older than that.
        if known.history.records != begun.records:
            log.debug("review.recorded_meanwhile")
            return FetchAgain(known.history.records)
        return await self._take_step(connection, job, begun, known, fetched, replied)

    async def _take_step(
        self,
        connection: AsyncConnection,
        job: ReviewJob,
        begun: Begun,
        known: Known,
        fetched: Fetched,
        replied: Replied,
    ) -> Decided:
        """Record the next step, or judge the submission."""
        submission = fetched.submission
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
                settled = Recording(await self.recorder.settle(connection, decisions, submission))
                # Settled by an outcome: there is nothing left to decide.
                if submission.status is not Status.AWAITING_REVIEW:
                    return Finished(settled, unread)
                # The request to return was made, and the submission still awaits review: new evidence may decide it.
                known = await self.gatherer.known(connection, fetched, job.lease)
                more = await self._take_step(connection, job, begun, known, fetched, replied)
                is_all = isinstance(more, Finished) and more.recording is None
                return Finished(settled, unread) if is_all else more
            case Resend(decision):
                # A manual decision does not depend on the rules, so it is sent without judging.
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
        self, connection: AsyncConnection, job: ReviewJob, known: Known, fetched: Fetched, replied: Replied
    ) -> Decided:
        """Evaluate the rules in force and the guards, and record the decision."""
        submission, unread = known.submission, tuple(known.history.unread)
        rule_file = self.rules().file_for(submission.study_id or "", submission.parent_study_id)
        # The new rules may need facts that were not fetched, such as the study's list.
        if rule_file is None or rule_file is not fetched.rule_file:
            return FetchAgain(known.history.records)
        if replied:
            known = replace(known, replied=replied[0])
        proposal = propose(known, rule_file, self.mode)
        if still_asks_to_return(known, proposal):
            log.debug("review.still_asks_to_return")
            # The timer that led here is gone, and this is the last thing that would look again.
            if job.trigger is Trigger.RECHECK and known.ask_again_at:
                await set_timer(connection, submission.id, known.ask_again_at)
            return Finished(None, unread)
        # Noted in this transaction: after a crash the source is asked, or the submission is not decided
        # either.
        if asked := sources_to_ask(known, proposal):
            await ask_sources(connection, submission.id, asked)
        usage = await usage_of(connection, proposal.outcome, known, rule_file, self.service_limits)
        decision, opens = judge(known, proposal, usage, job.trigger)
        newest = known.history.newest
        # The rules never overrule a manual decision.
        if newest and newest.decision.trigger is Trigger.PERSON and decision.guard is not Guard.REOPENED:
            log.info("review.decided_by_a_person", by=newest.decision.by)
            return Finished(None, unread)
        # The lookup calls Prolific, so it happens outside of the transaction and its lock.
        if known.was_asked and replied is None and follows_up(decision):
            return AskReplies(known)
        # A recorded hold would take the place of a request whose result is still to come.
        if decision.guard is Guard.PAUSED and known.unconfirmed:
            raise RetryLater(
                PAUSED_RETRY, "the service is paused and an earlier request may still take effect"
            )
        recording = await self.recorder.record(connection, known, decision, opens, again=job.again)
        if recording.attempt is None:
            return Finished(recording, unread)
        return Send(recording, recording.attempt, unread)

    async def _skip(self, connection: AsyncConnection, skip: Skip, known: Known) -> None:
        submission = known.submission
        if skip.is_unclaimed:
            log.warning(skip.event, study_id=submission.study_id)
            self.metrics.unclaimed.inc()
        else:
            log.info(skip.event, status=submission.status.value)
        if skip.ends_timer and known.history.has_timer:
            await cancel_timer(connection, submission.id)


def _check_status(submission: Submission, job: ReviewJob) -> None:
    """Raise RetryLater if the status is about to change: a webhook came first, or Prolific is processing a request.

    After the last try, return: a participant may complete a submission that timed out.
    """
    is_early = job.trigger is Trigger.WEBHOOK and submission.status in NOT_COMPLETED
    if not is_early and submission.status is not Status.PROCESSING:
        return
    if after := not_visible_delay(job.tries):
        raise RetryLater(after, f"its status is {submission.status}")
