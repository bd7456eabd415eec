"""Reads ``when``: one CEL condition, or a list of them under all, any or none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.rules import cel
from service.rules.facts import FieldType
from service.rules.format import document
from service.rules.format.document import Node, Scalar
from service.rules.format.findings import Code
from service.rules.format.positions import place
from service.rules.lint import hints, patterns
from service.rules.reading import Reader, join
from service.rules.rule import Condition, Quantifier, When
from service.rules.tokens import facts_named

LONGEST = 10_000  # characters of one condition


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """``types`` of all facts a condition may name; None where the declaration itself has an error."""

    reader: Reader
    types: Mapping[str, FieldType | None]
    environment: cel.Environment
    compiled: dict[str, Condition] = field(default_factory=dict)

    def when(self, node: Node, path: str) -> When | None:
        if isinstance(node, document.Mapping):
            return self._quantified(node, path)
        condition = self._condition(node, path)
        return When.of(Quantifier.ALL, (condition,)) if condition else None

    def _quantified(self, node: Node, path: str) -> When | None:
        found = self.reader.fields(node, path, list(Quantifier))
        if not found:
            if found is not None and isinstance(node, document.Mapping) and not node.entries:
                self.reader.findings.add(Code.EMPTY, node.start, path, "is empty: it needs all, any or none")
            return None
        if len(found) > 1:
            message = f"one of all, any and none, not {' and '.join(found)} together"
            self.reader.wrong(node, path, message)
        conditions: list[Condition | None] = []
        for key, entry in found.items():
            listed = join(path, key)
            items = self.reader.items(entry.node, listed, "conditions") or []
            conditions += [self._condition(item, f"{listed}[{index}]") for index, item in enumerate(items)]
        complete = tuple(condition for condition in conditions if condition)
        usable = len(found) == 1 and complete and len(complete) == len(conditions)
        return When.of(Quantifier(next(iter(found))), complete) if usable else None

    def _condition(self, node: Node, path: str) -> Condition | None:
        if not isinstance(node, Scalar) or node.is_null:
            self.reader.refuse(node, path, "a condition")
            return None
        if not node.value.strip():
            self.reader.findings.add(Code.EMPTY, node.start, path, "an empty condition")
            return None
        if len(node.value) > LONGEST:
            self.reader.wrong(node, path, f"a condition has {LONGEST:,} characters at most")
            return None
        return self._compiled(node, path)

    def _compiled(self, node: Scalar, path: str) -> Condition | None:
        source = node.value
        if known := self.compiled.get(source):
            return known
        for hint in list(hints.refused(source)) or self._tried(source):
            self.reader.findings.add(hint.code, place(node, hint.offset), path, hint.message)
        return self.compiled.get(source)

    def _tried(self, source: str) -> list[hints.Hint]:
        """Compiles it; what keeps it from being a condition."""
        try:
            condition = self._compile(source)
        except cel.NotCompiled as error:
            return list(hints.explain(source, error.problems, self.types))
        found = self._doubtful(condition)
        if not found:
            self.compiled[source] = condition
        return found

    def _compile(self, source: str) -> Condition:
        return Condition(source, self.environment.compile(source), facts_named(source, self.types))

    def _doubtful(self, condition: Condition) -> list[hints.Hint]:
        """What compiles, but can't be a condition."""
        source, program = condition.source, condition.program
        if not program.returns_bool:
            message = f"a condition is true or false; this is a value of type {program.returns}"
            return [hints.Hint(Code.CONDITION_TYPE, 0, message)]
        if found := list(hints.bad_literals(source, self.environment)):
            return found
        if found := list(patterns.refused(source, self.environment)):
            return found
        answer = None if condition.facts else program.evaluate(self.environment.nothing)
        if isinstance(answer, cel.Undecided):
            return [hints.Hint(Code.BAD_LITERAL, 0, f"can never be evaluated: {answer.why}")]
        return []
