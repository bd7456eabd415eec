"""Which rules can decide beside the ones before them, by trying every way their conditions can come out.

Only conditions that compare facts with literals are tried: between two literals nothing changes, so one value for
each literal and each gap stands for all. What computes with several facts is left out, and counts as false where
it stands before a rule. So each finding is certain, and some rules go without.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod

from service.rules.cel import Environment
from service.rules.facts import FieldType, Plain
from service.rules.lint.atoms import Atom, atoms
from service.rules.rule import Answer, Condition, Result, Rule
from service.rules.templates import written

MOST = 1_000  # combinations of values that are tried for one rule: more would make `check` slow
IN_ALL = 10_000  # evaluations of rules for one file, under 0.1 s: the rules after that go without
BESIDE = 200  # combinations up to which earlier rules are tried that read more than the rule itself
OTHER = "\N{WHITE SQUARE}"  # stands for any text that no condition names
MISSING = None

Values = dict[str, Plain | None]


@dataclass(frozen=True, slots=True)
class Reached:
    """A finding about a rule. ``message`` does not contain the rule's own name."""

    rule: Rule
    kind: str  # never, always, same, gap
    message: str


@dataclass(frozen=True, slots=True)
class Reach:
    """Evaluates the rules of one file for all combinations of conditions."""

    rules: Sequence[Rule]
    types: Mapping[str, FieldType]
    environment: Environment

    def findings(self) -> Iterator[Reached]:
        """Yield one finding a rule at most, in their order."""
        simple = {id(rule): parts for rule in self.rules if (parts := self._atoms(rule)) is not None}
        done: list[Rule] = []
        always: str | None = None
        left = IN_ALL
        twins: dict[tuple[object, ...], Rule] = {}
        for index, rule in enumerate(self.rules):
            if rule.is_observed:
                continue
            twin = twins.setdefault(_essence(rule), rule)
            found = _twin(rule, twin) if twin is not rule else None
            if not found and id(rule) in simple and always is None and left > 0:
                related = self._related(rule, [one for one in done if id(one) in simple], simple)
                left -= _size(related[1]) * (len(related[0]) + 1)
                if left > 0:
                    found = self._of(rule, *related, simple, is_last=index == len(self.rules) - 1)
            if found:
                yield found
            if found and found.kind == "always":
                always = rule.name
            done.append(rule)

    def _of(
        self,
        rule: Rule,
        inner: Sequence[Rule],
        cells: Mapping[str, Sequence[Plain | None]],
        simple: Mapping[int, Sequence[Atom]],
        *,
        is_last: bool,
    ) -> Reached | None:
        if _size(cells) > MOST:
            return None
        tried = [self._try(values, inner, rule) for values in _combinations(cells)]
        if not any(one.decides for one in tried):
            return Reached(rule, "never", _never(rule, tried))
        if not is_last and all(one.ends for one in tried):
            return Reached(
                rule, "always", "always matches where no rule before it does: no later rule decides"
            )
        return self._gap(rule, inner, simple, cells)

    def _related(
        self, rule: Rule, before: Sequence[Rule], simple: Mapping[int, Sequence[Atom]]
    ) -> tuple[list[Rule], Mapping[str, Sequence[Plain | None]]]:
        """Return the earlier rules that read nothing else, others that share a fact, and the values to try."""
        facts = set(rule.when.facts)
        taken = {id(one) for one in before if facts.issuperset(one.when.facts)}
        cells = self._cells([rule, *(one for one in before if id(one) in taken)], simple)
        for one in before:
            if id(one) in taken or facts.isdisjoint(one.when.facts) or _size(cells) > BESIDE:
                continue
            wider = self._cells([rule, *(each for each in before if id(each) in taken | {id(one)})], simple)
            if _size(wider) <= BESIDE:
                taken, cells = taken | {id(one)}, wider
        return [one for one in before if id(one) in taken], cells

    def _atoms(self, rule: Rule) -> Sequence[Atom] | None:
        """Return the comparisons of a rule with literals; None if it does anything else."""
        found: list[Atom] = []
        for condition in rule.when.conditions:
            parts = atoms(condition, self.types, self.environment)
            if parts is None:
                return None
            found += parts
        return found if rule.when.facts else None

    def _cells(
        self, rules: Sequence[Rule], simple: Mapping[int, Sequence[Atom]]
    ) -> dict[str, Sequence[Plain | None]]:
        literals: dict[str, dict[Plain, None]] = {}
        for rule in rules:
            for atom in simple[id(rule)]:
                known = literals.setdefault(atom.fact, {})
                if atom.literal is not None:
                    known[atom.literal] = None
        return {fact: _values(self.types[fact], tuple(known)) for fact, known in literals.items()}

    def _try(self, values: Values, before: Sequence[Rule], rule: Rule) -> "Tried":
        bound = self.environment.bind(
            {fact: value for fact, value in values.items() if value is not None}, self.types
        )
        answers = [(one, one.when.evaluate(bound)) for one in before]
        return Tried(values, answers, rule, rule.when.evaluate(bound).result)

    def _gap(
        self,
        rule: Rule,
        before: Sequence[Rule],
        simple: Mapping[int, Sequence[Atom]],
        cells: Mapping[str, Sequence[Plain | None]],
    ) -> Reached | None:
        """Find the number at which neither this rule nor one before it decides, although both do beside it."""
        for atom in simple[id(rule)]:
            if self.types[atom.fact] is not FieldType.DOUBLE or not isinstance(atom.literal, float):
                continue
            for values in _combinations({**cells, atom.fact: (atom.literal,)}):
                at = self._try(values, before, rule)
                below, above = (
                    self._try({**values, atom.fact: atom.literal + step}, before, rule)
                    for step in (-1e-6, 1e-6)
                )
                others = [side for side in (below.decider, above.decider) if side and side is not rule]
                is_beside = rule in (below.decider, above.decider)
                if is_beside and others and at.decider is None and not at.is_unknown:
                    return Reached(rule, "gap", _exactly(atom, others[0], values))
        return None


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of the rules for some values."""

    values: Values
    before: Sequence[tuple[Rule, Answer]]
    rule: Rule
    result: Result

    @property
    def first(self) -> Rule | None:
        """The earlier rule that decides."""
        return next((rule for rule, answer in self.before if answer.result is Result.MATCHED), None)

    @property
    def is_blocked(self) -> bool:
        """Return True if an earlier rule is unknown, so that the outcome is a hold."""
        return any(
            answer.result is Result.UNKNOWN and rule.blocks(self.rule.plan.outcome)
            for rule, answer in self.before
        )

    @property
    def decides(self) -> bool:
        return self.result is Result.MATCHED and self.first is None and not self.is_blocked

    @property
    def ends(self) -> bool:
        """Return True if no later rule can decide."""
        unknown = [rule for rule, answer in self.before if answer.result is Result.UNKNOWN]
        unknown += [self.rule] if self.result is Result.UNKNOWN else []
        is_held = any(not rule.skips_unknown for rule in unknown)
        return self.first is not None or self.result is Result.MATCHED or is_held

    @property
    def is_unknown(self) -> bool:
        return None in self.values.values()

    @property
    def decider(self) -> Rule | None:
        return self.first or (self.rule if self.result is Result.MATCHED else None)


def _size(cells: Mapping[str, Sequence[Plain | None]]) -> int:
    return prod(len(values) for values in cells.values())


def _twin(rule: Rule, earlier: Rule) -> Reached:
    return Reached(rule, "same", f"has the condition of ‘{earlier.name}’, which decides before it")


def _essence(rule: Rule) -> tuple[object, ...]:
    """Return what two rules of the same condition share, however it is spaced."""
    quantifier = rule.when.quantifier if len(rule.when.conditions) > 1 else None
    return quantifier, _texts(rule.when.conditions)


def _texts(conditions: Iterable[Condition]) -> frozenset[str]:
    return frozenset(" ".join(condition.source.split()) for condition in conditions)


def _values(kind: FieldType, literals: Sequence[Plain]) -> Sequence[Plain | None]:
    """Return one value for each literal, each gap between two, and for a missing one."""
    if kind is FieldType.BOOL:
        return (False, True, MISSING)
    if kind is FieldType.STRING:
        return (*literals, OTHER, MISSING)
    numbers = sorted({float(literal) for literal in literals})
    if not numbers:
        return (0, MISSING)
    between = [(low + high) / 2 for low, high in pairwise(numbers)]
    every = sorted({*numbers, *between, numbers[0] - 1, numbers[-1] + 1})
    if kind is FieldType.INT:
        return (*sorted({int(number // 1) for number in every}), MISSING)
    return (*every, MISSING)


def _combinations(cells: Mapping[str, Sequence[Plain | None]]) -> Iterator[Values]:
    for values in product(*cells.values()):
        yield dict(zip(cells, values, strict=True))


def _never(rule: Rule, tried: Sequence[Tried]) -> str:
    matching = [one for one in tried if one.result is Result.MATCHED]
    if not matching:
        return f"can never match: no value of {' and '.join(rule.when.facts)} makes it true"
    one = next((one for one in matching if one.first), matching[0])
    if one.first is None:
        return "can never decide: a rule before it can't be known whenever this one matches"
    return f"can never decide: for example with {_shown(one.values)} ‘{one.first.name}’ decides before it"


def _exactly(atom: Atom, other: Rule, values: Values) -> str:
    rest = {fact: value for fact, value in values.items() if fact != atom.fact}
    also = f" and {_shown(rest)}" if rest else ""
    return (
        f"with {atom.fact} exactly {written(atom.literal or 0)}{also} neither ‘{other.name}’ nor this rule decides, "
        "although they do just below and above: write <= or >= in one of them"
    )


def _shown(values: Values) -> str:
    known = {fact: "another text" if value == OTHER else value for fact, value in values.items()}
    return " and ".join(
        f"{fact} {'missing' if value is None else written(value)}" for fact, value in known.items()
    )
