"""The retry policy: when to try again after a failure, for how long, and what follows.

    failure                       next try after                        for how long  then
    ----------------------------  ------------------------------------  ------------  -----------------
    no answer, 3xx, 5xx,          Retry-After (an hour at most), else   a day         failed
    unreadable, of another id     2 s, doubling to 10 min, jitter
    429                           the same                              a day         failed
    2xx without the wanted        the same; the submission is fetched,  a day         failed
    status; sent and still        and decided again if it still awaits
    processed                     review
    401, 403, and the token       as for no answer                      a day         failed
    can't be checked
    401, 403 for every request    up to a minute; one call checks, and  until it is   all work continues
    (the token)                   a token from a changed file at once   accepted
    400, 409, 422, another 4xx    2 s, 8 s, 30 s, 2 min, 5 min, 5 min   7 tries       failed
    while it awaits review;       (the submission is fetched after
    401, 403 for it alone         each)
    404                           never                                 -             failed
    a webhook reports AWAITING
    REVIEW and the API does not
    show it, or PROCESSING        2 s, 8 s, 30 s                        4 tries       decided as shown
    60 reviews in an hour         when the hour is over                 -             reviewed then
    an internal error             2 s, doubling to 10 min               a day         failed
    its process ended during it   at once, then 4 s, doubling to 1 h    a day         failed

Prolific documents no answer of their own for lack of money and for a rejection limit. They arrive as one of these.
A *failed* decision stays on record with Prolific's answer until `retry`, and Prolific pays the submission on day 21.
A request that may have arrived is never sent again automatically. The sweep fetches its submission, at most once an
hour, and settles the decision by what Prolific shows.
"""

import random
from datetime import timedelta

from service.errors import AutoreviewError, ProlificError
from service.prolific.errors import (
    CallsPaused,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    TokenRefused,
    Unreadable,
)
from service.store.reviews import Failures

REFUSAL_DELAYS = (2, 8, 30, 120, 300, 300)  # seconds; a 4xx may come before Prolific shows AWAITING REVIEW
NOT_VISIBLE_DELAYS = (2, 8, 30)  # seconds; a webhook may come before the API shows its status
MAX_DELAY = 600.0  # seconds
MAX_DELAY_AFTER_KILL = 3600.0  # seconds; each try may end other reviews too
OUTAGE = timedelta(hours=24)
TOKEN_DELAY = 10.0  # seconds; meanwhile one call at a time checks the token
MAX_JITTER = 30.0  # seconds
MOST_IN_AN_HOUR = 60  # reviews of one submission, of three calls at most each


class RetryLater(AutoreviewError):
    """The review is to be repeated after a delay."""

    code = "retry_later"

    def __init__(self, after: timedelta, why: str) -> None:
        super().__init__(f"{why}; next try in {after.total_seconds():.0f} s")
        self.after = after


class ReviewKilled(AutoreviewError):
    """The process ended during each review of this submission, for a day: it may run out of memory."""

    code = "review_killed"


def not_visible_delay(tries: int) -> timedelta | None:
    """Return the delay before fetching again what a webhook reported, None after the last of the ``tries``."""
    if tries > len(NOT_VISIBLE_DELAYS):
        return None
    return timedelta(seconds=NOT_VISIBLE_DELAYS[tries - 1])


def affects_every_call(error: ProlificError) -> bool:
    """Return True if the error does not depend on the submission. It does not count as a failure of its review."""
    return isinstance(error, CallsPaused | TokenRefused)


def is_refusal(error: ProlificError) -> bool:
    """Return True if Prolific answered and refused the request."""
    if isinstance(error, RateLimited | ServerError | Unreadable):
        return False
    # Prolific's API does not redirect: a 3xx comes from a proxy in between.
    return isinstance(error, Refused) and error.status_code >= 400


def wait_for_all(error: ProlificError) -> timedelta:
    """Return the delay after an error that affects every call, with jitter so that the calls spread out."""
    left = error.after if isinstance(error, CallsPaused) else TOKEN_DELAY
    return timedelta(seconds=left + random.uniform(0, min(left, MAX_JITTER)))  # noqa: S311 - jitter


def retry_delay(error: ProlificError, failures: Failures) -> timedelta | None:
    """Return the delay before the next try, None when retries are exhausted."""
    if isinstance(error, NotFound):
        return None
    if is_refusal(error):
        refusals = failures.refusals
        return timedelta(seconds=REFUSAL_DELAYS[refusals - 1]) if refusals <= len(REFUSAL_DELAYS) else None
    after = exponential_delay(failures)
    # With jitter: all calls that were refused at once would otherwise come back at once.
    if after and isinstance(error, Refused) and error.retry_after is not None:
        return timedelta(seconds=error.retry_after + random.uniform(0, 1))  # noqa: S311 - jitter
    return after


def killed_delay(failures: Failures) -> timedelta | None:
    """Return the delay after the process of a review ended during it, None after a day."""
    # The first time is rarely the review's fault: a deployment or a crash elsewhere ends processes too.
    return timedelta(0) if failures.outages == 1 else exponential_delay(failures, MAX_DELAY_AFTER_KILL)


def exponential_delay(failures: Failures, at_most: float = MAX_DELAY) -> timedelta | None:
    """Return 2 s, doubling to ``at_most`` seconds, with jitter; None after a day."""
    if failures.now - failures.since >= OUTAGE:
        return None
    longest = min(at_most, 2.0 ** min(failures.outages, 12))
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - jitter
