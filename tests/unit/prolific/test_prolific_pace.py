"""The pace of all calls of a process: growing pauses, one probe call, and a return step by step."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.prolific.errors import CallsPaused
from service.prolific.pace import FAILURES_IN_A_ROW, MAX_PAUSE, SHORT, Pace

GOOD, BAD = "a-token", "a-refused-token"


class Watch:
    """A timer that tests move forward."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def pace(watch: Watch) -> Pace:
    return Pace(4, timer=watch)


def rest_of(pace: Pace, token: str = GOOD) -> float:
    """Return for how many seconds calls are paused, 0 if they are not or the pause is waited out."""
    try:
        pace.check(token)
    except CallsPaused as error:
        return error.after
    return 0.0


def rest_over(pace: Pace, watch: Watch, token: str = GOOD) -> None:
    watch.seconds += rest_of(pace, token) + SHORT


@asynccontextmanager
async def under_way(pace: Pace, wanted: int, token: str = GOOD) -> AsyncIterator[int]:
    """Begin calls until none is let through; return how many were."""
    async with AsyncExitStack() as stack:
        number = 0
        for _ in range(wanted):
            try:
                async with asyncio.timeout(0.01):
                    await stack.enter_async_context(pace.slot(token))
            except TimeoutError:
                break
            number += 1
        yield number


async def at_once(pace: Pace, token: str = GOOD) -> int:
    async with under_way(pace, 10, token) as number:
        return number


async def began(pace: Pace, token: str = GOOD) -> float:
    """Begin a call and return it without a result."""
    async with pace.slot(token) as at:
        return at


async def test_pace_limits_concurrent_calls(pace: Pace) -> None:
    assert await at_once(pace) == 4


async def test_pace_waits_as_long_as_a_429_says_up_to_a_minute(pace: Pace, watch: Watch) -> None:
    pace.limited(await began(pace), 30)
    assert rest_of(pace) == 30
    with pytest.raises(CallsPaused):
        await began(pace)
    watch.seconds += 31
    pace.limited(await began(pace), 1800)
    assert rest_of(pace) == MAX_PAUSE


async def test_pause_without_retry_after_doubles_with_jitter(watch: Watch) -> None:
    for tries, longest in enumerate([2, 4, 8, 16, 32, 60, 60, 60], start=1):
        rests = []
        for _ in range(20):
            pace = Pace(4, timer=watch)
            for _ in range(tries):
                rest_over(pace, watch)
                pace.limited(await began(pace), None)
            watch.seconds -= 10  # shows the short rests too
            rests.append(rest_of(pace) - 10)
            watch.seconds += 10
        assert longest / 2 <= min(rests) <= max(rests) <= longest
        assert max(rests) - min(rests) > longest / 20, "not all in one second"


async def test_pause_begins_after_three_failures_in_a_row(pace: Pace, watch: Watch) -> None:
    for _ in range(FAILURES_IN_A_ROW - 1):
        pace.failed(await began(pace))
    pace.succeeded(await began(pace))
    for _ in range(FAILURES_IN_A_ROW - 1):
        pace.failed(await began(pace))
    assert rest_of(pace) == 0
    assert await at_once(pace) == 4
    pace.failed(await began(pace))
    assert rest_of(pace) > SHORT
    rest_over(pace, watch)
    assert await at_once(pace) == 1, "one goes alone"


async def test_pause_begins_after_one_failure_with_retry_after(pace: Pace, watch: Watch) -> None:
    pace.failed(await began(pace), 20)
    assert rest_of(pace) == 20
    rest_over(pace, watch)
    assert await at_once(pace) == 1


async def test_concurrency_is_halved_by_a_429(pace: Pace, watch: Watch) -> None:
    for expected in (2, 1, 1):
        pace.limited(await began(pace), None)
        rest_over(pace, watch)
        assert await at_once(pace) == expected


async def test_concurrency_returns_step_by_step(pace: Pace, watch: Watch) -> None:
    """Each round of successes allows one more concurrent call."""
    for _ in range(FAILURES_IN_A_ROW):
        pace.failed(await began(pace))
    rest_over(pace, watch)
    steps = []
    for _ in range(10):
        steps.append(await at_once(pace))
        pace.succeeded(await began(pace))
    assert steps[0] == 1
    assert steps == sorted(steps)
    assert max(after - before for before, after in itertools.pairwise(steps)) == 1
    assert steps[-1] == 4, "and no more than ever"


async def test_failed_probe_begins_a_longer_pause(pace: Pace, watch: Watch) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        pace.failed(await began(pace))
    rest_over(pace, watch)
    pace.failed(await began(pace))
    assert rest_of(pace) >= 2.0**FAILURES_IN_A_ROW
    rest_over(pace, watch)
    assert await at_once(pace) == 1


async def test_call_begun_before_a_pause_neither_ends_nor_lengthens_it(pace: Pace, watch: Watch) -> None:
    early = [await began(pace) for _ in range(4)]
    watch.seconds += 1
    pace.limited(await began(pace), 20)
    for at in early:
        pace.succeeded(at)
        pace.failed(at)
        pace.limited(at, 50)
    assert rest_of(pace) == 20


async def test_short_pause_is_waited_out(pace: Pace, watch: Watch) -> None:
    pace.limited(await began(pace), 20)
    watch.seconds += 19.95
    loop = asyncio.get_running_loop()
    before = loop.time()
    await began(pace)
    assert loop.time() - before >= 0.04


async def test_waiting_call_is_not_sent_when_a_rest_begins(pace: Pace) -> None:
    async with under_way(pace, 4) as number:
        assert number == 4
        waiting = asyncio.create_task(began(pace))
        await asyncio.sleep(0)
        pace.limited(1000.0, 30)
    with pytest.raises(CallsPaused):
        await waiting


async def test_refused_token_is_tried_by_one_call_at_intervals(pace: Pace, watch: Watch) -> None:
    rests = []
    for _ in range(8):
        pace.refused(await began(pace, BAD), BAD)
        assert pace.refuses_token
        rests.append(rest_of(pace, BAD))
        rest_over(pace, watch, BAD)
        assert await at_once(pace, BAD) == 1
    assert max(rests) <= MAX_PAUSE


async def test_changed_token_is_tried_at_once(pace: Pace) -> None:
    for _ in range(3):
        pace.refused(1000.0, BAD)
    with pytest.raises(CallsPaused):
        pace.check(BAD)
    pace.check(GOOD)
    assert not pace.refuses_token
    assert await at_once(pace) == 1, "by one call"


async def test_accepted_token_ends_the_pause(pace: Pace, watch: Watch) -> None:
    pace.refused(await began(pace, BAD), BAD)
    rest_over(pace, watch, BAD)
    pace.succeeded(await began(pace, BAD))
    assert not pace.refuses_token
    assert rest_of(pace, BAD) == 0
