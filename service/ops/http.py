"""Small things each route needs: bounded bodies, one shape of errors, bearer tokens."""

import hmac
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from service.errors import ConfigurationError
from service.secret import Secret


def problem(
    status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """An error as every route gives it: ``{"error": code, "message": sentence, …}``."""
    return JSONResponse({"error": code, "message": message, **more}, status_code=status, headers=headers)


async def body_within(request: Request, limit: int) -> bytes | None:
    """The body, or None as soon as it is known to be over ``limit`` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        return None
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                return None
            chunks.append(chunk)
    except ClientDisconnect:
        pass  # what came is not what was signed; nobody reads the answer
    return b"".join(chunks)


def refuse_bearer(request: Request, token: Secret | None, variable: str) -> Response | None:
    """None if the request carries the token; else 403 where none is set, 401 where it is wrong."""
    if token is None:
        return problem(403, "not_configured", f"Set {variable} to use this route.")
    try:
        expected = token.read().encode()
    except ConfigurationError as error:
        return problem(503, error.code, str(error))
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode("latin-1"), expected):
        return problem(
            401,
            "unauthorised",
            "The bearer token is missing or wrong.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return None
