"""The pace of this process's calls to Prolific: one limiter and circuit breaker for all of them.

Prolific documents no limits. A 429 mainly comes from concurrent payments of one workspace, and Prolific asks for
back-off and for one call at a time. So after a 429, three failures in a row, or a Retry-After, all calls pause.
Then one call at a time runs, and each success raises the allowed number by a step.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from service.prolific.errors import CallsPaused

FAILURES_IN_A_ROW = 3  # taken for an outage; fewer may be bad luck
MAX_PAUSE = 60.0  # seconds; a longer Retry-After delays only the call that received it
SHORT = 1.0  # seconds; a pause that calls wait for, instead of going back to the queue

log = structlog.get_logger(__name__)


class Pace:
    """At most ``concurrency`` calls at once, fewer and later while Prolific fails or refuses."""

    def __init__(self, concurrency: int, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._most = concurrency
        self._allowed = float(concurrency)
        self._under_way = 0
        self._changed = asyncio.Condition()
        self._timer = timer
        self._pause_began = self._paused_until = float("-inf")
        self._failures = 0  # refusals and failures in a row
        self._refused_token: str | None = None

    @property
    def refuses_token(self) -> bool:
        """Return True if Prolific refused the present token for every call."""
        return self._refused_token is not None

    def check(self, token: str) -> None:
        """Raise CallsPaused during a pause, with the seconds that are left."""
        if self._refused_token not in (None, token):  # a new token may be accepted: try it at once
            self._refused_token, self._paused_until = None, float("-inf")
        left = self._paused_until - self._timer()
        if left > SHORT:
            why = "it refuses the token" if self.refuses_token else "it asked for fewer calls or failed"
            raise CallsPaused(f"Calls to Prolific are paused for {left:.0f} s: {why}", after=left)

    @asynccontextmanager
    async def slot(self, token: str) -> AsyncIterator[float]:
        """Hold one of the slots for calls made one after the other. Yield the time when it began.

        Raise CallsPaused if calls are paused for more than a second.
        """
        async with self._changed:
            # The slot comes first, because a pause may end during the wait.
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
        """Wait until a pause of a second at most is over. Raise CallsPaused if it is longer."""
        self.check(token)
        if (left := self._paused_until - self._timer()) > 0:
            await asyncio.sleep(left)

    def now(self) -> float:
        """Return the timer's time. Reports of a call name the time when it began."""
        return self._timer()

    def succeeded(self, began: float) -> None:
        """Report a call that Prolific answered, even with a refusal."""
        # A call from before the pause shows nothing about Prolific after it.
        if began < self._pause_began:
            return
        if self._failures >= FAILURES_IN_A_ROW or self.refuses_token:
            log.info("prolific.back")
        self._failures, self._refused_token, self._paused_until = 0, None, float("-inf")
        # One more call at once after as many successes as calls are allowed.
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)

    def limited(self, began: float, retry_after: float | None) -> None:
        """Report a 429: Prolific asks for fewer calls."""
        if began >= self._pause_began:
            self._failures += 1
            self._pause(max(1.0, self._allowed / 2), retry_after)

    def failed(self, began: float, retry_after: float | None = None) -> None:
        """Report a call without an answer, or with an error of Prolific's own."""
        if began >= self._pause_began:
            self._failures += 1
            # A Retry-After counts at once: Prolific, or a gateway before it, is overloaded or in maintenance.
            if retry_after is not None or self._failures >= FAILURES_IN_A_ROW:
                self._pause(1.0, retry_after)

    def refused(self, began: float, token: str) -> None:
        """Report that every call with the token is refused. One call after each pause tests it again."""
        # Logged once, not with every call that tests it.
        if not self.refuses_token:
            log.error("prolific.token_refused", hint="set a new one; a changed …_FILE is read at once")
        self._refused_token = token
        if began >= self._pause_began:
            self._failures += 1
            self._pause(1.0)

    def _pause(self, at_once: float, seconds: float | None = None) -> None:
        """Pause all calls. Calls in progress began before the pause, so their results neither end nor extend it."""
        longest = min(MAX_PAUSE, 2.0 ** min(self._failures, 10))
        pause = random.uniform(longest / 2, longest) if seconds is None else min(seconds, MAX_PAUSE)  # noqa: S311 - jitter
        self._allowed = at_once
        self._pause_began = self._timer()
        self._paused_until = self._pause_began + pause
        log.warning("prolific.resting", seconds=round(pause, 1), at_once=int(at_once))
