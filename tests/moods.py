"""Faults between the service and the sandbox: Prolific as it may misbehave."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Mood:
    """One answer that goes wrong. ``took_effect``: what was asked is done first, and the answer then lost."""

    status: int = 500
    took_effect: bool = False
    retry_after: int | None = None
    hang: float = 0.0  # seconds before anything is answered
    body: bytes = b'{"detail": "A bad day."}'


@dataclass
class Moody:
    """The sandbox behind a queue of moods for each kind of call; with none left it is its good self."""

    app: ASGIApp
    moods: dict[str, list[Mood]] = field(default_factory=lambda: defaultdict(list))
    seen: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope)
        self.seen.append(kind)
        if not self.moods[kind]:
            await self.app(scope, receive, send)
            return
        mood = self.moods[kind].pop(0)
        if mood.took_effect:
            await self.app(scope, receive, _nowhere)
        await asyncio.sleep(mood.hang)
        headers = [(b"content-type", b"application/json")]
        if mood.retry_after is not None:
            headers.append((b"retry-after", str(mood.retry_after).encode()))
        await send({"type": "http.response.start", "status": mood.status, "headers": headers})
        await send({"type": "http.response.body", "body": mood.body})


def kind_of(scope: Scope) -> str:
    """``transition``, ``request-return``, ``submission``, ``submissions`` (a list), ``study`` or ``other``."""
    parts = [part for part in scope.get("path", "").split("/") if part]
    if parts[-1:] in (["transition"], ["request-return"]):
        return str(parts[-1])
    if parts[:3] == ["api", "v1", "submissions"] and len(parts) in {3, 4}:
        return "submission" if len(parts) == 4 else "submissions"
    return "study" if parts[:3] == ["api", "v1", "studies"] and len(parts) == 4 else "other"


async def _nowhere(_: Message) -> None:
    return None
