"""What is done about each refusal of Prolific: try again when, for how long, then what.

    refusal                       again after                           for how long  then
    ----------------------------  ------------------------------------  ------------  -----------------
    no answer, 3xx, 5xx,          Retry-After (an hour at most), else   a day         failed
    unreadable, of another id     2 s, doubling to 10 min, jitter
    429                           the same                              a day         failed
    2xx, and it is not where      the same; it is fetched, and if it    a day         failed
    the decision wanted it; sent  still awaits review it is decided
    and being processed for long  again
    401, 403, and whose token     as for no answer                      a day         failed
    it is can't be asked
    401, 403 whatever is asked    up to a minute; one call looks, and   until it is   all work goes on
    (the token)                   a token from a changed file at once   accepted
    400, 409, 422, another 4xx    2 s, 8 s, 30 s, 2 min, 5 min, 5 min   7 tries       failed
    while it awaits review;       (the submission is fetched after
    401, 403 for it alone         each)
    404                           never                                 -             failed
    told that it awaits review
    and it is not there yet,
    or it is being processed      2 s, 8 s, 30 s                        4 looks       taken as it is
    60 reviews in an hour         when the hour is over                 -             reviewed then
    an error of our own           2 s, doubling to 10 min               a day         failed

Lack of money and a rejection limit have no answer of their own in Prolific's documents (reference 10.7, 10.8):
they come as one of these. A *failed* decision stays on record with Prolific's answer until somebody has it tried
again, and the submission with Prolific, which pays by itself on day 21. One that may have arrived all the same is
never sent again by itself, but looked at by the sweep, once an hour at most, and settled by what Prolific shows.
"""

import random
from datetime import timedelta

from service.errors import AutoreviewError, ProlificError
from service.prolific.errors import (
    NotFound,
    RateLimited,
    Refused,
    Resting,
    ServerError,
    TokenRefused,
    Unreadable,
)
from service.store.reviews import Failures

NOT_YET = (2, 8, 30, 120, 300, 300)  # seconds; Prolific may not have moved it to AWAITING REVIEW yet
NOT_THERE = NOT_YET[:3]  # seconds; a webhook may be faster than what it tells of
LONGEST = 600.0  # seconds
OUTAGE = timedelta(hours=24)
REFUSED_TOKEN = 10.0  # seconds; meanwhile the pace lets one call look, and no other
MOST_JITTER = 30.0  # seconds
MOST_IN_AN_HOUR = 60  # reviews of one submission, of three calls at most each


class RetryLater(AutoreviewError):
    """The review is to be taken up again after a while."""

    code = "retry_later"

    def __init__(self, after: timedelta, why: str) -> None:
        super().__init__(f"{why}; again in {after.total_seconds():.0f} s")
        self.after = after


def look_again(tries: int) -> timedelta | None:
    """How long to wait for what a webhook told of, after ``tries`` looks that did not find it."""
    return timedelta(seconds=NOT_THERE[tries - 1]) if tries <= len(NOT_THERE) else None


def affects_every_call(error: ProlificError) -> bool:
    """Whether the error says nothing of this submission, nor of Prolific's answering it: no trouble of its own."""
    return isinstance(error, Resting | TokenRefused)


def is_refusal(error: ProlificError) -> bool:
    """Whether Prolific said no to what was asked, instead of failing to answer it."""
    if isinstance(error, RateLimited | ServerError | Unreadable):
        return False
    return isinstance(error, Refused) and error.status_code >= 400  # a redirect is not Prolific's own


def wait_for_all(error: ProlificError) -> timedelta:
    """How long to wait where all calls have to; spread out, so that not all come back in one second."""
    left = error.after if isinstance(error, Resting) else REFUSED_TOKEN
    return timedelta(seconds=left + random.uniform(0, min(left, MOST_JITTER)))  # noqa: S311 - jitter


def retry_delay(error: ProlificError, trouble: Failures) -> timedelta | None:
    """How long to wait before trying again after this much trouble; None to give up."""
    if isinstance(error, NotFound):
        return None
    if is_refusal(error):
        refusals = trouble.refusals
        return timedelta(seconds=NOT_YET[refusals - 1]) if refusals <= len(NOT_YET) else None
    after = exponential_delay(trouble)
    if after and isinstance(error, Refused) and error.retry_after is not None:
        return timedelta(seconds=error.retry_after + random.uniform(0, 1))  # noqa: S311 - jitter
    return after


def exponential_delay(trouble: Failures) -> timedelta | None:
    """2 s, doubling to 10 min, with jitter; None after a day."""
    if trouble.now - trouble.since >= OUTAGE:
        return None
    longest = min(LONGEST, 2.0 ** min(trouble.outages, 10))
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - jitter
