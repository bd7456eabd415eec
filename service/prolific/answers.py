"""Convert an HTTP answer to its JSON, or to the error that it means."""

import math
from datetime import UTC, datetime
from typing import Any

import httpx

from service.domain.text import storable
from service.prolific.bodies import UNREADABLE
from service.prolific.errors import (
    MAX_ANSWER,
    BadRequest,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    Unauthorised,
    Unreadable,
)
from service.prolific.fields import read_http_date

MAX_RETRY_AFTER = 3600.0  # seconds; a header with a longer time must not delay a participant any longer
MIN_TOKEN_LENGTH = 8  # characters; a shorter one is no secret, and may occur in any word

# For a transition, 409 and 422 mean the same as 400: not accepted in the present status.
BY_STATUS: dict[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    409: BadRequest,
    422: BadRequest,
    429: RateLimited,
}


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of a 2xx answer. Raise the branch of ``Refused`` for any other answer."""
    if not response.is_success:
        raise refusal(response)
    if why := response.extensions.get(UNREADABLE):
        raise unreadable(response, why)
    try:
        return response.json()
    # Deeply nested JSON ends in a RecursionError: an answer must not crash a review.
    except (ValueError, RecursionError) as error:
        raise unreadable(response, "its body is not JSON") from error


def refusal(response: httpx.Response) -> Refused:
    status = response.status_code
    branch = BY_STATUS.get(status, ServerError if status >= 500 else Refused)
    try:
        detail = error_text(response.json())
    # Proxies and load balancers answer with HTML: then the status is all that is known.
    except (ValueError, RecursionError):
        detail = ""
    return branch(
        status,
        without_token(response, detail)[:MAX_ANSWER] or None,
        answer=answer_text(response),
        retry_after=retry_after(response.headers),
    )


def unreadable(response: httpx.Response, why: str) -> Unreadable:
    return Unreadable(
        response.status_code, f"Prolific's answer cannot be read: {why}.", answer=answer_text(response)
    )


def answer_text(response: httpx.Response) -> str:
    """Return the answer's text, without the token and without characters that can't be stored."""
    return storable(without_token(response, response.text)).strip()[:MAX_ANSWER]


def without_token(response: httpx.Response, text: str) -> str:
    """Hide the token if an answer (of a proxy, for example) repeats the request's headers."""
    token = response.request.headers.get("Authorization", "").removeprefix("Token ")
    return text.replace(token, "***") if len(token) >= MIN_TOKEN_LENGTH else text


def error_text(body: Any) -> str:
    """Return the message of any of Prolific's four error envelopes as one line."""
    if not isinstance(body, dict):
        return flat(body)
    # Wrapped in "error" by most endpoints, bare by lists, messages and bulk approvals.
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return flat(inner)
    heading = inner.get("title") or inner.get("message")
    # A text, a list of texts, or lists of texts by field: all three occur.
    detail = flat(inner.get("detail")) or flat(inner.get("additional_information"))
    if detail and isinstance(heading, str):
        return f"{flat(heading)}: {detail}"
    return detail or flat(heading) or flat(inner)


def flat(detail: Any) -> str:
    """Flatten a text, a list of texts, or an object of lists by field."""
    if isinstance(detail, str):
        return " ".join(storable(detail).split())
    if isinstance(detail, dict):
        return "; ".join(f"{flat(field)}: {flat(what)}" for field, what in detail.items())
    if isinstance(detail, list):
        return " ".join(flat(what) for what in detail)
    return "" if detail is None else str(detail)


def retry_after(headers: httpx.Headers) -> float | None:
    """Return Retry-After in seconds from now, an hour at most. None if it is missing, unreadable or past."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        # A date, which HTTP allows beside seconds.
        seconds = _until(text, headers.get("Date"))
    return min(seconds, MAX_RETRY_AFTER) if math.isfinite(seconds) and seconds > 0 else None


def _until(when: str, date: str | None) -> float:
    """Return the seconds until a date, by the server's own clock if it has one. NaN if it is no date."""
    moment, now = read_http_date(when), read_http_date(date) or datetime.now(UTC)
    return (moment - now).total_seconds() if moment else math.nan
