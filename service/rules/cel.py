"""CEL, the language of conditions: the one module that knows the engine (Google's cel-cpp).

Its stubs aren't marked as typed, so what comes from it is Any here and nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cel_expr_python import cel

from service.rules.checked import names
from service.rules.facts import FieldType, Plain, parse_time

ENGINE_TYPES: Mapping[FieldType, Any] = {
    FieldType.INT: cel.Type.INT,
    FieldType.DOUBLE: cel.Type.DOUBLE,
    FieldType.BOOL: cel.Type.BOOL,
    FieldType.STRING: cel.Type.STRING,
    FieldType.TIMESTAMP: cel.Type.TIMESTAMP,
}
ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?=\n \| |\nERROR: |\s*\[\w+\]\s*\Z|\Z)", re.DOTALL)
STATUS = re.compile(r"\A[A-Z_]+: |\s*\[[A-Z_]+\]\s*\Z")
MISSING = "No value with name"


class Problem(NamedTuple):
    """A problem that the compiler reports. ``offset`` counts characters from 0."""

    offset: int
    message: str


class NotCompiled(Exception):  # becomes findings where conditions are read
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(problems[0].message)


class Undecided(NamedTuple):
    """A condition that is neither true nor false. ``why`` is None if a fact is missing."""

    why: str | None


class Bound(NamedTuple):
    """The facts of one decision, shared by all its conditions."""

    activation: Any


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled condition. ``facts`` are those it reads, in the order they stand there."""

    expression: Any
    returns_bool: bool
    returns: str
    facts: tuple[str, ...]

    def evaluate(self, bound: Bound) -> bool | Undecided:
        try:
            value = self.expression.eval(bound.activation).value()
        except Exception as error:  # the engine raises RuntimeError when its budget of steps is used up
            return Undecided(_plain(str(error)))
        if isinstance(value, bool):
            return value
        text = str(value)
        return Undecided(None if MISSING in text else _plain(text))


class Environment:
    """Compiles conditions over facts of known types.

    A fact without a known type (its declaration has an error) accepts any, so that one error is reported once.
    """

    def __init__(self, types: Mapping[str, FieldType | None]) -> None:
        variables = {name: ENGINE_TYPES[kind] if kind else cel.Type.DYN for name, kind in types.items()}
        self._env: Any = cel.NewEnv(variables=variables)
        self._facts = frozenset(types)
        self.nothing = Bound(self._env.Activation({}))
        """An activation without facts. A condition that is true for it is always true."""

    def compile(self, source: str) -> Program:
        try:
            expression = self._env.compile(source)
        except RuntimeError as error:
            raise NotCompiled(_problems(source, str(error))) from None
        returned = expression.return_type()
        is_bool = returned in (cel.Type.BOOL, cel.Type.DYN)
        facts = tuple(name for name in names(expression.serialize()) if name in self._facts)
        return Program(expression, is_bool, returned.name().lower(), facts)

    def text(self, literal: str) -> str:
        """Return the text that a literal in quotes stands for."""
        return str(self._env.compile(literal).eval(self.nothing.activation).value())

    def bind(self, values: Mapping[str, Plain], types: Mapping[str, FieldType]) -> Bound:
        return Bound(
            self._env.Activation({name: _value(types[name], value) for name, value in values.items()})
        )


def _value(kind: FieldType, value: Plain) -> Any:
    return parse_time(str(value)) if kind is FieldType.TIMESTAMP else value


def _problems(source: str, text: str) -> list[Problem]:
    found = [
        Problem(_offset(source, int(line), int(column)), message.strip())
        for line, column, message in ERROR.findall(text)
    ]
    return list(dict.fromkeys(found)) or [Problem(0, _plain(text))]


def _offset(source: str, line: int, column: int) -> int:
    """Return the offset of a place. The engine counts from 1, and gives -1 where it knows no place."""
    lines = source.split("\n")
    before = sum(len(text) + 1 for text in lines[: max(line, 1) - 1])
    return min(before + max(column, 1) - 1, len(source))


def _plain(text: str) -> str:
    return STATUS.sub("", text).strip()
