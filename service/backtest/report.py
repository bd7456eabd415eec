"""The result as one HTML page that needs nothing else: no script, no other host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.backtest.comparison import EXPLAINED, Comparison
from service.backtest.intervals import rate
from service.backtest.judged import Judged
from service.backtest.run import Result
from service.domain.decision import Outcome
from service.domain.duration import described
from service.rules.templates import written

PAID_BY_PROLIFIC = timedelta(days=21)
BINS = 40
HERE = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram, in units of the drawing."""

    x: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Completion times: the bars, and where the mean and the bound of 3 standard deviations below it stand."""

    bars: tuple[Bar, ...]
    mean: float
    bound: float
    low: int
    high: int
    mean_at: float
    bound_at: float | None

    @classmethod
    def of(cls, times: Sequence[int]) -> "Histogram | None":
        """Return None below two times."""
        # One time has no deviation.
        if len(times) < 2:
            return None
        low, high, mean, sd = min(times), max(times), fmean(times), stdev(times)
        width = max(1.0, (high - low) / BINS)
        counts = [0] * BINS
        for taken in times:
            counts[min(BINS - 1, int((taken - low) / width))] += 1
        most = max(counts)
        bars = tuple(
            Bar(index * 15.0, 100 * count / most, f"{low + index * width:.0f} s or more: {count}")
            for index, count in enumerate(counts)
            if count
        )
        bound = mean - 3 * sd
        at = 15.0 * (bound - low) / width
        return cls(bars, mean, bound, low, high, 15.0 * (mean - low) / width, at if at >= 0 else None)


def html(
    result: Result, traces: Mapping[int, list[dict[str, Any]]], failures: Sequence[str], compared: str
) -> str:
    """Return the page. ``traces`` are those of the deciding decisions, ``compared`` says with what."""
    return environment().get_template("report.html").render(**context(result, traces, failures, compared))


def context(
    result: Result, traces: Mapping[int, list[dict[str, Any]]], failures: Sequence[str], compared: str
) -> dict[str, Any]:
    """Return what the templates show."""
    found = result.comparison
    held = found.new(Outcome.HOLD)
    wait = result.file.hold_at_most or PAID_BY_PROLIFIC
    ordered = found.in_order()
    return {
        "found": found,
        "file": result.file,
        "causes": result.causes,
        "failures": failures,
        "compared": compared,
        "olds": sorted({old for old, _ in found.matrix}),
        "news": sorted({new for _, new in found.matrix}),
        "cells": cells(found),
        "ordered": ordered,
        "explained": [(one, _old_trace(one, traces)) for one in explained(found)],
        "rates": [(outcome, *_rates(found, outcome)) for outcome in Outcome],
        "money": found.money,
        "held": held,
        "wait": described(wait),
        "wait_of_all": described(held * wait),
        "histogram": Histogram.of(found.times),
        "unreached": [rule for rule, count in found.rules.items() if not count.reached],
    }


def cells(found: Comparison) -> dict[tuple[str, str], list[Judged]]:
    """Return the changed submissions by cell of the matrix."""
    lists: dict[tuple[str, str], list[Judged]] = {}
    for one in found.in_order():
        if one.old:
            lists.setdefault((one.old.outcome.value, one.new.outcome.value), []).append(one)
    return lists


def explained_decisions(result: Result) -> list[int]:
    """Return the ids of the decisions whose traces the page shows."""
    return [one.decision_id for one in explained(result.comparison) if one.decision_id is not None]


def explained(found: Comparison) -> list[Judged]:
    """Return the changed submissions that are shown with both explanations; the others are a line each."""
    # Without a trace they were counted beyond the limit, see ``Comparison.add``.
    return [one for one in found.in_order() if one.new.trace][:EXPLAINED]


def _rates(found: Comparison, outcome: Outcome) -> tuple[Any, Any]:
    decided = found.submissions - found.old("undecided")
    return rate(found.old(outcome), decided), rate(found.new(outcome), found.submissions)


def _old_trace(one: Judged, traces: Mapping[int, list[dict[str, Any]]]) -> Sequence[dict[str, Any]]:
    if one.decision_id is not None:
        return traces.get(one.decision_id, [])
    return one.old.trace if one.old else ()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _amount(minor: object) -> str:
    return f"{float(str(minor)) / 100:,.2f}"


def _value(value: Any) -> str:
    return "missing" if value is None else written(value)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates; every text in them is escaped."""
    found = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"percent": _percent, "amount": _amount, "value": _value}
    return found
