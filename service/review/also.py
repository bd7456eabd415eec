"""Requests beside a decision, sent once it is applied: participant groups, a message to the participant.

Apart from reviews: no failure here undoes, repeats or delays a transition. Each try is recorded as an attempt of
the decision before it leaves. A change of a group is repeated where its answer is lost; a message is not.

    Prolific's answer                  a group                             a message
    ---------------------------------  ----------------------------------  -----------------------------
    2xx                                done                                done
    it never left: no connection       again, 2 s doubling to 10 min, for  the same
    429, a resting pace, the token     a day
    lost: no whole answer, 5xx, crash  the same                            given up: it may have arrived
    another 4xx                        given up                            given up
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from service.domain.decision import DecisionStatus, Mode
from service.errors import ProlificError
from service.postgres.database import Database
from service.postgres.periodic import run_every
from service.prolific.client import Prolific
from service.prolific.errors import CallsPaused, RateLimited, Refused, TokenRefused, Unreachable
from service.review.retry_policy import is_refusal
from service.rules import RuleBook
from service.store.also import Also, end_also, take_also
from service.store.decisions import add_answer, add_attempt
from service.store.pauses import scopes_of
from service.telemetry.metrics import Metrics

CHECK_EVERY = 1.0  # seconds
AT_ONCE = 20
MAX_DELAY = 600.0  # seconds between two tries
GIVEN_UP = timedelta(days=1)
WHILE_HELD_BACK = timedelta(seconds=30)  # until a pause or the mode is looked at again
LOST = {
    "error": "answer_lost",
    "message": "No answer is known, and it may have arrived: it is not sent again.",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlsoSender:
    """Sends due requests one after the other, in the slots that reviews share."""

    prolific: Prolific
    database: Database
    rules: Callable[[], RuleBook]
    mode: Mode
    metrics: Metrics

    async def run(self) -> None:
        await run_every("also", CHECK_EVERY, self.send_due)

    async def send_due(self) -> None:
        """Send the requests of applied decisions beside their transition."""
        while True:
            async with self.database.begin() as connection:
                due = await take_also(connection, AT_ONCE)
            for one in due:
                await self._send(one)
            if len(due) < AT_ONCE:
                return

    async def _send(self, also: Also) -> None:
        try:
            async with self.prolific.slot() as prolific:
                await prolific.ready()
                attempt = await self._begin(also)
                if attempt is not None:
                    await self._call(also, attempt, prolific)
        except CallsPaused as error:
            async with self.database.begin() as connection:
                await end_also(connection, also, timedelta(seconds=error.after))

    async def _call(self, also: Also, attempt: int, prolific: Prolific) -> None:
        try:
            code = await prolific.send_also(also.request)
        except ProlificError as error:
            await self._failed(also, attempt, error)
        else:
            await self._end(also, attempt, DecisionStatus.APPLIED, code, {})

    async def _begin(self, also: Also) -> int | None:
        """Record the attempt before the request is sent. Return None if none is to be sent."""
        async with self.database.begin() as connection:
            # A pause or a lower mode after the decision holds these requests back, too.
            is_paused = any(scope.pause for scope in await scopes_of(connection, also.study_id))
            file = self.rules().file_for(also.study_id or "", also.parent_id)
            if is_paused or self.mode.at_most(file.mode if file else None) is Mode.OBSERVE:
                await end_also(connection, also, WHILE_HELD_BACK)
                return None
            if also.unanswered:
                await add_answer(connection, also.unanswered, DecisionStatus.FAILED, None, LOST)
            # A group has its members once, however often they are added. A participant would read a message
            # twice.
            if also.unanswered and also.request["endpoint"] == "message":
                await end_also(connection, also, None)
                log.error("also.given_up", decision_id=also.decision_id, **LOST)
                return None
            return await add_attempt(connection, also.decision_id, also.request)

    async def _failed(self, also: Also, attempt: int, error: ProlificError) -> None:
        after = _retry_after(also, error)
        status = DecisionStatus.FAILED if after is None else DecisionStatus.PENDING
        code = error.status_code if isinstance(error, Refused) else None
        answer: dict[str, Any] = {"error": error.code, "message": str(error)}
        await self._end(also, attempt, status, code, answer, after)
        write = log.error if after is None else log.warning
        event = "also.given_up" if after is None else "also.retried"
        write(event, decision_id=also.decision_id, endpoint=also.request["endpoint"], error=str(error))

    async def _end(
        self,
        also: Also,
        attempt: int,
        status: DecisionStatus,
        code: int | None,
        answer: dict[str, Any],
        after: timedelta | None = None,
    ) -> None:
        async with self.database.begin() as connection:
            await add_answer(connection, attempt, status, code, answer)
            await end_also(connection, also, after)
        self.metrics.also.labels(also.request["endpoint"], status.value).inc()


def _retry_after(also: Also, error: ProlificError) -> timedelta | None:
    """Return the delay before the next try, see the table above, None when retries are exhausted."""
    # These end without a change of the request, a refused token with a new one.
    passes = isinstance(error, RateLimited | TokenRefused)
    may_have_arrived = (
        not passes and not is_refusal(error) and not (isinstance(error, Unreachable) and not error.sent)
    )
    if also.now - also.since >= GIVEN_UP or (is_refusal(error) and not passes):
        return None
    if may_have_arrived and also.request["endpoint"] == "message":
        return None
    if isinstance(error, Refused) and error.retry_after:
        return timedelta(seconds=error.retry_after)
    return timedelta(seconds=min(MAX_DELAY, 2.0 ** min(also.tries, 10)))
