"""Compiles conditions, and explains why a text is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.rules import cel
from service.rules.facts import FieldType
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.values import detail, is_null, refuse_all, refused, wrong
from service.rules.lint import hints, literals, patterns
from service.rules.lint.names import Hint
from service.rules.rule import Condition

LONGEST = 10_000  # characters of one condition


def _how(value: object) -> str:
    """Return what to write for a list or a mapping in the place of a condition."""
    if isinstance(value, list):
        return ": write `all:` above the list, or `any:`"
    if isinstance(value, dict) and value.keys() & {"all", "any", "none", "and", "or", "not"}:
        return "; nesting is not supported: join conditions by `&&` or `||` in one line, or write two rules"
    return "; a text with `: ` in it goes in quotes" if isinstance(value, dict) else ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Compiles conditions. ``types`` are those of all facts, None for a declaration with an error."""

    types: Mapping[str, FieldType | None]
    environment: cel.Environment
    compiled: dict[str, Condition] = field(default_factory=dict)

    def read(self, value: object) -> Condition:
        """Return the condition. Raises all errors of the value, each with its place in the text."""
        if not isinstance(value, Scalar) or is_null(value):
            raise refused(value, "a condition", _how(value))
        source = value.value
        if not source.strip():
            raise wrong(Code.EMPTY, "an empty condition")
        if len(source) > LONGEST:
            raise wrong(Code.BAD_VALUE, f"a condition has {LONGEST:,} characters at most")
        if source not in self.compiled:
            found = list(literals.refused(source)) or self._compiled_or_hints(source)
            refuse_all(detail(wrong(hint.code, hint.message, offset=hint.offset)) for hint in found)
        return self.compiled[source]

    def _compiled_or_hints(self, source: str) -> list[Hint]:
        """Compile the text. Return hints if it is no condition."""
        try:
            condition = self._compile(source)
        except cel.NotCompiled as error:
            return list(hints.explain(source, error.problems, self.types))
        found = self._unusable(condition)
        if not found:
            self.compiled[source] = condition
        return found

    def _compile(self, source: str) -> Condition:
        program = self.environment.compile(source)
        return Condition(source, program, program.facts)

    def _unusable(self, condition: Condition) -> list[Hint]:
        """Return what is wrong with an expression that compiles but can't be a condition."""
        source, program = condition.source, condition.program
        if not program.returns_bool:
            message = f"a condition is true or false; this is a value of type {program.returns}"
            return [Hint(Code.CONDITION_TYPE, 0, message)]
        if found := list(literals.bad_literals(source, self.environment)):
            return found
        if found := list(patterns.refused(source, self.environment)):
            return found
        answer = None if condition.facts else program.evaluate(self.environment.nothing)
        if isinstance(answer, cel.Undecided):
            return [Hint(Code.BAD_LITERAL, 0, f"can never be evaluated: {answer.why}")]
        return []
