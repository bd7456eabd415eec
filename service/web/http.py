"""Helpers of routes: bounded bodies, strict JSON, one format of errors, one spelling of paths."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 64 * 1024  # bytes of a request to any route
MAX_KEY = 200  # characters of a quoted key
PROBLEM_TYPE = "application/problem+json"  # of every error


class DuplicateKey(ValueError):
    """A JSON object has a key twice. ``key`` is safe to quote."""

    def __init__(self, key: str) -> None:
        self.key = quotable(key)
        super().__init__(f"The key {self.key!r} occurs twice in one object.")


class SamePath:
    """Treat a path with a trailing slash as the one without, for the application below."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "/")
        # Not by a redirect, which Prolific counts as a failed delivery.
        if path.endswith("/") and path != "/":
            scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)


def problem(
    status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return an error response: the code, the sentence, and the problem details of RFC 9457.

    ``message`` and ``detail`` are the same: the first is older than the problem details, and clients read it.
    """
    details = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": message}
    content = {"error": code, "message": message, **details, **more}
    return JSONResponse(content, status_code=status, headers=headers, media_type=PROBLEM_TYPE)


async def body_within(request: Request, limit: int = MAX_BODY) -> bytes | None:
    """Return the body, None as soon as it is over ``limit`` bytes.

    Raise ClientDisconnect if it does not arrive completely.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        return None
    # A chunked body declares no length, so its bytes are counted.
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def read_json(body: bytes) -> Any:
    """Parse JSON. Raise ValueError, and DuplicateKey because parsers differ in which of two values they use."""
    try:
        return json.loads(body, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key)
            seen.add(key)
    return found


def quotable(text: str) -> str:
    """Return a name from outside as valid UTF-8, cut to ``MAX_KEY`` characters."""
    return text[:MAX_KEY].encode("utf-8", "backslashreplace").decode()
