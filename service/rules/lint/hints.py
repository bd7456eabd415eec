"""What the compiler of conditions says, in words of somebody who writes rules."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import NamedTuple

from service.rules import cel
from service.rules.format.findings import Code
from service.rules.tokens import Chain, Token, chains, tokenize

UNDECLARED = re.compile(r"undeclared reference to '(.*?)' \(in container")
OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '(.*)'", re.DOTALL)
FUNCTIONS = (
    *("all", "exists", "exists_one", "filter", "map", "size"),
    *("contains", "endsWith", "matches", "startsWith"),
    *("bool", "double", "duration", "int", "string", "timestamp"),
    *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
WRITTEN_OTHERWISE = {
    "=": "==",
    "&": "&&",
    "|": "||",
    "and": "&&",
    "or": "||",
    "not": "!",
    "AND": "&&",
    "OR": "||",
    "NOT": "!",
    "True": "true",
    "False": "false",
    "is": "==",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "===": "==",
}
ARITHMETIC = ("+", "-", "*", "/", "%")
UNITS = ("s", "m", "h", "d", "min", "sec")
PROBES = {  # how to try a literal argument that can only fail later
    "duration": "duration({0}) == duration({0})",
    "timestamp": "timestamp({0}) == timestamp({0})",
    "matches": "''.matches({})",
} | {
    name: f"timestamp('2026-01-01T00:00:00Z').{name}({{}}) >= 0"
    for name in FUNCTIONS
    if name.startswith("get")
}


class Hint(NamedTuple):
    code: Code
    offset: int
    message: str


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def refused(source: str) -> Iterator[Hint]:
    """has() and dyn(): they compile here, but would say nothing, or switch off the types."""
    if "has" not in source and "dyn" not in source:
        return
    for chain in chains(tokenize(source)):
        if not chain.called or len(chain.names) > 1 or chain.member:
            continue
        if chain.dotted == "has":
            message = (
                "has() is not used: write evidence.<source>.received to ask whether a source has answered"
            )
            yield Hint(Code.REFUSED_FUNCTION, chain.start, message)
        elif chain.dotted == "dyn":
            yield Hint(Code.REFUSED_FUNCTION, chain.start, "dyn() is not used: every fact has its type")


def bad_literals(source: str, environment: cel.Environment) -> Iterator[Hint]:
    """Literal arguments are tried now, not when the first submission comes."""
    if not any(name in source for name in PROBES):
        return
    tokens = tokenize(source)
    for index, token in enumerate(tokens):
        argument = literal_argument(tokens, index) if token.text in PROBES else None
        if argument is None:
            continue
        try:
            outcome = environment.compile(PROBES[token.text].format(argument.text)).evaluate(
                environment.nothing
            )
        except cel.NotCompiled:
            continue  # of a wrong type, or in an unused form: the compiler tells it of the condition itself
        if isinstance(outcome, cel.Undecided) and outcome.why:
            yield Hint(
                Code.BAD_LITERAL, argument.start, f"{token.text}({argument.text}): {_literal(outcome.why)}"
            )


def literal_argument(tokens: Sequence[Token], index: int) -> Token | None:
    """``f("x")`` and ``matches(text, "x")``: the literal before the bracket that closes the call."""
    if index + 2 >= len(tokens) or tokens[index + 1].text != "(":
        return None
    depth = 0
    for place in range(index + 1, len(tokens)):
        token = tokens[place]
        if token.kind != "operator":
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            last, before = tokens[place - 1], tokens[place - 2]
            return last if last.kind in ("string", "number") and before.text in ("(", ",") else None
    return None


def _literal(why: str) -> str:
    if "Duration" in why:
        return 'is no duration; write it like "90m", "24h" or "30s" (no days)'
    if "Timestamp" in why:
        return 'is no time; write it like "2026-01-31T09:00:00Z"'
    return why


def explain(source: str, problems: Sequence[cel.Problem], types: Mapping[str, object]) -> Iterator[Hint]:
    """Each problem at its place; of a syntax error only the first, the rest are its echoes."""
    tokens = tokenize(source)
    slips = list(_slips(tokens))
    echoes = [problem for problem in problems if problem.message.startswith("Syntax error")]
    if echoes:
        yield from slips or [_syntax(echoes[0])]
        return
    yield from slips
    for problem in problems:
        if undeclared := UNDECLARED.match(problem.message):
            hint = _unknown_name(tokens, problem.offset, undeclared[1], types)
            if not any(slip.offset == hint.offset for slip in slips):
                yield hint
        elif overload := OVERLOAD.match(problem.message):
            yield _wrong_types(tokens, problem.offset, overload[1], overload[2])
        else:
            yield Hint(Code.CONDITION_SYNTAX, problem.offset, f"can't be read: {problem.message}")


def _slips(tokens: Sequence[Token]) -> Iterator[Hint]:
    """What other languages write."""
    depth, done = 0, -1
    for index, token in enumerate(tokens):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        after_dot = index > 0 and tokens[index - 1].text == "."
        if token.start < done or after_dot or token.kind not in ("name", "operator", "number"):
            continue
        said, instead = _slip(tokens[index : index + 3], depth)
        if instead:
            done = token.start + len(said)
            message = f"`{said}` is not CEL: write `{instead}`"
            yield Hint(Code.CONDITION_SYNTAX, token.start, message)


def _slip(ahead: Sequence[Token], depth: int) -> tuple[str, str]:
    """What stands here, and what to write instead; empty if nothing is wrong with it."""
    first = ahead[0]
    joined = [first.text]
    for token, after in pairwise(ahead):
        if token.end != after.start:
            break
        joined.append(after.text)
    pair = "".join(joined[:2])
    if first.kind == "operator" and pair in WRITTEN_OTHERWISE:
        return pair, WRITTEN_OTHERWISE[pair]
    if first.kind == "number" and len(joined) > 1 and joined[1] in UNITS:
        return pair, _as_duration(first.text, joined[1])
    if first.kind == "number" and len(joined) == 3 and joined[1] == "," and depth == 0:
        return "".join(joined), f"{first.text}.{joined[2]}"
    return first.text, WRITTEN_OTHERWISE.get(first.text, "") if first.kind != "number" else ""


def _as_duration(number: str, unit: str) -> str:
    if unit == "d":
        return f'duration("{int(number) * 24}h")' if number.isdigit() else 'duration("24h")'
    return f'duration("{number}{unit[0]}")'


def _syntax(problem: cel.Problem) -> Hint:
    said = problem.message.removeprefix("Syntax error: ").partition(" expecting {")[0]
    said = said.replace("'<EOF>'", "the end").replace("<EOF>", "the end")
    if said.startswith("token recognition error"):
        said = f"a quote that isn't closed, or a character CEL doesn't have ({said})"
    return Hint(Code.CONDITION_SYNTAX, problem.offset, f"not a CEL condition: {said}")


def _unknown_name(tokens: Sequence[Token], offset: int, name: str, types: Mapping[str, object]) -> Hint:
    chain = _chain_at(tokens, offset, name)
    start = chain.start if chain else offset
    name = name.lstrip(".")
    if chain and chain.called and name == chain.names[-1].text:
        place = chain.names[-1].start
        return Hint(Code.UNKNOWN_NAME, place, f"no function is called {name}{did_you_mean(name, FUNCTIONS)}")
    return Hint(Code.UNKNOWN_NAME, start, unknown_fact(name, types))


def unknown_fact(name: str, types: Iterable[str]) -> str:
    """Looks for the nearest within the group the name begins with, else among all."""
    known = list(types)
    group, _, field = name.rpartition(".")
    fields = {fact.removeprefix(f"{group}."): fact for fact in known if fact.startswith(f"{group}.")}
    if group and fields:
        near = get_close_matches(field, list(fields), n=1)
        hint = f"did you mean `{fields[near[0]]}`?" if near else f"{group} has {', '.join(fields)}"
        return f"no fact is called {name}; {hint}"
    if name.startswith("evidence."):
        return f"{name}: no source {name.split('.')[1]} is declared under evidence{did_you_mean(name, known)}"
    last = next((fact for fact in known if fact.endswith(f".{name}")), None)
    meant = f"; did you mean `{last}`?" if last else did_you_mean(name, known)
    return f"no fact is called {name}" + (meant or f'; a text goes in quotes: "{name}"')


def _chain_at(tokens: Sequence[Token], offset: int, name: str) -> Chain | None:
    """The engine points at a name's last dot, or behind a function's name: find where it begins."""
    wanted = name.lstrip(".")
    for chain in chains(tokens):
        names = (chain.dotted, chain.names[-1].text)
        fits = wanted in names or chain.dotted.startswith(f"{wanted}.")
        if fits and chain.start <= offset <= chain.end:
            return chain
    return None


def _wrong_types(tokens: Sequence[Token], offset: int, function: str, applied: str) -> Hint:
    operator = {"_?_:_": "? :", "_[_]": "[ ]"}.get(function) or function.strip("_@")
    operands = (applied[1:-1] if applied.startswith("(") else applied).replace("google.protobuf.", "")
    said = f"`{operator}` can't be applied to {operands.replace(', ', ' and ')}"
    hint = _number_hint(tokens, offset, operands) or _type_hint(operands)
    return Hint(Code.CONDITION_TYPE, offset, f"{said}{hint}")


TYPE_HINTS = {
    frozenset({"Timestamp", "string"}): ': write timestamp("2026-01-31T09:00:00Z")',
    frozenset({"Duration", "int"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"Duration", "double"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"Duration", "string"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"bool", "string"}): ": true and false stand without quotes",
    frozenset({"bool", "int"}): ": write true or false",
    frozenset({"int", "string"}): ": a number stands without quotes, a text with them",
    frozenset({"double", "string"}): ": a number stands without quotes, a text with them",
    frozenset({"double", "list(int)"}): ": write the numbers with a point, 1.0",
}


def _type_hint(operands: str) -> str:
    if "null_type" in operands:
        return ": a fact is never null, evidence.<source>.received says whether a source has answered"
    return TYPE_HINTS.get(frozenset(operands.split(", ")), "")


def _number_hint(tokens: Sequence[Token], offset: int, operands: str) -> str:
    at = next((index for index, token in enumerate(tokens) if token.start == offset), None)
    if at is None or operands not in ("double, int", "int, double"):
        return ""
    number = _lone_number(tokens, at)
    if number is None:
        return ": write double(…) around the whole number, 60.0 for 60"
    if number.text.isdigit():
        return f": write {number.text}.0"
    if tokens[at].text in ARITHMETIC:
        return ": write double(…) around the whole number"
    return f": write {number.text[:-2]}" if number.text.endswith(".0") else ": the fact is a whole number"


def _lone_number(tokens: Sequence[Token], at: int) -> Token | None:
    """The operand of the operator that is a number, and not part of a calculation."""
    for near, beyond in ((at + 1, at + 2), (at + 2, at + 3), (at - 1, at - 2)):
        if not 0 <= near < len(tokens) or tokens[near].kind != "number":
            continue
        if near == at + 2 and tokens[at + 1].text != "-":
            continue
        part = 0 <= beyond < len(tokens) and tokens[beyond].text in ARITHMETIC
        return None if part and tokens[at].text not in ARITHMETIC else tokens[near]
    return None
