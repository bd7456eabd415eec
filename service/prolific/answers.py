"""From an HTTP answer to its JSON, or to the error it stands for."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

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
    text = without_token(response, response.text).replace("\x00", "").strip()
    return text[:MAX_ANSWER]


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
        return f"{heading}: {detail}"
    return detail or flat(heading) or flat(inner)


def flat(detail: Any) -> str:
    """Flatten a text, a list of them, or field → list."""
    if isinstance(detail, str):
        return " ".join(detail.replace("\x00", "").split())
    if isinstance(detail, dict):
        return "; ".join(f"{field}: {flat(what)}" for field, what in detail.items())
    if isinstance(detail, list):
        return " ".join(flat(what) for what in detail)
    return "" if detail is None else str(detail)


def retry_after(headers: httpx.Headers) -> float | None:
    """Read Retry-After in seconds from now, from either of its forms."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, headers.get("Date", ""))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(when: str, date: str) -> float | None:
    """Measure against the server's own clock where it tells it: ours may be off."""
    try:
        moment = parsedate_to_datetime(when)
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(date)
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (_aware(moment) - _aware(now)).total_seconds())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
