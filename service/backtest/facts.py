"""The facts to judge a past submission by: those of its decision, else those of its completion. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.domain.decision import Facts
from service.domain.submission import Status, Study
from service.review.facts import evidence_facts, facts_of, mark_of_browser
from service.rules import RuleFile, Source
from service.rules.evidence import RECEIVED
from service.rules.facts import parse_time
from service.rules.rulefile import PARTICIPANT, STATS, STUDY
from service.store.past import PastPayload, PastSubmission

# What is known only as of now of a submission that was never decided: the study, and what is computed with it.
TODAY = frozenset({STUDY, PARTICIPANT, "submission.pace", "submission.code_type"})


@dataclass(frozen=True, slots=True)
class PastFacts:
    """The facts of a past submission. ``as_of_now`` are facts, or groups of them, known only as of today."""

    facts: Facts
    as_of_now: frozenset[str] = frozenset()

    def rests_on_today(self, trace: tuple[dict[str, Any], ...]) -> bool:
        """Return True if an evaluated rule read a fact that is known only as of today."""
        return bool(self.as_of_now) and any(
            fact in self.as_of_now or fact.partition(".")[0] in self.as_of_now
            for entry in trace
            for fact in entry["values"]
        )


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the database adds: payloads by source as of the time, and statistics where rules read them."""

    payloads: Mapping[str, PastPayload]
    stats: Facts | None = None
    participant: Facts | None = None


def has_facts(past: PastSubmission) -> bool:
    """Return True if the deciding decision recorded its facts."""
    return past.decision is not None and isinstance(past.decision.facts.get("submission"), dict)


def known_until(past: PastSubmission) -> datetime:
    """Return the time as of which the submission is judged."""
    if past.decision is not None and has_facts(past):
        return parse_time(str(past.decision.facts.get("now"))) or past.decision.decided_at
    completed = past.submission.completed_at or past.first_seen_at
    assert completed is not None, "a submission without a decision has a completion time"
    return completed


def facts_for(
    past: PastSubmission, file: RuleFile, before: RuleFile | None, study: Study | None, gathered: Gathered
) -> PastFacts:
    """Return the facts by which the rules of ``file`` judge a past submission.

    ``before`` is the rule file of the deciding decision, None where it is not known any more.
    """
    if past.decision is not None and has_facts(past):
        return _of_decision(past, past.decision.facts, file, before, gathered)
    return _of_completion(past, file, study, gathered)


def _of_decision(
    past: PastSubmission, recorded: Facts, file: RuleFile, before: RuleFile | None, gathered: Gathered
) -> PastFacts:
    """Return the recorded facts, and beside them what this file declares and the deciding one did not."""
    now = known_until(past)
    completed = recorded["submission"].get("completed_at")
    since = (parse_time(completed) if completed else None) or past.first_seen_at or now
    recorded_evidence = recorded.get("evidence") or {}
    evidence = {}
    for name, source in file.evidence.items():
        payload = gathered.payloads.get(name)
        new = _undeclared(source, before, payload.read_by(file.path)) if payload else None
        then = evidence_facts(source, new, None, since, now)
        if payload and payload.is_browser and new is not None:
            then |= mark_of_browser(source)
        was = recorded_evidence.get(name) or {}
        # Evidence that had not arrived must not count as arrived, although the database has it by now.
        evidence[name] = {**then, **was} if RECEIVED in was else then
    added = _statistics(file, gathered, recorded)
    return PastFacts({**recorded, "evidence": evidence, **added}, frozenset(added) & {PARTICIPANT})


def _undeclared(
    source: Source, before: RuleFile | None, payload: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return what the deciding file did not ask for: of what it asked for, the recorded values count."""
    declared = before.evidence.get(source.name) if before else None
    # The deciding file did not know the source, so that its recorded facts say nothing about it.
    if declared is None:
        return payload
    new = {
        name: value
        for name, value in payload.items()
        if declared.fields.get(name) is not source.fields.get(name)
    }
    return new or None


def _of_completion(
    past: PastSubmission, file: RuleFile, study: Study | None, gathered: Gathered
) -> PastFacts:
    now = known_until(past)
    # Its status of today shows how it was decided, which rules must not read.
    submission = replace(past.submission, status=Status.AWAITING_REVIEW, return_requested_at=None)
    facts = facts_of(
        submission,
        study,
        {name: payload.read_by(file.path) for name, payload in gathered.payloads.items()},
        file,
        completed_by=now,
        now=now,
        browser=[name for name, payload in gathered.payloads.items() if payload.is_browser],
        statistics=_statistics(file, gathered, {}),
    )
    return PastFacts(facts, TODAY)


def _statistics(file: RuleFile, gathered: Gathered, recorded: Facts) -> Facts:
    """Return the computed groups that the file reads and that were not recorded."""
    found: Facts = {STATS: gathered.stats or {}, PARTICIPANT: gathered.participant or {}}
    return {name: found[name] for name in file.groups if name not in recorded}
