"""What people say to the service, over HTTP and on the command line."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from tests import warm
from tests.process import environment
from tests.world import ADMIN, MESSAGE, World, bearer, rules_text

HOLD = rules_text(otherwise="hold")
APPROVE = rules_text(otherwise="approve")
APPROVED: dict[str, Any] = {"approve": {}}
REJECTED = {"reject": {"category": "OTHER", "message": MESSAGE}}
ASKED = {"request_return": {"reasons": ["You entered no code."]}}
HELD = {"hold": "I ask a colleague."}


@dataclass
class Later:
    """A clock that tests put forward."""

    shift: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


async def order(world: World, path: str, **body: Any) -> httpx.Response:
    return await world.http.post(f"/api/{path}", json=body, headers=bearer(ADMIN))


async def resolve(
    world: World, submission: SimSubmission | str, action: Any, by: str = "Ada", **more: Any
) -> httpx.Response:
    name = submission if isinstance(submission, str) else submission.id
    return await order(world, f"submissions/{name}/resolve", action=action, by=by, **more)


async def resolved(
    world: World, submission: SimSubmission, action: Any, by: str = "Ada", **more: Any
) -> dict[str, Any]:
    """The decision, taken in."""
    answer = await resolve(world, submission, action, by, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def pause(world: World, study: str | None = STROOP, by: str = "Ada") -> None:
    answer = await order(world, "pause", study=study, by=by, reason="the survey is broken")
    assert answer.status_code == 200, answer.text


async def resume(world: World, study: str | None = STROOP) -> dict[str, Any]:
    answer = await order(world, "resume", study=study, by="Bob", reason="mended")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def held(world: World, **options: Any) -> SimSubmission:
    """A submission that was reviewed and is held."""
    submission = world.completed(**options)
    assert (await world.reviewed(submission))["outcome"] == "hold"
    return submission


async def queue(world: World, **query: Any) -> list[str]:
    """The submissions in the queue, newest first."""
    return [row["submission_id"] for row in (await world.api("holds", **query))["results"]]


async def autoreview(
    *arguments: str, settings: Mapping[str, object], stdin: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end beside the service, with something on its standard input if need be."""
    ended = await asyncio.to_thread(warm.run, arguments, env=environment(settings), stdin=stdin)
    return subprocess.CompletedProcess(
        ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
    )


def one(database_url: str, query: str, *values: object) -> Any:
    """The only value that a query gives."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


def in_attempts(world: World, submission: SimSubmission, number: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many attempts at the submission's newest decision were answered."""

    async def look() -> bool:
        decisions = await world.decisions(submission.id)
        attempts = decisions[0]["attempts"] if decisions else []
        return sum(attempt["answer"] is not None for attempt in attempts) >= number

    return look
