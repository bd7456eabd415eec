"""One rule, and the result of evaluating it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from service.domain.decision import Outcome
from service.rules import sentences
from service.rules.actions import PlannedAction
from service.rules.catalogue import origin
from service.rules.cel import Bound, Program, Undecided
from service.rules.facts import FactSheet

SKIPPABLE = frozenset({Outcome.REJECT, Outcome.REQUEST_RETURN})


class Quantifier(StrEnum):
    ALL = "all"
    ANY = "any"
    NONE = "none"


class Result(StrEnum):
    MATCHED = "matched"
    NOT_MATCHED = "not matched"
    UNKNOWN = "unknown"


class State(StrEnum):
    """The result of one condition."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. ``facts`` are those that the source names, in order."""

    source: str
    program: Program
    facts: tuple[str, ...]


Unknown = tuple[Condition, Undecided]


class Answer(NamedTuple):
    """The result of all conditions. ``unknowns`` are those that are undecided, ``decided_by`` those that decided.

    ``states`` are those of all conditions, in order.
    """

    result: Result
    unknowns: tuple[Unknown, ...]
    decided_by: tuple[Condition, ...]
    states: tuple[State, ...]


VERDICTS = {  # the answer of one condition that settles it, to what; and what it is when none does
    Quantifier.ALL: (False, Result.NOT_MATCHED, Result.MATCHED),
    Quantifier.ANY: (True, Result.MATCHED, Result.NOT_MATCHED),
    Quantifier.NONE: (True, Result.NOT_MATCHED, Result.MATCHED),
}


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a rule. A single condition is ``all`` of one. ``facts`` are those that they read, with origins."""

    quantifier: Quantifier
    conditions: tuple[Condition, ...]
    facts: Mapping[str, str]

    @classmethod
    def of(cls, quantifier: Quantifier, conditions: tuple[Condition, ...]) -> "When":
        facts = {fact: origin(fact) for condition in conditions for fact in condition.facts}
        return cls(quantifier, conditions, facts)

    def evaluate(self, bound: Bound) -> Answer:
        """Evaluate in three-valued logic. Every condition is evaluated, because the trace shows its state."""
        settling, settled, else_ = VERDICTS[self.quantifier]
        answers = [condition.program.evaluate(bound) for condition in self.conditions]
        states = tuple(_state(answer) for answer in answers)
        unknowns: list[Unknown] = []
        for condition, answer in zip(self.conditions, answers, strict=True):
            if answer is settling:
                return Answer(settled, (), (condition,), states)
            if isinstance(answer, Undecided):
                unknowns.append((condition, answer))
        if unknowns:
            return Answer(
                Result.UNKNOWN, tuple(unknowns), tuple(condition for condition, _ in unknowns), states
            )
        return Answer(else_, (), self.conditions, states)


def _state(answer: bool | Undecided) -> State:
    if isinstance(answer, Undecided):
        return State.UNKNOWN
    return State.MET if answer else State.NOT_MET


@dataclass(frozen=True, slots=True)
class Asked:
    """The result of a rule for some facts."""

    rule: "Rule"
    result: Result
    values: dict[str, Any]
    why: str
    decided_by: tuple[Condition, ...]
    states: tuple[State, ...]

    @property
    def decides(self) -> bool:
        return self.result is Result.MATCHED and not self.rule.is_observed

    @property
    def is_unknown(self) -> bool:
        """Return True if it might decide with more facts."""
        return self.result is Result.UNKNOWN and not self.rule.is_observed

    def as_trace(self, seen: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Return the rule's entry in the trace.

        Of several conditions it also says how they are combined and which of them decided, of an observed rule
        also what it would decide. ``seen`` are the entries of the facts, which conditions share.
        """
        trace: dict[str, Any] = {
            "rule": self.rule.name,
            "result": self.result.value,
            "values": self.values,
            "why": self.why,
            "conditions": [
                {
                    "text": condition.source,
                    "state": state.value,
                    "facts": [seen[fact] for fact in condition.facts],
                }
                for condition, state in zip(self.rule.when.conditions, self.states, strict=True)
            ],
        }
        if len(self.rule.when.conditions) > 1:
            trace["when"] = self.rule.when.quantifier.value
            trace["decided_by"] = [condition.source for condition in self.decided_by]
        if self.rule.is_observed:
            would = self.rule.plan.outcome.value if self.result is Result.MATCHED else None
            trace |= {"observe": True, "would": would}
        return trace


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``skips_unknown``: a later approve, complete or hold may decide while this rule is unknown.

    ``allow`` are the policy findings that its author accepts knowingly. ``is_observed``: asked where it
    stands and kept in the trace, but without any effect on the verdict.
    """

    name: str
    when: When
    plan: PlannedAction
    tag: str | None = None
    recheck_after: timedelta | None = None
    skips_unknown: bool = False
    allow: frozenset[str] = frozenset()
    is_observed: bool = False

    def ask(self, sheet: FactSheet, bound: Bound) -> Asked:
        result, unknowns, decided_by, states = self.when.evaluate(bound)
        values = {fact: sheet.values.get(fact) for fact in self.when.facts}
        why = _why_unknown(unknowns, sheet) if result is Result.UNKNOWN else sentences.seen(values)
        if self.is_observed:
            why = sentences.observed(why, self.plan.outcome if result is Result.MATCHED else None)
        return Asked(self, result, values, why, decided_by, states)

    def blocks(self, outcome: Outcome) -> bool:
        """Return True if this unknown rule keeps a later one from deciding on ``outcome``."""
        return not self.skips_unknown or outcome in SKIPPABLE


def _why_unknown(unknowns: tuple[Unknown, ...], sheet: FactSheet) -> str:
    missing: dict[str, None] = {}
    errors: dict[str, None] = {}
    for condition, answer in unknowns:
        if answer.why is None:
            missing |= dict.fromkeys(sheet.missing(condition.facts))
        else:
            errors[answer.why] = None
    return sentences.unknowable(missing, errors, sheet)
