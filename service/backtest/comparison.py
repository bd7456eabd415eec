"""Counts over all submissions of a backtest. Pure."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.backtest.intervals import rate
from service.backtest.judged import PAYING, Judged
from service.domain.decision import Outcome

UNDECIDED = "undecided"
EXPLAINED = 500  # changed submissions that keep their explanations: memory stays flat
TAKES_AWAY = frozenset({Outcome.REJECT, Outcome.REQUEST_RETURN})


@dataclass(slots=True)
class RuleCount:
    """The results of a rule: how many submissions it was evaluated for, by result.

    ``is_observed`` is True for a rule that never decides; ``would`` is the outcome it would have had.
    """

    reached: int = 0
    matched: int = 0
    unknown: int = 0
    because: Counter[str] = field(default_factory=Counter)
    is_observed: bool = False
    would: str | None = None

    def add(self, entry: dict[str, Any]) -> None:
        self.reached += 1
        self.matched += entry["result"] == "matched"
        self.is_observed = entry.get("observe", False)
        self.would = entry.get("would") or self.would
        # Only missing facts explain it: a fact with a value did not make the condition unknown.
        if entry["result"] == "unknown":
            self.unknown += 1
            unknown = (condition for condition in entry["conditions"] if condition["state"] == "unknown")
            facts = (fact for condition in unknown for fact in condition["facts"])
            self.because.update({fact["fact"] for fact in facts if fact["value"] is None})

    def labelled(self, rule: str) -> str:
        """Return the rule's name for people, with what an observed rule would have done."""
        if not self.is_observed:
            return rule
        effect = f": would {self.would.replace('_', ' ')}" if self.would else ""
        return f"{rule} (only observed{effect})"


@dataclass(slots=True)
class Money:
    """Money in minor units. ``saved`` was paid by the old decisions only, ``newly_paid`` by the new ones only."""

    approved_old: Decimal = Decimal(0)
    approved_new: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    newly_paid: Decimal = Decimal(0)
    held: Decimal = Decimal(0)

    def add(self, judged: Judged) -> None:
        old, new = judged.old, judged.new
        self.approved_new += new.pays or 0
        if new.outcome is Outcome.HOLD:
            self.held += judged.reward or 0
        if old is None:
            return
        self.approved_old += old.pays or 0
        if old.outcome in PAYING and new.outcome in TAKES_AWAY:
            self.saved += old.pays or 0
        if old.outcome not in PAYING and new.outcome in PAYING:
            self.newly_paid += new.pays or 0

    def as_json(self) -> dict[str, Any]:
        return {
            "approved": {"old": _amount(self.approved_old), "new": _amount(self.approved_new)},
            "saved": _amount(self.saved),
            "newly_paid": _amount(self.newly_paid),
            "held": _amount(self.held),
        }


def _amount(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


@dataclass(slots=True)
class Comparison:
    """The result of judging a study's past submissions. Only the changed ones are kept."""

    study: str
    rules: dict[str, RuleCount]
    submissions: int = 0
    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: list[Judged] = field(default_factory=list)
    money: Money = field(default_factory=Money)
    as_of_now: int = 0
    times: "array[int]" = field(default_factory=lambda: array("q"))  # seconds, of all submissions

    @classmethod
    def of(cls, study: str, rules: Sequence[str]) -> "Comparison":
        """Begin with the names of the rules that judge."""
        return cls(study, {rule: RuleCount() for rule in rules})

    def add(self, judged: Judged) -> None:
        self.submissions += 1
        old = judged.old.outcome.value if judged.old else UNDECIDED
        self.matrix[old, judged.new.outcome.value] += 1
        self.as_of_now += judged.as_of_now
        self.money.add(judged)
        if judged.taken is not None:
            self.times.append(judged.taken)
        for entry in judged.new.trace:
            self.rules.setdefault(entry["rule"], RuleCount()).add(entry)
        # Those that contradict a person are always explained: they are read first, and are few.
        if judged.is_changed:
            is_explained = judged.contradicts or len(self.changed) < EXPLAINED
            self.changed.append(judged if is_explained else judged.without_traces())

    @property
    def contradictions(self) -> int:
        """Return how many changed submissions a person decided."""
        return sum(judged.contradicts for judged in self.changed)

    def old(self, outcome: str) -> int:
        return sum(number for (old, _), number in self.matrix.items() if old == outcome)

    def new(self, outcome: str) -> int:
        return sum(number for (_, new), number in self.matrix.items() if new == outcome)

    def in_order(self) -> list[Judged]:
        """The changed ones: those that contradict a person first, then rejections, then by outcomes."""
        return sorted(
            self.changed,
            key=lambda one: (
                not one.contradicts,
                one.new.outcome is not Outcome.REJECT,
                one.old.outcome.value if one.old else "",
                one.new.outcome.value,
                one.submission_id,
            ),
        )

    def rates(self) -> dict[str, Any]:
        """Return each outcome's share, of what was decided and of what is decided now."""
        decided = self.submissions - self.old(UNDECIDED)
        found: dict[str, Any] = {
            outcome.value: {
                "old": rate(self.old(outcome.value), decided).as_json(),
                "new": rate(self.new(outcome.value), self.submissions).as_json(),
            }
            for outcome in Outcome
        }
        return found | {"changed": rate(len(self.changed), self.submissions).as_json()}

    def as_json(self) -> dict[str, Any]:
        """Return the result for scripts."""
        matrix: dict[str, dict[str, int]] = {}
        for (old, new), number in sorted(self.matrix.items()):
            matrix.setdefault(old, {})[new] = number
        return {
            "study": self.study,
            "submissions": self.submissions,
            "matrix": matrix,
            "changed": [_changed(judged) for judged in self.in_order()],
            "rules": [
                {
                    "rule": rule,
                    "matched": count.matched,
                    "unknown": count.unknown,
                    "unknown_because": dict(count.because.most_common()),
                    "reached": count.reached,
                }
                for rule, count in self.rules.items()
            ],
            "money": self.money.as_json(),
            "rates": self.rates(),
            "as_of_now": self.as_of_now,
        }


def _changed(judged: Judged) -> dict[str, Any]:
    old = judged.old
    return {
        "submission_id": judged.submission_id,
        "old": old.outcome.value if old else UNDECIDED,
        "new": judged.new.outcome.value,
        "old_rule": old.rule if old else None,
        "new_rule": judged.new.rule,
        "reason": judged.new.reason,
        "manual": judged.is_manual,
    }
