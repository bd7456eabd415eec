"""Prolific's bodies as the domain's types: tolerant of fields that are unknown, missing or misspelt.

The same submission has other field names in a list than in its detail (reference 2.1). A body without the
little that nothing can do without (an id, a status) is a ``ValueError``; the client makes it ``Unreadable``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.domain.submission import PARTICIPANT, CompletionCode, Status, Study, Submission

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReturnRequest:
    """What came of asking: ``RETURNED`` when the participant did at once, else mostly ``AWAITING REVIEW``."""

    status: Status
    return_requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: parsed, and the rows as they came (``time_taken``, ``reward``, … are only there)."""

    results: tuple[Submission, ...]
    rows: tuple[Body, ...]
    next: bool
    next_href: str | None = None


def read_submission(body: Any, *, study_id: str | None = None) -> Submission:
    """Read a detail, a list row or a transition's reply; ``study_id`` is for rows, which have none."""
    body = _mapping(body)
    return Submission(
        id=_required(body, "id"),
        study_id=_text(_first(body, "study_id", "study")) or study_id,
        participant_id=_text(_first(body, "participant", "participant_id")),
        status=Status.parse(_required(body, "status")),
        started_at=read_moment(body.get("started_at")),
        completed_at=read_moment(body.get("completed_at")),
        time_taken=_whole(body.get("time_taken")),
        entered_code=_text(_first(body, "entered_code", "study_code")),
        return_requested_at=read_moment(body.get("return_requested")),
    )


def read_return_request(body: Any) -> ReturnRequest:
    body = _mapping(body)
    return ReturnRequest(
        status=Status.parse(_required(body, "status")),
        return_requested_at=read_moment(body.get("return_requested")),
    )


def read_study(body: Any) -> Study:
    body = _mapping(body)
    codes = body.get("completion_codes")
    return Study(
        id=_required(body, "id"),
        name=_text(body.get("name")) or "",
        status=_text(body.get("status")) or Status.UNKNOWN,
        estimated_completion_time=_number(body.get("estimated_completion_time")),
        maximum_allowed_time=_number(body.get("maximum_allowed_time")),
        reward=_whole(body.get("reward")),
        total_available_places=_whole(body.get("total_available_places")),
        metadata=_text(body.get("metadata")),
        completion_codes=tuple(read_code(code) for code in codes) if isinstance(codes, list) else (),
    )


def read_code(body: Any) -> CompletionCode:
    body = _mapping(body)
    actions = body.get("actions")
    listed = actions if isinstance(actions, list) else []
    names = [action.get("action") if isinstance(action, dict) else action for action in listed]
    return CompletionCode(
        code=_text(body.get("code")),
        code_type=_text(body.get("code_type")) or "OTHER",
        actor=(_text(body.get("actor")) or PARTICIPANT).lower(),
        actions=tuple(name for name in names if isinstance(name, str)),
    )


def read_counts(body: Any) -> dict[Status | str, int]:
    """Count by status; what is no status (``TOTAL``) stays under Prolific's own word."""
    counts: dict[Status | str, int] = {}
    for key, number in _mapping(body).items():
        status = Status.parse(key)
        known = status is not Status.UNKNOWN or key.upper() == Status.UNKNOWN
        counts[status if known else key] = _whole(number) or 0
    return counts


def read_page(body: Any, *, study_id: str | None, page_size: int | None) -> Page:
    body = _mapping(body)
    rows = _list(body, "results")
    links = body.get("_links")
    href = None
    if isinstance(links, dict) and "next" in links:
        link = links["next"]
        href = _text(link.get("href") if isinstance(link, dict) else link)
        more = href is not None
    else:  # the shape of Prolific's own specification, which tells nothing of further pages
        more = len(rows) >= (page_size or 1)
    return Page(
        results=tuple(read_submission(row, study_id=study_id) for row in rows),
        rows=tuple(rows),
        next=more,
        next_href=href,
    )


def read_moment(value: Any) -> datetime | None:
    """Read an ISO 8601 time with any fraction of a second; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _mapping(body: Any) -> Body:
    if isinstance(body, dict):
        return body
    raise ValueError("an object was expected")


def _list(body: Body, field: str) -> list[Any]:
    value = body.get(field)
    if isinstance(value, list):
        return value
    raise ValueError(f"it has no list of {field}")


def _required(body: Body, field: str) -> str:
    value = _text(body.get(field))
    if value is None:
        raise ValueError(f"it has no {field}")
    return value


def _first(body: Body, *fields: str) -> Any:
    return next((body[field] for field in fields if body.get(field) is not None), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
