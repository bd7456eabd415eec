"""Query parameters of lists. They are read strictly, and a mistake is named."""

from datetime import datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request

from service.domain import moment
from service.errors import AutoreviewError
from service.store.audit import CHOICES, FILTERS, DecisionFilter
from service.web.address import WEBHOOK_PATH

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def next_page(request: Request, public_url: str | None, **changes: str) -> str:
    """Return the address of the same list with these parameters changed.

    Relative where ``public_url`` is not set: behind a proxy the scheme and host of the request are not the client's.
    """
    url = request.url.include_query_params(**changes)
    base = (public_url or "").rstrip("/").removesuffix(WEBHOOK_PATH)
    return f"{base}{url.path}?{url.query}"


class BadQuery(AutoreviewError):
    """A query parameter is wrong."""

    code = "query"


def decision_query(parameters: QueryParams) -> tuple[DecisionFilter, int, int | None]:
    """The filter, the page's size, and the id that the page before ended with. Raise BadQuery."""
    _refuse_unknown(parameters, {*FILTERS, "limit", "before"})
    texts = {name: parameters[name] for name in FILTERS if parameters.get(name)}
    for name in CHOICES.keys() & texts.keys():
        _check_choice(name, texts[name])
    moments = {name: moment_parameter(name, texts.pop(name)) for name in ("since", "until") if name in texts}
    wanted = DecisionFilter(**texts, **moments)  # type: ignore[arg-type]  # the keys are separated above
    before = parameters.get("before")
    return wanted, limit_parameter(parameters.get("limit")), _whole("before", before) if before else None


def hold_query(parameters: QueryParams) -> tuple[dict[str, str], int, tuple[datetime, str] | None]:
    """The filter of holds, the page's size, and the (since, submission) it comes after. Raise BadQuery."""
    filters = ("study", "rule", "guard")
    _refuse_unknown(parameters, {*filters, "limit", "after"})
    wanted = {name: parameters[name] for name in filters if parameters.get(name)}
    if "guard" in wanted:
        _check_choice("guard", wanted["guard"])
    since, _, submission = parameters.get("after", "").partition("/")
    after = (moment_parameter("after", since), submission) if since else None
    return wanted, limit_parameter(parameters.get("limit")), after


def _refuse_unknown(parameters: QueryParams, known: set[str]) -> None:
    if unknown := sorted(set(parameters) - known):
        raise BadQuery(f"Unknown parameter {unknown[0]!r}; known are {', '.join(sorted(known))}.")


def _check_choice(name: str, text: str) -> None:
    choices = [choice.value for choice in CHOICES[name]]
    if text not in choices:
        raise BadQuery(f"{name} must be one of {', '.join(choices)}, not {text!r}.")


def limit_parameter(text: str | None) -> int:
    limit = _whole("limit", text) if text else DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise BadQuery(f"limit must be from 1 to {MAX_LIMIT}.")
    return limit


def moment_parameter(name: str, text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC."""
    found = moment.parse(text)
    if found is None:
        raise BadQuery(f"{name} must be a time such as 2026-01-31T12:00:00Z, not {text!r}.")
    return found


def _whole(name: str, text: str) -> int:
    # ``int`` also reads digits of other scripts, underscores and spaces.
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadQuery(f"{name} must be a whole number, not {text!r}.")
    return int(text)
