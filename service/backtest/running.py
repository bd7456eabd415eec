"""A study's completion times as they grow: what the statistics were at each completion. Pure."""

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime
from math import log, sqrt

from service.store.statistics import Times, log_spread


@dataclass(slots=True)
class RunningTimes:
    """Add submissions in the order of their completion; the times are those of strictly earlier completions."""

    _sorted: list[float] = field(default_factory=list)
    _logs: list[float] = field(default_factory=list)
    _mean: float = 0.0
    _squares: float = 0.0  # sum of squared differences from the mean (Welford's method)
    _at: datetime | None = None
    _waiting: list[float] = field(default_factory=list)  # completed at that very time

    def before(self, completed_at: datetime) -> Times:
        """Return the times of what was completed before; call it in the order of completion."""
        if self._at != completed_at:
            for taken in self._waiting:
                self._take(taken)
            self._at, self._waiting = completed_at, []
        count = len(self._sorted)
        if not count:
            return Times(0, None, None, None)
        sd = sqrt(self._squares / (count - 1)) if count > 1 else None
        return Times(count, self._mean, sd, self._median(), *log_spread(self._logs))

    def add(self, taken: float) -> None:
        """Add a submission that was completed at the time that was asked for last."""
        self._waiting.append(taken)

    def _take(self, taken: float) -> None:
        insort(self._sorted, taken)
        if taken > 0:
            insort(self._logs, log(taken))
        difference = taken - self._mean
        self._mean += difference / len(self._sorted)
        self._squares += difference * (taken - self._mean)

    def _median(self) -> float:
        middle, is_odd = divmod(len(self._sorted), 2)
        if is_odd:
            return self._sorted[middle]
        return (self._sorted[middle - 1] + self._sorted[middle]) / 2
