"""How fast this process may call Prolific: one pace for all its calls, so that no refusal is met alone.

Prolific names no limits; 429 comes mainly from one workspace's wallet, and it asks for back-off and for calls
one after the other (api-fundamentals, managing-high-loads). So after a 429, three failures in a row, or one
that says when to come again, all calls rest; then one goes alone, and each that succeeds lets the number at
once grow by a step.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from service.prolific.errors import Resting

FAILURES_IN_A_ROW = 3  # that are taken for an outage, not for one unlucky call
LONGEST_REST = 60.0  # seconds; what one call is told to wait beyond is that call's own affair
SHORT = 1.0  # seconds; a rest that is waited out, not handed back to the queue

log = structlog.get_logger(__name__)


class Pace:
    """At most ``concurrency`` calls at once, fewer and later while Prolific has trouble with us."""

    def __init__(self, concurrency: int, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._most = concurrency
        self._allowed = float(concurrency)
        self._under_way = 0
        self._changed = asyncio.Condition()
        self._timer = timer
        self._rest_began = self._rest_until = float("-inf")
        self._trouble = 0  # refusals and failures in a row
        self._refused_token: str | None = None

    @property
    def refuses_token(self) -> bool:
        """Whether Prolific refused the present token, whatever was asked with it."""
        return self._refused_token is not None

    def check(self, token: str) -> None:
        """Raises Resting while calls rest, with the seconds that are left."""
        if self._refused_token not in (None, token):  # another one: whether it is any better is worth a call
            self._refused_token, self._rest_until = None, float("-inf")
        left = self._rest_until - self._timer()
        if left > SHORT:
            why = "it refuses the token" if self.refuses_token else "it asked for fewer calls or had trouble"
            raise Resting(f"Prolific is left alone for {left:.0f} s: {why}", after=left)

    @asynccontextmanager
    async def turn(self, token: str) -> AsyncIterator[float]:
        """One of the ``concurrency`` slots, for calls made one after the other; yields when it began.

        Raise Resting where calls are paused for longer than a second.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way < int(self._allowed))
            self._under_way += 1
        try:
            await self.ready(token)
            yield self._timer()
        finally:
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    async def ready(self, token: str) -> None:
        """Wait out a rest of a second at most. Raise Resting where it is longer."""
        self.check(token)
        if (left := self._rest_until - self._timer()) > 0:
            await asyncio.sleep(left)

    def now(self) -> float:
        """When a call begins, by the timer: what is reported of it counts from there."""
        return self._timer()

    def succeeded(self, began: float) -> None:
        """The call was served, with what it asked for or with a plain no."""
        if began < self._rest_began:
            return
        if self._trouble >= FAILURES_IN_A_ROW or self.refuses_token:
            log.info("prolific.back")
        self._trouble, self._refused_token, self._rest_until = 0, None, float("-inf")
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)

    def limited(self, began: float, retry_after: float | None) -> None:
        """Prolific asked for fewer calls (429)."""
        if began >= self._rest_began:
            self._trouble += 1
            self._rest(max(1.0, self._allowed / 2), retry_after)

    def failed(self, began: float, retry_after: float | None = None) -> None:
        """No answer came, or one that tells of Prolific's own trouble, maybe with when it will be over."""
        if began >= self._rest_began:
            self._trouble += 1
            if retry_after is not None or self._trouble >= FAILURES_IN_A_ROW:
                self._rest(1.0, retry_after)

    def refused(self, began: float, token: str) -> None:
        """The token is refused for everything: one call now and then looks whether it still is."""
        if not self.refuses_token:
            log.error("prolific.token_refused", hint="set a new one; a changed …_FILE is read at once")
        self._refused_token = token
        if began >= self._rest_began:
            self._trouble += 1
            self._rest(1.0)

    def _rest(self, at_once: float, seconds: float | None = None) -> None:
        """What is still under way began before this rest and neither ends nor lengthens it."""
        longest = min(LONGEST_REST, 2.0 ** min(self._trouble, 10))
        rest = random.uniform(longest / 2, longest) if seconds is None else min(seconds, LONGEST_REST)  # noqa: S311 - jitter
        self._allowed = at_once
        self._rest_began = self._timer()
        self._rest_until = self._rest_began + rest
        log.warning("prolific.resting", seconds=round(rest, 1), at_once=int(at_once))
