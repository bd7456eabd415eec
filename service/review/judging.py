"""From all that is known of a submission to its decision: nothing is asked, fetched or written here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.domain.decision import Decision, Facts, Guard, Mode, Outcome, Trigger, Verdict
from service.domain.submission import Study, Submission
from service.review.facts import facts_of, still_to_come
from service.review.guards import ANSWER_TIME, Guarded, Situation, guarded
from service.review.reckoning import STATS
from service.rules import RuleFile

LIST_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Known:
    """A submission with its study, what the evidence says, what is reckoned over others, and its past.

    ``completed_by`` stands in for a completion time that Prolific does not give; ``asked_at`` is when the
    participant was asked to return it, by us or somebody else, and ``answer_until`` by when to answer.
    """

    submission: Submission
    study: Study | None
    said: Mapping[str, Mapping[str, Any]]
    reckoned: Facts
    completed_by: datetime
    decided_before: bool
    asked_at: datetime | None
    answer_until: datetime | None
    replied: str | None = None  # why the participant counts as having answered it


def judge(known: Known, rule_file: RuleFile, mode: Mode, trigger: Trigger, now: datetime) -> Decision:
    """What the rules say and the guards let stand; brakes and limits, which need a lock, come when it is recorded."""
    submission, facts = known.submission, _facts(known, rule_file, now)
    verdict = rule_file.decide(facts)
    lesser = mode.at_most(rule_file.mode)
    policy = rule_file.policy_problem(verdict, facts)
    standing = guarded(verdict, _situation(known, lesser, policy, now))
    return Decision(
        submission_id=submission.id,
        study_id=submission.study_id,
        participant_id=submission.participant_id,
        decided_at=now,
        trigger=trigger,
        outcome=standing.action.outcome,
        proposed=verdict.proposed,
        guard=standing.guard,
        rule=verdict.rule,
        rule_file=rule_file.path,
        rules_hash=rule_file.hash,
        mode=lesser,
        action=standing.request,
        reason=standing.reason,
        tag=verdict.tag,
        trace=verdict.trace,
        facts=facts,
        recheck_at=_recheck_at(known, rule_file, verdict, standing, facts, now),
    )


def _facts(known: Known, rule_file: RuleFile, now: datetime) -> Facts:
    return facts_of(
        known.submission,
        known.study,
        known.said,
        rule_file,
        completed_by=known.completed_by,
        now=now,
        reckoned=known.reckoned,
    )


def _situation(known: Known, mode: Mode, policy: str | None, now: datetime) -> Situation:
    return Situation(
        submission=known.submission,
        study=known.study,
        mode=mode,
        decided_before=known.decided_before,
        asked_at=known.asked_at,
        answer_until=known.answer_until,
        replied=known.replied,
        policy=policy,
        now=now,
    )


def _recheck_at(
    known: Known, rule_file: RuleFile, verdict: Verdict, standing: Guarded, facts: Facts, now: datetime
) -> datetime | None:
    """When time alone may change what comes of a review."""
    times = []
    if standing.guard is Guard.WAITING:
        times.append(still_to_come(rule_file, facts, known.submission.completed_at or known.completed_by))
    if standing.guard is None and standing.action.outcome is Outcome.REQUEST_RETURN:
        times.append(now + (verdict.recheck_after or ANSWER_TIME))
    elif standing.guard is None and verdict.recheck_after:
        times.append(now + verdict.recheck_after)
    if standing.guard is not None and known.reckoned.get(STATS) == {}:
        times.append(now + LIST_AGAIN)  # Prolific's list was never read: no reason to leave it to a person
    if standing.action.outcome is Outcome.HOLD and known.answer_until and known.answer_until > now:
        times.append(known.answer_until)  # the request to return is still open, whatever is held meanwhile
    return min((time for time in times if time), default=None)
