"""From an HTTP answer to its JSON, or to the error it stands for."""

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

LONGEST_RETRY_AFTER = (
    3600.0  # seconds; what a header asks for beyond is no reason to leave anybody for longer
)
SHORTEST_TOKEN = 8  # characters; what is shorter is no secret, and may be part of any word

BY_STATUS: dict[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    409: BadRequest,
    422: BadRequest,
    429: RateLimited,
}


def read_json(response: httpx.Response) -> Any:
    """Give the JSON of a 2xx answer; raise the branch of ``Refused`` that any other stands for."""
    if not response.is_success:
        raise refusal(response)
    if why := response.extensions.get(UNREADABLE):
        raise unreadable(response, why)
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise unreadable(response, "its body is not JSON") from error


def refusal(response: httpx.Response) -> Refused:
    status = response.status_code
    branch = BY_STATUS.get(status, ServerError if status >= 500 else Refused)
    try:
        detail = sentence(response.json())
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
    """Take the text as it came, without what a database or a log would choke on."""
    return storable(without_token(response, response.text)).strip()[:MAX_ANSWER]


def without_token(response: httpx.Response, text: str) -> str:
    """Hide the token where an answer (of a proxy, say) repeats the request's headers."""
    token = response.request.headers.get("Authorization", "").removeprefix("Token ")
    return text.replace(token, "***") if len(token) >= SHORTEST_TOKEN else text


def sentence(body: Any) -> str:
    """Say in one line what any of Prolific's four error envelopes says (reference 6)."""
    if not isinstance(body, dict):
        return flat(body)
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return flat(inner)
    heading = inner.get("title") or inner.get("message")
    detail = flat(inner.get("detail")) or flat(inner.get("additional_information"))
    if detail and isinstance(heading, str):
        return f"{flat(heading)}: {detail}"
    return detail or flat(heading) or flat(inner)


def flat(detail: Any) -> str:
    """Flatten a text, a list of them, or field → list."""
    if isinstance(detail, str):
        return " ".join(storable(detail).split())
    if isinstance(detail, dict):
        return "; ".join(f"{flat(field)}: {flat(what)}" for field, what in detail.items())
    if isinstance(detail, list):
        return " ".join(flat(what) for what in detail)
    return "" if detail is None else str(detail)


def retry_after(headers: httpx.Headers) -> float | None:
    """Read Retry-After in seconds from now, an hour at most.

    None where it is not told: no header, one that can't be read, or no time that is still to come.
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, headers.get("Date"))
    return min(seconds, LONGEST_RETRY_AFTER) if math.isfinite(seconds) and seconds > 0 else None


def _until(when: str, date: str | None) -> float:
    """Measure against the server's own clock where it tells it: ours may be off. NaN for what is no time."""
    moment, now = read_http_date(when), read_http_date(date) or datetime.now(UTC)
    return (moment - now).total_seconds() if moment else math.nan
