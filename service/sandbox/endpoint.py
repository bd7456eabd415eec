"""Common parts of the simulated API's endpoints: the token, JSON, the envelope, the ledger."""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.answers import Answer, Refusal
from service.sandbox.model import Body, Call
from service.sandbox.state import SandboxState

Serve = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as handlers see it."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Body
    url: URL


Handler = Callable[[Ask], Answer]


class Endpoints:
    """Makes routes of handlers. Handlers are synchronous: no two calls ever see each other half done."""

    def __init__(self, state: SandboxState, token: str | None) -> None:
        """Build the endpoints. Without a ``token`` none is required, and nothing is written to the ledger."""
        self._state = state
        self._token = token

    def at(self, path: str, handlers: Mapping[str, Handler], *, bare: bool = False) -> list[Route]:
        """Route a path, with and without its last slash; ``bare`` for the envelope without ``error``."""
        serve = self._serve(handlers, bare=bare)
        return [Route(spelt, serve, methods=list(handlers)) for spelt in (path, path.rstrip("/"))]

    def _serve(self, handlers: Mapping[str, Handler], *, bare: bool) -> Serve:
        async def serve(request: Request) -> Response:
            raw = await request.body()
            sent: Any = None
            before = len(self._state.affected)
            try:
                self._check_token(request)
                sent = _json(raw)
                ask = Ask(request.path_params, request.query_params, _object(sent), request.url)
                answer = handlers[_method(request)](ask)
            except Refusal as refusal:
                body = refusal.bare() if bare else refusal.wrapped()
                answer = Answer(body, refusal.status_code)
            self._note(request, sent, answer, self._state.affected[before:])
            return _response(answer)

        return serve

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Token {self._token}".encode()):
            raise Refusal(401, "Invalid token." if given else "Authentication credentials were not provided.")

    def _note(self, request: Request, sent: Any, answer: Answer, affected: list[str]) -> None:
        if self._token is None or _method(request) == "GET":
            return
        in_path = request.path_params.get("submission_id")
        call = Call(
            at=self._state.clock(),
            method=request.method,
            path=request.url.path,
            body=sent,
            submission_ids=(in_path,) if in_path else answer.submission_ids,
            status_code=answer.status_code,
            answer=answer.body,
            affected=tuple(dict.fromkeys(affected)),
        )
        self._state.record(call)


def _method(request: Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        raise Refusal(400, "JSON parse error.") from None


def _object(sent: Any) -> Body:
    if sent is None:
        return {}
    if isinstance(sent, dict):
        return sent
    raise Refusal(400, "Invalid data. Expected a dictionary.")


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if answer.status_code == 204:
        return Response(status_code=204, headers=headers)
    return JSONResponse(answer.body, status_code=answer.status_code, headers=headers)
