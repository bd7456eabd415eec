"""Limits over past submissions, in the order of their decisions. Pure.

As in the service, the first decision beyond a limit opens its breaker. It is never closed here, so that what comes
after is held too.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from service.backtest.judged import Side
from service.domain.decision import Guard, Outcome
from service.review.limits import GUARDS, Usage, excess
from service.rules import Limits
from service.store.pauses import Scope

DAY = timedelta(days=1)


@dataclass(slots=True)
class LimitSimulation:
    """Holds decisions beyond the limits of a rule file."""

    limits: Limits
    _last: deque[Outcome] = field(default_factory=deque)
    _day: deque[tuple[datetime, Outcome, Decimal]] = field(default_factory=deque)
    _open: dict[Guard, str] = field(default_factory=dict)

    def apply(self, side: Side, at: datetime) -> Side:
        """Return what stands; call it in the order of time."""
        held = self._excess(side, at)
        outcome = Outcome.HOLD if held else side.outcome
        self._last.appendleft(outcome)
        while len(self._last) > self.limits.reject.of_last:
            self._last.pop()
        paid = (side.pays or Decimal(0)) if outcome is side.outcome else Decimal(0)
        self._day.append((at, outcome, paid))
        return replace(side, outcome=outcome, reason=held, pays=Decimal(0)) if held else side

    def _excess(self, side: Side, at: datetime) -> str | None:
        guard = GUARDS.get(side.outcome)
        if guard is None:
            return None
        # As after a breaker in the service: held until a person resumes.
        if guard in self._open:
            return f"Held by the breaker of {guard}: {self._open[guard]}"
        # The service counts the last 24 hours, not the calendar's days.
        while self._day and self._day[0][0] <= at - DAY:
            self._day.popleft()
        usage = Usage(
            self.limits,
            outcomes=tuple(self._last)[: self.limits.reject.of_last - 1],
            number=sum(outcome is side.outcome for _, outcome, _ in self._day),
            paid=sum((paid for _, _, paid in self._day), Decimal(0)),
        )
        no_scope = Scope(None)
        found = excess(side.outcome, side.pays, usage, no_scope, no_scope, already_counted=False)
        if found is None:
            return None
        self._open[guard] = found.reason
        return found.reason
