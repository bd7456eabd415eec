"""The counterfactual of a decision: the smallest change of one fact that changes the outcome. Pure."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

from service.domain.decision import Facts, Guard, Outcome
from service.rules import sentences
from service.rules.boundaries import Literals, nearest
from service.rules.catalogue import CATALOGUE
from service.rules.facts import FactSheet, Plain
from service.rules.rule import Condition
from service.rules.rulefile import RuleFile

TIMES = frozenset(
    {
        "submission.time_taken",
        "submission.pace",
        "submission.started_at",
        "submission.completed_at",
        "submission.return_requested_at",
    }
)

# Guards under which any outcome of the rules is held.
ALL_HELD = frozenset({Guard.PAUSED, Guard.REOPENED})


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A fact's value with which the outcome would have been another."""

    fact: str
    value: Plain
    outcome: Outcome

    def __str__(self) -> str:
        return sentences.would_change(self.fact, self.value, self.outcome)

    def as_json(self) -> dict[str, Any]:
        return {"fact": self.fact, "value": self.value, "outcome": self.outcome.value}


def counterfactual(file: RuleFile, facts: Facts, *, besides: Outcome | None = None) -> Counterfactual | None:
    """Return the smallest change of one fact that leads to another outcome; None if no single fact decides.

    Facts of evidence come before times, and times before the rest; of these, what is missing comes first, then what
    the deciding rule reads. Within one fact the nearest value counts. ``besides`` is an outcome that is no change
    either: what the guards made of the rules' own.
    """
    sheet = FactSheet.read(facts, file.types)
    verdict = file.decide_on(sheet)
    same = {file.outcome(sheet), besides}
    facts_read = sorted(_facts(file, verdict.rule), key=lambda fact: (_rank(fact), fact in sheet.values))
    return next(filter(None, (_of_fact(file, sheet, fact, same) for fact in facts_read)), None)


def of_decision(file: RuleFile, facts: Facts, outcome: Outcome, guard: Guard | None) -> Counterfactual | None:
    """Return what would have changed a recorded decision of the rules."""
    if guard in ALL_HELD:
        return None
    return counterfactual(file, facts, besides=outcome if guard else None)


def _of_fact(
    file: RuleFile, sheet: FactSheet, fact: str, same: Container[Outcome | None]
) -> Counterfactual | None:
    conditions = (condition for condition in _conditions(file) if fact in condition.facts)
    usual = CATALOGUE[fact].default if fact in CATALOGUE else None
    literals = Literals(conditions, file.environment.text, usual if isinstance(usual, str) else None)

    def differs(value: Plain) -> bool:
        return file.outcome(sheet.changed(fact, value)) not in same

    value = nearest(file.types[fact], sheet.values.get(fact), literals, differs)
    return None if value is None else Counterfactual(fact, value, file.outcome(sheet.changed(fact, value)))


def _conditions(file: RuleFile) -> Iterable[Condition]:
    return (condition for rule in file.rules if not rule.is_observed for condition in rule.when.conditions)


def _facts(file: RuleFile, deciding: str | None) -> list[str]:
    """Return the facts that decisions rest on, those of the deciding rule first."""
    rules = [rule for rule in file.rules if not rule.is_observed]
    rules.sort(key=lambda rule: rule.name != deciding)
    named = [fact for rule in rules for fact in rule.when.facts]
    named += [fact for rule in rules for text in rule.plan.texts for fact in text.facts]
    return list(dict.fromkeys(named))


def _rank(fact: str) -> int:
    return 0 if fact.startswith("evidence.") else 1 if fact in TIMES else 2
