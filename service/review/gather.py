"""Gather what a decision depends on: the submission at Prolific, and its history in the database."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Facts, Outcome
from service.domain.submission import Study, Submission
from service.postgres.database import Clock
from service.prolific.client import Prolific
from service.review.comparisons import Compared, compare
from service.review.known import Known, compared_since
from service.review.limits import GUARDS, ServiceLimits, Usage
from service.review.statistics import statistics_of
from service.review.study_cache import StudyCache
from service.review.study_lists import StudyLists
from service.rules import RuleBook, RuleFile
from service.rules.rulefile import STUDY, SUBMISSION
from service.store.counting import Window, newest_outcomes, number_in_a_day, reward_in_a_day
from service.store.history import review_history
from service.store.queue import Lease


@dataclass(frozen=True, slots=True)
class Fetched:
    """What Prolific shows. ``study`` is fetched only if a rule file claims the submission.

    ``at`` and ``study_at`` are monotonic times. They become ages, so that two clocks are never compared.
    """

    submission: Submission
    rule_file: RuleFile | None
    study: Study | None
    at: float = field(default_factory=time.monotonic)
    study_at: float = field(default_factory=time.monotonic)

    def seen_at(self, now: datetime) -> dict[str, datetime]:
        """Return when each group of facts was fetched, by the clock of ``now``."""
        elapsed = time.monotonic()
        seen = {SUBMISSION: now - timedelta(seconds=elapsed - self.at)}
        return seen | {STUDY: now - timedelta(seconds=elapsed - self.study_at)} if self.study else seen


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Gathers everything that a decision depends on."""

    studies: StudyCache
    lists: StudyLists
    clock: Clock | None = None

    async def fetch(self, submission_id: str, prolific: Prolific, rules: RuleBook) -> Fetched:
        """Fetch the submission, its study and, if the rules use statistics, the study's list."""
        submission = await prolific.submission(submission_id)
        at = time.monotonic()
        # Without a study, or without rules for it, no further call is needed.
        if submission.study_id is None:
            return Fetched(submission, None, None)
        rule_file = rules.file_for(submission.study_id, submission.parent_study_id)
        if rule_file is None:
            return Fetched(submission, None, None)
        study = await self.studies.get(submission.study_id, prolific)
        # A list of thousands takes many calls: only rules that use statistics pay for it.
        if rule_file.groups:
            await self.lists.refresh(submission.study_id, prolific, parent_id=submission.parent_study_id)
        return Fetched(submission, rule_file, study, at, self.studies.fetched_at(submission.study_id))

    async def known(self, connection: AsyncConnection, fetched: Fetched, lease: Lease | None = None) -> Known:
        """Store the fetched submission and load its history; exact while the study's lock is held."""
        submission, rule_file = fetched.submission, fetched.rule_file
        history = await review_history(
            connection,
            submission,
            claimed=rule_file is not None,
            sources=list(rule_file.evidence) if rule_file else (),
            rule_file=rule_file.path if rule_file else None,
            since=compared_since(submission),
            holds_end=rule_file is not None and rule_file.hold_at_most is not None,
            lease=lease,
        )
        now = self.clock() if self.clock else history.now
        known = Known(submission, fetched.study, {}, history, now, seen_at=fetched.seen_at(now))
        return await compared_with_others(connection, known, rule_file, keep=True) if rule_file else known


async def compared_with_others(
    connection: AsyncConnection, known: Known, rule_file: RuleFile, *, keep: bool
) -> Known:
    """Add the facts that compare the submission with others, and ``keep`` its values for those to come."""
    submission, compared = known.submission, Compared()
    if rule_file.compares and submission.study_id:
        compared = await compare(
            connection, submission.study_id, submission.id, known.evidence, rule_file, keep=keep
        )
    statistics: Facts = {}
    if rule_file.groups:
        statistics = await statistics_of(connection, submission, rule_file, compared.rsi)
    return replace(known, statistics=statistics, compared=compared.counts)


async def usage_of(
    connection: AsyncConnection,
    outcome: Outcome,
    known: Known,
    rule_file: RuleFile,
    service_limits: ServiceLimits,
) -> Usage | None:
    """Count what limits a decision of this outcome. Return None, and read nothing, if no limit applies."""
    limits, submission, now = rule_file.limits, known.submission, known.now
    # A hold may end in an approval (`hold_at_most`), so rewards are counted for it too.
    guard = GUARDS.get(outcome, GUARDS[Outcome.APPROVE])
    rewards = (limits.approve.reward_per_day, service_limits.reward)
    is_open = any(scope.breakers for scope in (known.history.study, known.history.service))
    if guard is GUARDS[Outcome.APPROVE] and rewards == (None, None) and not is_open:
        return None
    own = Window(submission.study_id, known.history.study.windows.get(guard, 0), submission.id)
    everything = Window(None, known.history.service.windows.get(guard, 0), submission.id)
    usage = Usage(limits, service_limits)
    if guard is GUARDS[Outcome.APPROVE] or rule_file.hold_at_most:
        usage = await _with_rewards(connection, usage, known)
    match outcome:
        case Outcome.REJECT:
            last = await newest_outcomes(connection, own, limits.reject.of_last - 1)
            usage = replace(usage, outcomes=last)
            per_day: int | None = service_limits.rejections
        case Outcome.REQUEST_RETURN:
            per_day = service_limits.requests_to_return
        case _:
            return usage
    usage = replace(usage, number=await number_in_a_day(connection, own, outcome, now))
    if per_day is not None:
        usage = replace(usage, number_in_all=await number_in_a_day(connection, everything, outcome, now))
    return usage


async def _with_rewards(connection: AsyncConnection, usage: Usage, known: Known) -> Usage:
    """Sum the rewards paid, if they are limited."""
    submission, now = known.submission, known.now
    guard = GUARDS[Outcome.APPROVE]
    own = Window(submission.study_id, known.history.study.windows.get(guard, 0), submission.id)
    everything = Window(None, known.history.service.windows.get(guard, 0), submission.id)
    if usage.limits.approve.reward_per_day is not None:
        usage = replace(usage, paid=await reward_in_a_day(connection, own, now))
    if usage.service_limits.reward is not None:
        usage = replace(usage, paid_in_all=await reward_in_a_day(connection, everything, now))
    return usage
