"""The API with its faults, which lie between the server and the endpoints or cut the connection."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.state import SandboxState

LAST_PARTS = {"transition", "request-return", "bulk-approve", "counts"}
FAMILIES = {"messages", "participant-groups", "hooks", "users", "workspaces"}
ONE_OF = {"submissions": "submission", "studies": "study"}
CONNECTION = "connection"  # where a request's state has the transport it came by


class Severable(HttpToolsProtocol):
    """Lets the application cut the connection, for which ASGI has no word."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}


@dataclass(slots=True)
class Whole:
    """An answer that is held back until its fault is known."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def keep(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")


class FaultyApi:
    """The API's endpoints behind the faults of their state."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = await _whole(receive)
        if whole is None:
            return  # the client disconnected before the whole request arrived
        receive = whole
        fault = self._state.faults.meet(kind_of(scope["path"]))
        if fault is None:
            await self._app(scope, receive, send)
            return
        answer = await self._handle(fault, scope, receive)
        if fault.reset:
            await _cut(scope, receive)
            return
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        if fault.truncate:
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await _cut(scope, receive, flush=True)
        else:
            await send({"type": "http.response.body", "body": answer.body})

    async def _handle(self, fault: Fault, scope: Scope, receive: Receive) -> Whole:
        """Carry out the request, or not, and return the answer to send."""
        if not fault.took_effect:
            await asyncio.sleep(fault.latency)
        if fault.then_status is not None:
            self._meddle(scope["path"], fault.then_status)
        answer = Whole()
        if fault.is_handled:
            await self._app(scope, receive, answer.keep)
        if fault.took_effect:
            await asyncio.sleep(fault.latency)
        return _instead(fault) if fault.replaces else answer

    def _meddle(self, path: str, status: Status) -> None:
        """Change the submission that the path names as somebody else would."""
        for identifier in _parts(path)[1:2]:
            if submission := self._state.submissions.get(identifier):
                self._state.meddle(submission, status)


def kind_of(path: str) -> str:
    """Return the endpoint, as faults name it, of a path of the API."""
    parts = _parts(path)
    if not parts:
        return "other"
    family, last = parts[0], parts[-1]
    if last in LAST_PARTS:
        return last
    if (family, last) == ("projects", "studies"):
        return "studies"
    if family in FAMILIES:
        return family
    if family in ONE_OF and len(parts) <= 2:
        return family if len(parts) == 1 else ONE_OF[family]
    return "submissions" if (family, last, len(parts)) == ("studies", "submissions", 3) else "other"


def _parts(path: str) -> list[str]:
    """Split what comes after ``/api/v1``."""
    return [part for part in path.split("/") if part][2:]


async def _whole(receive: Receive) -> Receive | None:
    """Read the whole request and return it for a second receive, None if it never arrived completely."""
    messages = list[Message]()
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
        if messages[-1]["type"] == "http.disconnect":
            return None

    async def once_more() -> Message:
        return messages.pop(0) if messages else await receive()

    return once_more


def _instead(fault: Fault) -> Whole:
    status = fault.status or 200
    detail = {"status": status, "error_code": 140_000 + status, "title": "Fault", "detail": "A bad day."}
    body = fault.body if fault.body is not None else json.dumps({"error": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", str(fault.retry_after).encode()))
    return Whole(status, headers, body)


async def _cut(scope: Scope, receive: Receive, *, flush: bool = False) -> None:
    """Close the connection, at once or after a part of the answer, and wait until it is closed."""
    transport = cast("asyncio.Transport | None", scope.get("state", {}).get(CONNECTION))
    if transport is None:  # called without a server
        raise ConnectionResetError("a fault of the sandbox's")
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
