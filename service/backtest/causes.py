"""The effect of each difference between two versions of a rule file, applied alone. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from service.backtest.judged import side_of
from service.domain.decision import Facts, Outcome
from service.rules import RuleFile, cel
from service.rules.facts import FactSheet
from service.rules.rule import Result, Rule
from service.rules.rulefile import groups_read

OTHERWISE = "otherwise"


@dataclass(slots=True)
class Difference:
    """A difference applied to the old file alone: how many outcomes it changes, and some of them."""

    rule: str
    difference: str
    variant: RuleFile
    asked: tuple[Rule, ...]
    changes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, submission_id: str, facts: Facts, old: Outcome) -> None:
        """Count a submission if the difference changes its outcome."""
        if self._can_matter(facts) and side_of(self.variant, facts).outcome is not old:
            self.changes += 1
            if len(self.examples) < 5:
                self.examples.append(submission_id)

    def _can_matter(self, facts: Facts) -> bool:
        """Return True if the old or the new rule has another result than *not matched*."""
        # ``otherwise`` applies to every submission that no rule decides.
        if not self.asked:
            return True
        sheet = FactSheet.read(facts, self.variant.types)
        bound = self.variant.environment.bind(sheet.values, self.variant.types)
        return any(rule.when.evaluate(bound).result is not Result.NOT_MATCHED for rule in self.asked)

    def as_json(self) -> dict[str, object]:
        return {
            "rule": self.rule,
            "difference": self.difference,
            "changes": self.changes,
            "examples": self.examples,
        }


def causes(old: RuleFile, new: RuleFile) -> list[Difference]:
    """Return each rule that was added, removed, changed or moved, and ``otherwise`` if that differs."""
    both = _joined(old, new)
    found = [
        Difference(rule, difference, _with(both, rules), asked)
        for rule, difference, rules, asked in _differences(old, new)
    ]
    if old.fallback != new.fallback:
        found.append(Difference(OTHERWISE, "changed", replace(both, fallback=new.fallback), ()))
    return found


def _joined(old: RuleFile, new: RuleFile) -> RuleFile:
    """Return the old file, able to evaluate the rules of both."""
    types = {**new.types, **old.types}
    return replace(
        old,
        evidence={**new.evidence, **old.evidence},
        types=types,
        environment=cel.Environment(types),
        groups=old.groups | new.groups,
    )


def _with(file: RuleFile, rules: tuple[Rule, ...]) -> RuleFile:
    return replace(file, rules=rules, groups=file.groups | groups_read(rules, file.fallback))


def _differences(
    old: RuleFile, new: RuleFile
) -> Iterator[tuple[str, str, tuple[Rule, ...], tuple[Rule, ...]]]:
    before, after = {rule.name: rule for rule in old.rules}, {rule.name: rule for rule in new.rules}
    for name, rule in before.items():
        if name not in after:
            yield name, "removed", tuple(one for one in old.rules if one is not rule), (rule,)
        elif not same(rule, after[name]):
            changed = tuple(after[name] if one is rule else one for one in old.rules)
            yield name, "changed", changed, (rule, after[name])
    for index, rule in enumerate(new.rules):
        if rule.name not in before:
            yield rule.name, "added", _inserted(old.rules, new.rules[:index], rule), (rule,)
    for name in _moved(list(before), list(after)):
        rule = before[name]
        others = tuple(one for one in old.rules if one is not rule)
        place = next(index for index, one in enumerate(new.rules) if one.name == name)
        yield name, "moved", _inserted(others, new.rules[:place], rule), (rule,)


def same(one: Rule, other: Rule) -> bool:
    """Return True if two rules are equal. Compiled conditions are compared by their text."""
    return _essence(one) == _essence(other)


def _essence(rule: Rule) -> tuple[object, ...]:
    when = (rule.when.quantifier, tuple(condition.source for condition in rule.when.conditions))
    return when, rule.plan, rule.skips_unknown, rule.allow, rule.is_observed


def _inserted(rules: tuple[Rule, ...], before: tuple[Rule, ...], rule: Rule) -> tuple[Rule, ...]:
    """Return the rules with one more, behind the nearest that stands before it in the new file."""
    names = [one.name for one in rules]
    place = next((names.index(one.name) + 1 for one in reversed(before) if one.name in names), 0)
    return (*rules[:place], rule, *rules[place:])


def _moved(before: list[str], after: list[str]) -> list[str]:
    """Return the fewest names that have to move to turn one order into the other."""
    kept = [name for name in after if name in before]
    place = {name: index for index, name in enumerate(before)}
    best: list[list[str]] = []
    for name in kept:  # the longest part that is still in order (longest increasing subsequence)
        before_it = [run for run in best if place[run[-1]] < place[name]]
        best.append([*_longest(before_it), name])
    stays = set(_longest(best))
    return [name for name in kept if name not in stays]


def _longest(runs: list[list[str]]) -> list[str]:
    return max(runs, key=len) if runs else []
