"""The comparisons of a condition, where it is made of nothing else."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.rules.cel import Environment
from service.rules.facts import FieldType, Plain
from service.rules.rule import Condition
from service.rules.tokens import COMPARISONS, Token, tokenize

JOINS = frozenset({"&&", "||", "(", ")", "!"})
KINDS = frozenset({FieldType.INT, FieldType.DOUBLE, FieldType.BOOL, FieldType.STRING})


class Atom(NamedTuple):
    """A fact beside a literal; ``literal`` is None for a fact that is true or false itself."""

    fact: str
    literal: Plain | None


def atoms(
    condition: Condition, types: Mapping[str, FieldType], environment: Environment
) -> Sequence[Atom] | None:
    """Return the comparisons of a condition; None if it computes, calls or compares facts with each other."""
    if any(types.get(fact) not in KINDS for fact in condition.facts):
        return None
    found: list[Atom] = []
    for part in _parts(tokenize(condition.source)):
        atom = _atom(part, types, environment)
        if atom is None:
            return None
        found.append(atom)
    return found


def _parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """Split at what joins comparisons."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "operator" and token.text in JOINS:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _atom(part: Sequence[Token], types: Mapping[str, FieldType], environment: Environment) -> Atom | None:
    signs = [index for index, token in enumerate(part) if token.text in COMPARISONS]
    if not signs:
        fact = _fact(part, types)
        return Atom(fact, None) if fact and types[fact] is FieldType.BOOL else None
    if len(signs) > 1:
        return None
    left, right = part[: signs[0]], part[signs[0] + 1 :]
    for one, other in ((left, right), (right, left)):
        fact, literal = _fact(one, types), _literal(other, environment)
        if fact is not None and literal is not None:
            return Atom(fact, literal)
    return None


def _fact(part: Sequence[Token], types: Mapping[str, FieldType]) -> str | None:
    name = "".join(token.text for token in part)
    return name if name in types else None


def _literal(part: Sequence[Token], environment: Environment) -> Plain | None:
    texts = [token.text for token in part]
    if texts in (["true"], ["false"]):
        return texts == ["true"]
    if len(part) == 1 and part[0].kind == "string" and texts[0][0] not in "bB":
        return environment.text(texts[0])
    sign = -1 if len(part) == 2 and texts[0] == "-" else 1
    if part and part[-1].kind == "number" and len(part) == (2 if sign < 0 else 1):
        return _number(texts[-1], sign)
    return None


def _number(text: str, sign: int) -> Plain | None:
    try:
        return sign * (int(text) if text.isdigit() else float(text))
    except ValueError:  # hexadecimal, or with a suffix
        return None
