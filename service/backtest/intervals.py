"""The uncertainty of a rate: the Wilson score interval. Pure."""

from math import sqrt
from typing import NamedTuple

Z = 1.959963984540054  # of 95 %


class Rate(NamedTuple):
    """A share with its 95 % interval; all three are 0 where nothing was counted."""

    number: int
    share: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {
            "n": self.number,
            "share": round(self.share, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
        }


def rate(number: int, of: int) -> Rate:
    """Return the share of ``number`` among ``of`` with its Wilson interval."""
    if of == 0:
        return Rate(number, 0.0, 0.0, 0.0)
    share, square = number / of, Z * Z / of
    # Wilson's interval stays within 0 and 1, also for the rare rejections that matter most here.
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * sqrt(share * (1 - share) / of + square / (4 * of))
    return Rate(number, share, max(0.0, middle - half), min(1.0, middle + half))
