"""Common parts of the routes below ``/api``: the admin token, JSON bodies, errors as answers."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.queries import BadQuery
from service.domain.text import is_storable
from service.errors import AutoreviewError
from service.manual.actions import InvalidAction
from service.manual.decide import AlreadyDecided, NeverHeardOf
from service.manual.pause import Unnamed
from service.manual.texts import cleaned, excerpt
from service.web.bearer import Bearer
from service.web.http import MAX_BODY, DuplicateKey, body_within, problem, read_json

Endpoint = Callable[[Request], Awaitable[Response]]
LONGEST_ANSWER = 5000  # characters of what is wrong


class TooLarge(AutoreviewError):
    """The body is larger than any that makes sense."""

    code = "too_large"


STATUS: dict[type[AutoreviewError], int] = {
    BadQuery: 422,
    InvalidAction: 422,
    Unnamed: 422,
    TooLarge: 413,
    NeverHeardOf: 404,
    AlreadyDecided: 409,
}


def guarded(endpoint: Endpoint, bearer: Bearer) -> Endpoint:
    """The endpoint for those who hold the admin token; what it raises of ``STATUS`` becomes that answer."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        if refusal := bearer.refusal(request):
            return refusal
        try:
            _check_address(request)
            return await endpoint(request)
        # Its text may quote the request, so that its length is limited.
        except tuple(STATUS) as error:
            status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
            return problem(status, error.code, excerpt(str(error), longest=LONGEST_ANSWER))

    return answer


def _check_address(request: Request) -> None:
    """Refuse a text with a NUL, which PostgreSQL can't compare with anything."""
    if not is_storable([request.url.path, *request.query_params.values()]):
        raise BadQuery("The address holds a NUL.")


async def json_object(request: Request, known: set[str]) -> dict[str, Any]:
    """The body, an object with none but the known keys. Raise BadQuery, TooLarge."""
    body = await body_within(request)
    if body is None:
        raise TooLarge(f"{MAX_BODY} bytes are the most.")
    try:
        body_object = read_json(body)
    except DuplicateKey as error:
        raise BadQuery(str(error)) from None
    except ValueError:
        raise BadQuery("The body is not JSON.") from None
    if not isinstance(body_object, dict):
        raise BadQuery("The body has to be a JSON object.")
    if unknown := sorted(set(body_object) - known):
        raise BadQuery(f"known are {', '.join(sorted(known))}; unknown: {', '.join(map(excerpt, unknown))}")
    return body_object


def text(body_object: dict[str, Any], name: str) -> str:
    """A text of the body. Raise BadQuery where it is none, or missing."""
    value = body_object.get(name)
    if not isinstance(value, str):
        raise BadQuery(f"{name}: a text is needed")
    try:
        return cleaned(value)
    except ValueError as error:
        raise BadQuery(f"{name}: {error}") from None


def text_if_any(body_object: dict[str, Any], name: str) -> str | None:
    """A text of the body, None where it is missing or null. Raise BadQuery where it is none."""
    return None if body_object.get(name) is None else text(body_object, name)
