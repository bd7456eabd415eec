"""Facts that compare a submission's evidence with that of the study's others: duplicates and reading speed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.likeness import ALIKE, bands, likeness, signature
from service.domain.spread import Repeated, median
from service.rules import RuleFile
from service.rules.evidence import ENDINGS, Comparison
from service.rules.facts import Plain
from service.store.comparisons import (
    Field,
    Text,
    Value,
    classes_of_others,
    count_values,
    signatures_alike,
)

STEP = log(1.02)  # of the classes of page times: a median is exact to 1 %
MOST_OF_A_PAGE = 3.0  # so that one page that was skipped is not taken for a whole questionnaire
AT_LEAST = 2  # others whose time of a page is known


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparisons of a submission. ``counts`` are facts by source, ``rsi`` is the relative speed index."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rsi: float | None = None


async def compare(
    connection: AsyncConnection,
    study: str,
    submission: str,
    evidence: Mapping[str, Mapping[str, Any]],
    rule_file: RuleFile,
    *,
    keep: bool,
) -> Compared:
    """Compare the evidence with that of the study's other submissions, and ``keep`` it for later ones."""
    found = _compared_values(evidence, rule_file)
    if not found:
        return Compared()
    counts: dict[str, dict[str, int]] = {}
    plain = [_value(place, use, value) for place, (use, value) in found.items()]
    values = [value for value in plain if value]
    same = await count_values(connection, study, submission, values, keep=keep) if values else {}
    for (source, name), (use, value) in found.items():
        if use is Comparison.FINGERPRINT:
            counts.setdefault(source, {})[f"{name}{ENDINGS[use]}"] = same.get((source, name), 0)
        elif use is Comparison.SIMILAR:
            alike = await _alike(connection, study, submission, (source, name), str(value), keep=keep)
            counts.setdefault(source, {})[f"{name}{ENDINGS[use]}"] = alike
    pages = {
        place: float(value)
        for place, (use, value) in found.items()
        if use is Comparison.PAGE_TIME and float(value) > 0
    }
    others = await classes_of_others(connection, study, submission, list(pages)) if pages else {}
    return Compared(counts, relative_speed(pages, others))


def relative_speed(pages: Mapping[Field, float], others: Mapping[Field, Mapping[int, int]]) -> float | None:
    """Return the mean, over pages, of the others' median time divided by the own time; None without any page.

    Leiner's relative speed index: 1 is as fast as the others, 2 is twice as fast.
    """
    factors = []
    for page, seconds in pages.items():
        counted = sorted((time_of(key), number) for key, number in others.get(page, {}).items() if number > 0)
        times = Repeated.of(counted)
        if len(times) >= AT_LEAST:
            factors.append(min(median(times) / seconds, MOST_OF_A_PAGE))
    return sum(factors) / len(factors) if factors else None


def class_of(seconds: float) -> int:
    """Return the class of a page's time."""
    return round(log(seconds) / STEP)


def time_of(key: int) -> float:
    """Return the time that stands for a class, in seconds."""
    return float(1.02**key)


def _compared_values(
    evidence: Mapping[str, Mapping[str, Any]], rule_file: RuleFile
) -> dict[Field, tuple[Comparison, Plain]]:
    found: dict[Field, tuple[Comparison, Plain]] = {}
    for name, source in rule_file.evidence.items():
        if source.compared and name in evidence:
            values = source.validate(evidence[name]).values
            found |= {
                (name, one): (use, values[one]) for one, use in source.compared.items() if one in values
            }
    return found


def _value(place: Field, use: Comparison, value: Plain) -> Value | None:
    """Return what is counted of a value: nothing of an empty text, or of no time at all."""
    source, name = place
    # Empty values of all participants would be equal to each other.
    if use is Comparison.FINGERPRINT and str(value).strip():
        return Value(source, name, str(value).strip(), hashed=True)
    if use is Comparison.PAGE_TIME and float(value) > 0:
        return Value(source, name, str(class_of(float(value))), hashed=False)
    return None


async def _alike(
    connection: AsyncConnection, study: str, submission: str, place: Field, text: str, *, keep: bool
) -> int:
    signed = signature(text)
    if signed is None:
        return 0
    own = Text(*place, signed, bands(signed))
    others = await signatures_alike(connection, study, submission, own, keep=keep)
    return sum(likeness(signed, other) >= ALIKE for other in others)
