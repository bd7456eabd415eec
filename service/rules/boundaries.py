"""Boundaries: the values of a fact at which conditions change, and the nearest one that changes the outcome.

Conditions may compute with several facts, so their boundaries are found by evaluating them: at each literal they
name, beside it, and at growing distances from the value that is known. Between two values that differ in what
they lead to, bisection finds the boundary.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from service.rules.facts import INT_BOUND, FieldType, Plain, parse_time
from service.rules.rule import Condition
from service.rules.tokens import number_of, tokenize

STEPS = (1, 2, 5, 10, 30, 100, 1_000, 10_000, 1_000_000, 1_000_000_000)
SECONDS = (1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)
FINEST = 1e-3  # of a double, as a share of it: people read 3.999, not 3.9999999999999996
DIGITS = range(1, 17)
OTHERS = ("", "other")

# Return True if a value leads to another outcome than the known value.
Differs = Callable[[Plain], bool]


class Literals:
    """The values to try that conditions name: numbers, also as negatives behind a minus, and texts, in their order.

    ``usual`` is the fact's usual text, which is tried first. Two texts that conditions seldom name come last.
    """

    def __init__(
        self, conditions: Iterable[Condition], text: Callable[[str], str], usual: str | None = None
    ) -> None:
        """Read the conditions; ``text`` gives the text that a literal in quotes stands for."""
        numbers: dict[float, None] = {}
        texts: dict[str, None] = {} if usual is None else {usual: None}
        for condition in conditions:
            before = ""
            for token in tokenize(condition.source):
                if token.kind == "number":
                    number = number_of(token.text)
                    numbers |= {number: None, -number: None} if before == "-" else {number: None}
                elif token.kind == "string" and token.text[0] not in "bB":
                    texts[text(token.text)] = None
                before = token.text
        self.numbers = tuple(numbers)
        self.texts = tuple(dict.fromkeys((*texts, *OTHERS)))


def nearest(kind: FieldType, known: Plain | None, literals: Literals, differs: Differs) -> Plain | None:
    """Return the value next to the known one that makes a difference; None if none was found."""
    match kind:
        case FieldType.BOOL:
            return next((value for value in (False, True) if value is not known and differs(value)), None)
        case FieldType.STRING:
            return next((text for text in literals.texts if text != known and differs(text)), None)
        case FieldType.TIMESTAMP:
            return _nearest_time(str(known), differs) if known is not None else None
        case FieldType.INT | FieldType.DOUBLE:
            return _nearest_number(kind, known, literals, differs)


def _nearest_number(
    kind: FieldType, known: Plain | None, literals: Literals, differs: Differs
) -> int | float | None:
    is_int = kind is FieldType.INT
    values = sorted(set(_numbers(is_int, known, literals)))
    if not isinstance(known, int | float):
        return next((value for value in sorted(values, key=_size) if differs(value)), None)
    above = [value for value in values if value > known]
    below = [value for value in reversed(values) if value < known]
    found = [_first(known, side, differs, is_int=is_int) for side in (below, above)]
    return min((value for value in found if value is not None), key=lambda v: abs(v - known), default=None)


def _size(value: float) -> tuple[float, bool]:
    return abs(value), value < 0


def _numbers(is_int: bool, known: Plain | None, literals: Literals) -> Iterator[int | float]:
    """Yield the values to try. Below zero only what conditions name: few facts can be negative."""
    start = known if isinstance(known, int | float) else 0
    for literal in (0.0, *literals.numbers):
        step = 1.0 if is_int else fineness(literal)
        for value in (literal - step, literal, literal + step):
            if value >= 0 or start < 0 or literal < 0:
                yield from _typed(is_int, value)
    for step in STEPS:
        for value in (start + step, start - step, start * (1 + step / 10), start / (1 + step)):
            if value >= 0 or start < 0:
                yield from _typed(is_int, value)


def _typed(is_int: bool, value: float) -> Iterator[int | float]:
    if not math.isfinite(value) or (is_int and abs(value) >= INT_BOUND):
        return
    yield from (math.floor(value), math.ceil(value)) if is_int else (value,)


def fineness(value: float) -> float:
    """Return the smallest step that people distinguish at a value: 0.001 at 4, 0.1 at 180."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 3) if value else FINEST


def _first(
    known: float, outward: Sequence[int | float], differs: Differs, *, is_int: bool
) -> int | float | None:
    """Return the first of the values that makes a difference, moved as close to the known one as it does."""
    for before, value in pairwise((known, *outward)):
        if differs(value):
            return _whole(before, value, differs) if is_int else _plain(before, value, differs)
    return None


def _whole(same: float, other: float, differs: Differs) -> int:
    low, high = int(same), int(other)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if differs(middle) else (middle, high)
    return high


def _plain(same: float, other: float, differs: Differs) -> float:
    while True:
        middle = same + (other - same) / 2
        if middle in (same, other):
            break
        same, other = (same, middle) if differs(middle) else (middle, other)
    return _shortest(same, other, differs)


def _shortest(same: float, other: float, differs: Differs) -> float:
    """Return the number of fewest digits just beyond the boundary that still makes the difference."""
    for digits in DIGITS:
        exponent = math.floor(math.log10(abs(other))) - digits + 1 if other else -digits
        scaled = other / 10.0**exponent
        rounded = math.floor(scaled) if other < same else math.ceil(scaled)
        value = float(f"{rounded}e{exponent}")
        is_beyond = value <= other if other < same else value >= other
        if is_beyond and abs(value - other) <= fineness(other) and differs(value):
            return value
    return other


def _nearest_time(known: str, differs: Differs) -> str | None:
    """Return the time by the fewest whole seconds before or after."""
    start = parse_time(known)
    if start is None:
        return None

    def at(seconds: float) -> str | None:
        try:
            return (start + timedelta(seconds=seconds)).isoformat()
        except OverflowError:
            return None

    def makes_a_difference(seconds: Plain) -> bool:
        moved = at(float(seconds))
        return moved is not None and differs(moved)

    sides = ([-seconds for seconds in SECONDS], list(SECONDS))
    found = [_first(0, side, makes_a_difference, is_int=True) for side in sides]
    seconds = min((value for value in found if value is not None), key=abs, default=None)
    return None if seconds is None else at(seconds)
