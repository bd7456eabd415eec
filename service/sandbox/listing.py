"""Lists as Prolific gives them: filters, ordering, pages and the links between them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from starlette.datastructures import URL

from service.domain.submission import Status
from service.sandbox.answers import REQUIRED, Refusal, invalid
from service.sandbox.model import SimStudy, SimSubmission
from service.sandbox.quirks import Quirks
from service.sandbox.state import SandboxState

T = TypeVar("T")
Query = Mapping[str, str]
Predicate = Callable[[SimSubmission], bool]
Key = Callable[[SimSubmission], Any]

PAGE_SIZE = 20
LIMIT = 200
TRUE, FALSE = {"1", "true", "yes", "t"}, {"0", "false", "no", "f"}


def _has(*statuses: Status) -> Predicate:
    return lambda submission: submission.status in statuses


def _completed(submission: SimSubmission) -> bool:
    return submission.completed_at is not None


FLAGS: dict[str, Predicate] = {
    "completed": _completed,
    "returned": _has(Status.RETURNED),
    "awaiting_review": _has(Status.AWAITING_REVIEW),
    "approved": _has(Status.APPROVED),
    "active": _has(Status.ACTIVE),
    "timeout": _has(Status.TIMED_OUT),
    "rejected": _has(Status.REJECTED),
    "screened_out": _has(Status.SCREENED_OUT),
    "completeoractive": lambda submission: _completed(submission) or submission.status is Status.ACTIVE,
}


def filtered(state: SandboxState, query: Query) -> list[SimSubmission]:
    """Choose the submissions for which everything in the query holds. Raise ``Refusal``."""
    study = query.get("study")
    if not study:
        raise invalid("study", REQUIRED)
    if study not in state.studies:
        raise Refusal(404, f"Study with id {study} does not exist.")
    by_status = [] if state.quirks.ignores_status else _status(query)
    predicates = [*_flags(query), *_dates(query), *by_status]
    return [s for s in state.of_study(study) if all(holds(s) for holds in predicates)]


def ordered(found: list[T], ordering: str | None, keys: Mapping[str, Callable[[T], Any]]) -> list[T]:
    """Sort by one of the keys, ``-`` before it for descending, by start without a key."""
    name = ordering or "started_at"
    key = keys.get(name.removeprefix("-"))
    if key is None:
        raise invalid("ordering", f'"{ordering}" is not a valid choice.')
    return sorted(found, key=key, reverse=name.startswith("-"))


def listed(state: SandboxState, query: Query) -> list[SimSubmission]:
    """Choose and sort the submissions that a query asks for."""
    found = ordered(filtered(state, query), query.get("ordering"), workspace_keys(state))
    if state.quirks.unstable_order and not query.get("ordering"):
        state.random.shuffle(found)
    return found


def workspace_keys(state: SandboxState) -> dict[str, Key]:
    return {
        "started_at": lambda s: s.started_at,
        "submission_reward": lambda s: state.studies[s.study_id].reward,
        "study_name": lambda s: state.studies[s.study_id].name,
    }


def study_keys() -> dict[str, Key]:
    never = datetime.max.replace(tzinfo=UTC)
    return {
        "started_at": lambda s: s.started_at,
        "completed_at": lambda s: s.completed_at or never,
        "status": lambda s: s.status.value,
        "ip": lambda _: "",
        "time_taken": lambda s: s.time_taken or 0,
        "participant_id": lambda s: s.participant_id,
        "study_code": lambda s: s.entered_code or "",
    }


def study_list_keys() -> dict[str, Callable[[SimStudy], Any]]:
    return {"date_created": lambda study: study.body["date_created"]}


def page_of(
    found: Sequence[T], query: Query, url: URL, *, size: int = PAGE_SIZE, quirks: Quirks | None = None
) -> tuple[Sequence[T], dict[str, Any]]:
    """Cut out a page of ``size`` unless the query asks for another, and give links and count.

    A page past the end is 404, as Prolific's is.
    """
    quirks = quirks or Quirks(page_cap=max(1, len(found)))
    number = whole(query, "page", 1)
    size = min(whole(query, "page_size", size, least=1), quirks.page_cap)
    last = max(1, -(-len(found) // size))
    if number < 1 or (number > last and not quirks.empty_past_end):
        raise Refusal(404, "Invalid page.")
    rows = found[(number - 1) * size : number * size]
    if quirks.short_pages and rows:
        quirks.short_pages -= 1
        rows = rows[:-1]
    following = 1 if quirks.looping_next else number + 1 if number < last else None
    links = {
        "self": _link(url, "Current", page=number),
        "next": _link(url, "Next", page=following),
        "previous": _link(url, "Previous", page=number - 1 if number > 1 else None),
        "last": _link(url, "Last", page=last),
    }
    return rows, {"_links": links, "meta": {"count": len(found)}}


def slice_of(
    found: Sequence[T], query: Query, url: URL, *, limit: int = LIMIT
) -> tuple[Sequence[T], dict[str, Any]]:
    """Cut out by limit and offset, the way of workspaces and of a study's own list of submissions."""
    limit, offset = whole(query, "limit", limit, least=1), whole(query, "offset", 0, least=0)
    end = offset + limit
    last = (len(found) - 1) // limit * limit if found else 0
    links = {
        "self": _link(url, "Current", offset=offset),
        "next": _link(url, "Next", offset=end if end < len(found) else None),
        "previous": _link(url, "Previous", offset=max(0, offset - limit) if offset else None),
        "last": _link(url, "Last", offset=last),
    }
    return found[offset:end], {"_links": links, "meta": {"count": len(found)}}


def _link(url: URL, title: str, **where: int | None) -> dict[str, str | None]:
    here = None if None in where.values() else str(url.include_query_params(**where))
    return {"href": here, "title": title}


def whole(query: Query, name: str, default: int, *, least: int | None = None) -> int:
    try:
        number = int(query.get(name, default))
    except ValueError:
        raise invalid(name, "A valid integer is required.") from None
    if least is not None and number < least:
        raise invalid(name, f"Ensure this value is greater than or equal to {least}.")
    return number


def yes_or_no(query: Query, name: str) -> bool | None:
    text = query.get(name, "").lower()
    if text and text not in TRUE | FALSE:
        raise invalid(name, "Must be a valid boolean.")
    return text in TRUE if text else None


def _flags(query: Query) -> list[Predicate]:
    wanted = ((predicate, yes_or_no(query, name)) for name, predicate in FLAGS.items())
    return [_holds(predicate, flag) for predicate, flag in wanted if flag is not None]


def _holds(predicate: Predicate, wanted: bool) -> Predicate:
    return lambda submission: predicate(submission) is wanted


def _dates(query: Query) -> list[Predicate]:
    start, end = _day(query, "submitted_from"), _day(query, "submitted_before")
    found: list[Predicate] = []
    if start:
        found.append(lambda s: s.completed_at is not None and s.completed_at.date() >= start)
    if end:
        found.append(lambda s: s.completed_at is not None and s.completed_at.date() < end)
    return found


def _day(query: Query, name: str) -> date | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%d/%m/%Y").replace(tzinfo=UTC).date()
    except ValueError:
        raise invalid(name, "Enter a valid date.") from None


def _status(query: Query) -> list[Predicate]:
    text = query.get("status")
    if not text:
        return []
    status = Status.parse(text)
    if status is Status.UNKNOWN and text.upper() != Status.UNKNOWN:
        raise invalid("status", f'"{text}" is not a valid choice.')
    return [_has(status)]
