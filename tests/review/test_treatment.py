"""What is done about each refusal, as the table in the module says."""

from datetime import timedelta

import pytest

from service.errors import ProlificError
from service.prolific.errors import BadRequest, NotFound, RateLimited, ServerError, Unauthorised, Unreachable
from service.review.treatment import TRIES, retry_after

MINUTES = timedelta(minutes=1)


@pytest.mark.parametrize("error", [Unreachable(), ServerError(500), Unauthorised(401), RateLimited(429)])
def test_what_passes_is_tried_again_later_and_later_and_given_up_in_the_end(error: ProlificError) -> None:
    waits = [retry_after(error, tries) for tries in range(1, TRIES + 1)]
    assert waits[-1] is None
    assert all(wait is not None and timedelta(0) < wait <= 10 * MINUTES for wait in waits[:-1])
    assert waits[0] is not None
    assert waits[0] <= timedelta(seconds=2)


def test_prolifics_own_word_on_when_to_come_again_counts() -> None:
    wait = retry_after(RateLimited(429, retry_after=1800), 3)
    assert wait is not None
    assert timedelta(minutes=30) <= wait <= timedelta(minutes=30, seconds=1)


def test_not_found_is_final() -> None:
    assert retry_after(NotFound(404), 1) is None


def test_a_refusal_while_awaiting_is_tried_at_least_five_times_over_ten_minutes() -> None:
    waits: list[timedelta] = []
    while (wait := retry_after(BadRequest(400), len(waits) + 1)) is not None:
        waits.append(wait)
    assert len(waits) >= 5
    assert sum(waits, timedelta()) >= 10 * MINUTES
    assert waits[0] <= timedelta(seconds=5)
