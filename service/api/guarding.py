"""What all routes below ``/api`` have in common: the admin token, JSON bodies, errors as answers."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.queries import BadQuery
from service.ops.http import body_within, problem, refuse_bearer
from service.people.actions import InvalidAction
from service.people.pausing import Unnamed
from service.people.resolving import AlreadyDecided, NeverHeardOf
from service.secret import Secret

Endpoint = Callable[[Request], Awaitable[Response]]
MAX_BODY = 64 * 1024  # bytes

STATUS = {BadQuery: 422, InvalidAction: 422, Unnamed: 422, NeverHeardOf: 404, AlreadyDecided: 409}


def guarded(endpoint: Endpoint, token: Secret | None) -> Endpoint:
    """The endpoint for those who hold the admin token; what it raises of ``STATUS`` becomes that answer."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        if refusal := refuse_bearer(request, token, "AUTOREVIEW_ADMIN_TOKEN"):
            return refusal
        try:
            return await endpoint(request)
        except tuple(STATUS) as error:
            return problem(STATUS[type(error)], error.code, str(error))

    return answer


async def json_object(request: Request, known: set[str]) -> dict[str, Any]:
    """The body, an object with none but the known keys. Raises BadQuery."""
    body = await body_within(request, MAX_BODY)
    try:
        said = json.loads(body) if body is not None else None
    except (ValueError, RecursionError):
        raise BadQuery("The body is not JSON.") from None
    if not isinstance(said, dict):
        raise BadQuery(f"The body has to be a JSON object of at most {MAX_BODY} bytes.")
    if unknown := sorted(set(said) - known):
        raise BadQuery(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return said


def text(said: dict[str, Any], name: str, *, required: bool = True) -> str | None:
    """A text of the body. Raises BadQuery where it is none, or missing."""
    value = said.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value.strip():
        raise BadQuery(f"{name}: a text is needed")
    if not value.replace("\n", "").isprintable():
        raise BadQuery(f"{name}: control characters and the like can't be kept")
    return value.strip()
