"""Charts as SVG made here: no script, no library, and they print. Only their geometry; templates draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, log10

from service.domain.decision import Outcome

HOURS = 24
WIDTH, HEIGHT = 960, 180  # units of the drawing
STACK = (Outcome.APPROVE, Outcome.COMPLETE, Outcome.HOLD, Outcome.REQUEST_RETURN, Outcome.REJECT)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; ``kind`` is its class, ``label`` its description for readers."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis. ``moment`` is set on an axis of time, for the viewer's zone."""

    at: float
    text: str
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A vertical line, such as a mean."""

    x: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over an axis."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    top: int
    lines: tuple[Line, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


def outcomes_chart(per_hour: Mapping[datetime, Mapping[str, int]], now: datetime) -> Chart:
    """Stacked bars, one for each of the last 24 hours, the newest on the right."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    counted = {hour.astimezone(UTC): counts for hour, counts in per_hour.items()}
    top = _nice(max((sum(counts.values()) for counts in counted.values()), default=0))
    slot = WIDTH / HOURS
    bars: list[Bar] = []
    for place, hour in enumerate(hours):
        bottom = float(HEIGHT)
        for outcome in STACK:
            number = counted.get(hour, {}).get(outcome.value, 0)
            if not number:
                continue
            height = number / top * HEIGHT
            bottom -= height
            label = f"{outcome.value.replace('_', ' ')}: {number}"
            bars.append(Bar(place * slot + 2, bottom, slot - 4, height, outcome.value, label))
    ticks = tuple(
        Tick(place * slot, f"{hour:%H}:00", hour) for place, hour in enumerate(hours) if place % 4 == 0
    )
    return Chart(tuple(bars), ticks, top)


def histogram(values: Sequence[float], *, mean: float | None, bound: float | None, bins: int = 24) -> Chart:
    """Completion times in seconds, with their mean and the bound of three standard deviations below it."""
    lowest = 0.0
    highest = max([*values, mean or 0.0, 1.0])
    width = _nice(ceil((highest - lowest) / bins)) or 1
    counts = [0] * (int(highest // width) + 1)
    for value in values:
        counts[min(len(counts) - 1, int(value // width))] += 1
    top = _nice(max(counts, default=0))
    slot = WIDTH / len(counts)
    bars = tuple(
        Bar(
            place * slot + 1,
            HEIGHT - number / top * HEIGHT,
            slot - 2,
            number / top * HEIGHT,
            "time",
            f"{place * width} to {(place + 1) * width} s: {number}",
        )
        for place, number in enumerate(counts)
        if number
    )
    step = max(1, len(counts) // 6)
    ticks = tuple(Tick(place * slot, f"{place * width} s") for place in range(0, len(counts), step))
    lines = tuple(
        Line(at / (width * len(counts)) * WIDTH, kind, label)
        for at, kind, label in (
            (mean, "mean", f"mean {mean or 0:.0f} s"),
            (bound, "bound", f"mean − 3 SD {bound or 0:.0f} s"),
        )
        if at is not None and at >= 0
    )
    return Chart(bars, ticks, top, lines)


def _nice(number: int) -> int:
    """Round up to 1, 2 or 5 times a power of ten."""
    if number <= 1:
        return 1
    power = int(10 ** int(log10(number)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= number)
