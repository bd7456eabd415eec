"""Judge a submission: from everything known to a decision. Pure: nothing is fetched, read or written here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from service.domain.decision import (
    ANSWER_TIME,
    AlsoRequest,
    Decision,
    Facts,
    Guard,
    Mode,
    Outcome,
    Reject,
    RequestReturn,
    Trigger,
    Verdict,
)
from service.prolific.errors import NoSuchCode
from service.prolific.sending import action_request, also_requests
from service.review.facts import facts_of, still_to_come, to_come
from service.review.guards import UNCONFIRMED_DELAY, Case, Guarded, guard
from service.review.known import Known
from service.review.limits import Excess, Usage
from service.rules.facts import SEEN_AT
from service.rules.rulefile import STATS, RuleFile
from service.store.history import Version

STUDY_LIST_DELAY = timedelta(minutes=10)

# How bad an outcome is for the participant. Prolific pays a hold on day 21.
SEVERITY = {
    Outcome.APPROVE: 0,
    Outcome.HOLD: 1,
    Outcome.COMPLETE: 2,
    Outcome.REQUEST_RETURN: 3,
    Outcome.REJECT: 4,
}

# Facts that our own request changes. A change of these alone makes no new decision.
OWN_EFFECTS = frozenset({"status", "return_requested", "return_requested_at"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """The verdict of the rules on the facts, before guards."""

    facts: Facts
    verdict: Verdict
    rule_file: RuleFile
    mode: Mode

    @property
    def outcome(self) -> Outcome:
        """Return the proposed outcome: *hold* if the rules could not decide."""
        return self.verdict.action.outcome


def propose(known: Known, rule_file: RuleFile, mode: Mode) -> Proposal:
    """Evaluate the rules. The mode is the lesser of the service's ``mode`` and the rule file's."""
    facts = _facts(known, rule_file, known.evidence)
    return Proposal(facts, rule_file.decide(facts), rule_file, mode.at_most(rule_file.mode))


def judge(
    known: Known, proposal: Proposal, usage: Usage | None, trigger: Trigger
) -> tuple[Decision, Excess | None]:
    """Check the guards. Return the decision, and the limit whose breaker it opens."""
    verdict, rule_file, submission = proposal.verdict, proposal.rule_file, known.submission
    guarded = guard(_case(known, proposal, usage))
    decision = Decision(
        submission_id=submission.id,
        study_id=submission.study_id,
        participant_id=submission.participant_id,
        decided_at=known.now,
        trigger=trigger,
        outcome=guarded.action.outcome,
        proposed=verdict.proposed,
        guard=guarded.guard,
        rule=verdict.rule,
        rule_file=rule_file.path,
        rules_hash=rule_file.hash,
        mode=proposal.mode,
        action=guarded.request,
        reason=guarded.reason,
        tag=verdict.tag,
        trace=verdict.trace,
        facts=proposal.facts,
        recheck_at=_recheck_at(known, proposal, guarded),
        also=_also(known, proposal, guarded),
    )
    return decision, guarded.opens


def _also(known: Known, proposal: Proposal, guarded: Guarded) -> tuple[AlsoRequest, ...]:
    """Return what is done beside the outcome: nothing where a guard changed that."""
    also, submission = proposal.verdict.also, known.submission
    # The message or group belongs to an outcome that now does not happen.
    if also is None or guarded.guard is not None or not (submission.participant_id and submission.study_id):
        return ()
    return also_requests(also, submission.participant_id, submission.study_id)


def is_repeat(last: Decision, new: Decision) -> bool:
    """Return True if a review leads to the same decision as the last one. The time alone makes no difference."""
    same = (last.outcome, last.guard, last.action) == (new.outcome, new.guard, new.action)
    return same and _basis(last) == _basis(new)


def still_asks_to_return(known: Known, proposal: Proposal) -> bool:
    """Return True if our request to return is pending and the rules still propose it: there is nothing to record."""
    newest = known.history.newest
    if known.history.asked is None or known.ask_again_at is None or newest is None:
        return False
    # Prolific does not say what a second request does: it is not made.
    is_pending = newest.decision.outcome is Outcome.REQUEST_RETURN and not known.was_decided
    return is_pending and proposal.outcome is Outcome.REQUEST_RETURN


def sources_to_ask(known: Known, proposal: Proposal) -> dict[str, tuple[str, datetime]]:
    """Return the sources that the rules wait for and that are not asked yet: declaration and last time, by name."""
    if proposal.verdict.guard is not Guard.WAITING:
        return {}
    asked = {(fetch.source, fetch.declaration) for fetch in known.history.fetches}
    return {
        name: (source.declaration, known.completed_by + (source.wait or timedelta(0)))
        for name, source in to_come(proposal.rule_file, proposal.facts).items()
        if source.is_asked and (name, source.declaration) not in asked
    }


def _basis(decision: Decision) -> tuple[Any, ...]:
    """Return what a decision depends on, without what our own request changes."""
    facts = {name: value for name, value in decision.facts.items() if name not in ("now", SEEN_AT)}
    submission = facts.get("submission") or {}
    facts["submission"] = {name: value for name, value in submission.items() if name not in OWN_EFFECTS}
    return facts, decision.rule, decision.rules_hash, decision.mode


def _facts(known: Known, rule_file: RuleFile, evidence: Mapping[str, Mapping[str, Any]]) -> Facts:
    return facts_of(
        known.submission,
        known.study,
        evidence,
        rule_file,
        completed_by=known.completed_by,
        now=known.now,
        statistics=known.statistics,
        seen_at=known.all_seen_at,
        fetches=known.history.fetches,
        browser=known.browser,
        compared=known.compared,
    )


def _case(known: Known, proposal: Proposal, usage: Usage | None) -> Case:
    verdict, rule_file = proposal.verdict, proposal.rule_file
    case = Case(known, verdict, proposal.mode, usage, verdict.action, hold_at_most=rule_file.hold_at_most)
    try:
        case = replace(case, request=action_request(verdict.action, known.study))
    except NoSuchCode as error:
        return replace(case, no_code=str(error))
    # A conflict matters only if the outcome is worse than a hold.
    if SEVERITY[proposal.outcome] > SEVERITY[Outcome.HOLD]:
        case = replace(case, conflict=_conflict(known, proposal))
    if isinstance(verdict.action, Reject | RequestReturn):
        case = replace(case, policy=rule_file.policy_problem(verdict, proposal.facts))
    return case


def _conflict(known: Known, proposal: Proposal) -> str | None:
    """Return which source changed a value after completion so that the outcome got worse, None if none did.

    Each earlier payload is judged: if its values that changed since lead to a better outcome, the evidence
    conflicts. A value that was missing before is no change.
    """
    for source in proposal.rule_file.evidence:
        versions = known.versions(source)
        for earlier in versions[1:]:
            changed = _changed(earlier, versions[0])
            before = known.evidence | {source: {**versions[0].payload, **changed}}
            outcome = proposal.rule_file.decide(_facts(known, proposal.rule_file, before)).action.outcome
            # A change in the participant's favour is taken as a correction.
            if SEVERITY[outcome] < SEVERITY[proposal.outcome]:
                return (
                    f"Source {source} changed {', '.join(sorted(changed))} after completion, and the outcome is "
                    f"worse for it: {proposal.outcome} instead of {outcome}."
                )
    return None


def _changed(earlier: Version, newest: Version) -> dict[str, Any]:
    """Return the values of an earlier payload that the newest payload of its source changes or lacks."""
    return {
        name: value
        for name, value in earlier.payload.items()
        if value is not None and newest.payload.get(name) != value
    }


def _recheck_at(known: Known, proposal: Proposal, guarded: Guarded) -> datetime | None:
    """Return when the passing of time may change the decision."""
    verdict, outcome, now = proposal.verdict, guarded.action.outcome, known.now
    times = [guarded.look_at]
    if guarded.guard is Guard.WAITING:
        times.append(still_to_come(proposal.rule_file, proposal.facts, known.completed_by, now))
    # Prolific sends no webhook for an unanswered request: a timer has to look.
    if guarded.guard is None and outcome is Outcome.REQUEST_RETURN:
        times.append(now + (verdict.recheck_after or ANSWER_TIME))
    elif guarded.guard is None and verdict.recheck_after:
        times.append(now + verdict.recheck_after)
    if guarded.guard is not None and known.statistics.get(STATS) == {}:
        times.append(now + STUDY_LIST_DELAY)  # statistics are missing until Prolific's list was read
    # A hold because of a pending request to return may end with the time to answer.
    if outcome is Outcome.HOLD:
        times.append(_if_later(known.answer_until, now))
    if known.unconfirmed and (outcome is Outcome.HOLD or proposal.mode is Mode.OBSERVE):
        times.append(now + UNCONFIRMED_DELAY)
    return min((time for time in times if time), default=None)


def _if_later(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment and moment > now else None
