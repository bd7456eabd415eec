"""Convert Prolific's bodies to the domain's types. Unknown, missing and misspelt fields are tolerated.

The same submission has other field names in a list than alone. A body without an id or a status raises
``ValueError``, which the client turns into ``Unreadable``.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.submission import PARTICIPANT, CompletionCode, Status, Study, Submission
from service.prolific.fields import (
    Body,
    check_id,
    first,
    mapping,
    number,
    read_moment,
    required,
    results,
    text,
    whole,
)


@dataclass(frozen=True, slots=True)
class ReturnRequest:
    """The answer to a request to return: usually ``AWAITING REVIEW``, ``RETURNED`` after an immediate return."""

    status: Status
    return_requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: parsed, and the raw rows (only these have ``reward`` and more)."""

    results: tuple[Submission, ...]
    rows: tuple[Body, ...]
    next: bool
    count: int | None = None  # rows on all pages together (``meta.count``)
    unreadable: int = 0  # rows that are not in ``results``: no object, or without an id or a status


def read_submission(body: Any, *, study_id: str | None = None, wanted: str | None = None) -> Submission:
    """Read a submission alone, in a list, or as the answer to a transition.

    ``study_id`` is for rows of a list, which have none. ``wanted`` is the requested id: the body of another
    submission must not decide this one.
    """
    body = mapping(body)
    # A cache or proxy may mix up answers: no submission is decided by another's.
    if wanted is not None:
        check_id(body, wanted)
    return Submission(
        id=required(body, "id"),
        study_id=text(first(body, "study_id", "study")) or study_id,
        # A list has other names for the participant and the code than a single submission.
        participant_id=text(first(body, "participant", "participant_id")),
        status=Status.parse(required(body, "status")),
        started_at=read_moment(body.get("started_at")),
        completed_at=read_moment(body.get("completed_at")),
        time_taken=whole(body.get("time_taken")),
        entered_code=text(first(body, "entered_code", "study_code")),
        return_requested_at=read_moment(body.get("return_requested")),
        parent_study_id=text(body.get("parent_study_id")),
    )


def read_return_request(body: Any, *, wanted: str) -> ReturnRequest:
    body = mapping(body)
    check_id(body, wanted)
    return ReturnRequest(
        status=Status.parse(required(body, "status")),
        return_requested_at=read_moment(body.get("return_requested")),
    )


def read_study(body: Any, *, wanted: str) -> Study:
    body = mapping(body)
    check_id(body, wanted)
    codes = body.get("completion_codes")
    return Study(
        id=required(body, "id"),
        name=text(body.get("name")) or "",
        status=text(body.get("status")) or Status.UNKNOWN,
        estimated_completion_time=number(body.get("estimated_completion_time")),
        maximum_allowed_time=number(body.get("maximum_allowed_time")),
        reward=whole(body.get("reward")),
        total_available_places=whole(body.get("total_available_places")),
        metadata=text(body.get("metadata")),
        completion_codes=tuple(read_code(code) for code in codes) if isinstance(codes, list) else (),
    )


def read_code(body: Any) -> CompletionCode:
    body = mapping(body)
    actions = body.get("actions")
    listed = actions if isinstance(actions, list) else []
    # An action is an object or only its name.
    names = [action.get("action") if isinstance(action, dict) else action for action in listed]
    return CompletionCode(
        code=text(body.get("code")),
        code_type=text(body.get("code_type")) or "OTHER",
        actor=(text(body.get("actor")) or PARTICIPANT).lower(),
        actions=tuple(name for name in map(text, names) if name),
    )


def read_counts(body: Any) -> dict[Status | str, int]:
    """Return the number of submissions by status. Keys that are no status (``TOTAL``) stay as they are."""
    counts: dict[Status | str, int] = {}
    for key, count in mapping(body).items():
        status = Status.parse(key)
        # UNKNOWN is one of Prolific's own statuses, apart from those that this version does not know.
        known = status is not Status.UNKNOWN or key.upper() == Status.UNKNOWN
        counts[status if known else key] = whole(count) or 0
    return counts


def read_page(body: Any, *, study_id: str | None, page_size: int | None) -> Page:
    """Read one page of a list. A row that can't be read is counted and hides no other row."""
    body = mapping(body)
    rows = results(body)
    links = body.get("_links")
    if isinstance(links, dict) and "next" in links:
        link = links["next"]
        more = text(link.get("href") if isinstance(link, dict) else link) is not None
    else:  # Prolific's specification describes lists without links
        more = len(rows) >= (page_size or 1)
    read = list[Submission]()
    for row in rows:
        # Counted as unreadable: the list is then incomplete, and its other rows are still reviewed.
        with suppress(ValueError):
            read.append(read_submission(row, study_id=study_id))
    meta = body.get("meta")
    return Page(
        results=tuple(read),
        rows=tuple(row for row in rows if isinstance(row, dict)),
        next=more,
        count=whole(meta.get("count")) if isinstance(meta, dict) else None,
        unreadable=len(rows) - len(read),
    )
