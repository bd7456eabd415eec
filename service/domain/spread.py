"""Median and median absolute deviation of sorted values, found without looking at each of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

# The median absolute deviation of a standard normal distribution: dividing by it estimates the standard deviation.
NORMAL = 0.6744897501960817


@dataclass(frozen=True, slots=True)
class Repeated(Sequence[float]):
    """A sorted sequence in which each value stands as often as it was counted."""

    values: Sequence[float]
    ends: Sequence[int]

    @classmethod
    def of(cls, counts: Iterable[tuple[float, int]]) -> "Repeated":
        """Build it from values in ascending order with their numbers, which are above zero."""
        pairs = list(counts)
        return cls([value for value, _ in pairs], list(accumulate(number for _, number in pairs)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self.values[bisect_right(self.ends, index)]


def median(values: Sequence[float]) -> float:
    """Return the median of sorted values, at least one."""
    return _middle(len(values), lambda place: values[place])


def deviation(values: Sequence[float], center: float) -> float:
    """Return the median distance of sorted values, at least one, from ``center``."""
    split = bisect_left(values, center)
    below, above = split, len(values) - split

    def nth(place: int) -> float:
        # The values below and above are both in the order of their distance: find how many of the nearest are below.
        least, most = max(0, place + 1 - above), min(place + 1, below)
        while least < most:
            half = (least + most) // 2
            if center - values[split - 1 - half] < values[split + place - half] - center:
                least = half + 1
            else:
                most = half
        farthest = [center - values[split - least]] if least else []
        if place + 1 - least:
            farthest.append(values[split + place - least] - center)
        return max(farthest)

    return _middle(len(values), nth)


def _middle(count: int, nth: Callable[[int], float]) -> float:
    half, is_odd = divmod(count, 2)
    return nth(half) if is_odd else (nth(half - 1) + nth(half)) / 2
