"""The retry policy for each refusal, as in the table of the module."""

from datetime import UTC, datetime, timedelta

import pytest

from service.errors import ProlificError
from service.prolific.errors import (
    BadRequest,
    CallsPaused,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    TokenRefused,
    Unauthorised,
    Unreachable,
    Unreadable,
)
from service.review.retry_policy import affects_every_call, is_refusal, retry_delay, wait_for_all
from service.store.reviews import Failures

MINUTES = timedelta(minutes=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def trouble(*, outages: int = 0, refusals: int = 0, lasting: timedelta = timedelta()) -> Failures:
    return Failures(outages, refusals, since=NOON - lasting, now=NOON)


@pytest.mark.parametrize(
    "error",
    [
        Unreachable(),
        ServerError(500),
        Unreadable(200),
        Unreadable(403),
        RateLimited(429),
        Refused(301),
        Refused(302),
    ],
)
def test_temporary_failure_is_retried_with_growing_delays_for_a_day(error: ProlificError) -> None:
    waits = [retry_delay(error, trouble(outages=outages)) for outages in range(1, 200)]
    assert all(wait is not None and timedelta(0) < wait <= 10 * MINUTES for wait in waits)
    assert waits[0] is not None
    assert waits[0] <= timedelta(seconds=2)
    assert min(wait for wait in waits[10:] if wait) >= 5 * MINUTES, "never in a hot loop"
    assert retry_delay(error, trouble(outages=200, lasting=timedelta(hours=23))) is not None
    assert retry_delay(error, trouble(outages=200, lasting=timedelta(hours=24))) is None


@pytest.mark.parametrize("error", [RateLimited(429, retry_after=1800), ServerError(503, retry_after=1800)])
def test_retry_delay_respects_retry_after(error: Refused) -> None:
    wait = retry_delay(error, trouble(outages=3))
    assert wait is not None
    assert timedelta(minutes=30) <= wait <= timedelta(minutes=30, seconds=1)


def test_retry_delay_without_retry_after_keeps_its_schedule() -> None:
    wait = retry_delay(RateLimited(429), trouble(outages=8))
    assert wait is not None
    assert wait >= timedelta(seconds=100)


def test_not_found_is_not_retried() -> None:
    assert retry_delay(NotFound(404), trouble(refusals=1)) is None


@pytest.mark.parametrize("error", [BadRequest(400), BadRequest(409), Refused(402), Unauthorised(403)])
def test_refusal_while_awaiting_review_is_retried_at_least_five_times_over_ten_minutes(
    error: Refused,
) -> None:
    assert is_refusal(error)
    waits: list[timedelta] = []
    while (wait := retry_delay(error, trouble(outages=50, refusals=len(waits) + 1))) is not None:
        waits.append(wait)
    assert len(waits) >= 5
    assert sum(waits, timedelta()) >= 10 * MINUTES
    assert waits[0] <= timedelta(seconds=5), "troubles of another kind before it don't count"


@pytest.mark.parametrize(("error", "seconds"), [(CallsPaused("x", after=20), 20), (TokenRefused(401), 10)])
def test_jobs_that_wait_for_all_calls_return_at_different_times(error: ProlificError, seconds: int) -> None:
    assert affects_every_call(error)
    waits = {wait_for_all(error) for _ in range(50)}
    assert len(waits) == 50
    assert all(timedelta(seconds=seconds) <= wait <= timedelta(seconds=2 * seconds) for wait in waits)
