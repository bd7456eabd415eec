"""What is done about each refusal of Prolific: try again when, how often, then what.

    refusal                       again after                         at most     then
    ----------------------------  ----------------------------------  ----------  -------------------
    no answer, 5xx, unreadable    2 s, doubling to 10 min, jitter     20 tries    failed
    429                           Retry-After, else as above          20 tries    failed
    401, 403                      as above (the token is read anew)   20 tries    failed
    400, 409, 422 while awaiting  2 s, 8 s, 30 s, 2 min, 5 min, 5 min 7 tries     failed
    404                           never                               -           failed
    told that it awaits review
    and it is not there yet,
    or it is being processed      2 s, 8 s, 30 s                      4 looks     taken as it is

A *failed* decision stays on record with Prolific's answer, and the submission with Prolific, which pays by
itself on day 21.
"""

import random
from datetime import timedelta

from service.errors import AutoreviewError, ProlificError
from service.prolific.errors import BadRequest, NotFound, RateLimited

NOT_YET = (2, 8, 30, 120, 300, 300)  # seconds; Prolific may not have moved it to AWAITING REVIEW yet
NOT_THERE = NOT_YET[:3]  # seconds; a webhook may be faster than what it tells of
TRIES = 20
LONGEST = 600.0  # seconds


class RetryLater(AutoreviewError):
    """The review is to be taken up again after a while."""

    code = "retry_later"

    def __init__(self, after: timedelta, why: str) -> None:
        super().__init__(f"{why}; again in {after.total_seconds():.0f} s")
        self.after = after


def look_again(tries: int) -> timedelta | None:
    """How long to wait for what a webhook told of, after ``tries`` looks that did not find it."""
    return timedelta(seconds=NOT_THERE[tries - 1]) if tries <= len(NOT_THERE) else None


def retry_after(error: ProlificError, tries: int) -> timedelta | None:
    """How long to wait before trying again after ``tries`` tries that failed; None to give up."""
    if isinstance(error, NotFound):
        return None
    if isinstance(error, BadRequest):
        return timedelta(seconds=NOT_YET[tries - 1]) if tries <= len(NOT_YET) else None
    if tries >= TRIES:
        return None
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return timedelta(seconds=error.retry_after + random.uniform(0, 1))  # noqa: S311 - jitter
    longest = min(LONGEST, 2.0**tries)
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - jitter
