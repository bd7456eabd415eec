"""A small world to test in: the real service over HTTP, the sandbox over HTTP, a real PostgreSQL."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.app import Parts, Service, build
from service.postgres.database import Clock
from service.rulebook.current import RulesInForce
from service.rules import load
from service.sandbox.app import create_app
from service.sandbox.faults import Faults
from service.sandbox.model import SimSubmission
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from service.serve import bind, running
from service.settings import Settings
from service.web.outgoing import certificates
from tests.jobs import make_due

SECRET = "a-secret"
TOKEN = "sandbox-token"
ADMIN = "an-admin"
EVIDENCE = "a-survey"
BOTH = Parts()
# As long as Prolific asks of a rejection's message: 100 characters.
MESSAGE = "We write this sentence because a rejection has to carry one hundred characters of evidence and of advice."
BUSY = text(
    "SELECT count(*) FROM procrastinate_jobs WHERE task_name <> 'rescue' AND (status = 'doing' "
    "OR status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()))"
)
PATIENCE = 120.0  # seconds to wait for a condition; far more than it takes


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Written apart from the service's own, so that the two check each other."""
    return b64encode(digest(secret.encode(), timestamp.encode() + body, sha256)).decode()


# Each delivery has a second of its own: the same body signed in the same second is the same event.
_seconds = count(int(time.time()))


def signed(
    body: bytes, *, secret: str = SECRET, event_id: str | None = None, sent_at: str | None = "now"
) -> dict[str, str]:
    """The headers of a delivery as Prolific makes them. ``sent_at`` is X-Timestamp, None for none."""
    timestamp = str(next(_seconds))
    headers = {
        "Content-Type": "application/json",
        "X-Prolific-Request-Timestamp": timestamp,
        "X-Prolific-Request-Signature": signature(secret, timestamp, body),
        "X-Timestamp": timestamp if sent_at == "now" else sent_at,
        "X-Event-ID": event_id,
    }
    return {name: value for name, value in headers.items() if value is not None}


def status_change(submission: str, status: str = "AWAITING REVIEW") -> bytes:
    return json.dumps(
        {
            "resource_id": submission,
            "event_type": "submission.status.change",
            "participant_id": "65f0000000000000000000bb",
            "status": status,
        }
    ).encode()


async def until(condition: Callable[[], Awaitable[Any]], what: str = "the condition") -> Any:
    """Wait for a condition to give something true, and give that.

    The longer it takes, the less often we look: looks cost CPU that the tests beside need.
    """
    deadline = time.monotonic() + PATIENCE
    pause = 0.02
    while time.monotonic() < deadline:
        if found := await condition():
            return found
        await asyncio.sleep(pause)
        pause = min(pause * 1.1, 0.1)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


@dataclass
class World:
    """The service with its outside."""

    sandbox: SandboxState
    service: Service
    http: httpx.AsyncClient
    url: str
    prolific_url: str

    @property
    def prolific(self) -> Faults:
        """What Prolific was asked, and the faults it can be given."""
        return self.sandbox.faults

    def completed(
        self, *, study: str = STROOP, code: str | None = "C0L0UR12", seconds: int = 700
    ) -> SimSubmission:
        """A submission that awaits review, without a webhook."""
        submission = self.sandbox.reserve(study, notify=False)
        submission.started_at -= timedelta(seconds=seconds)
        self.sandbox.complete(submission, code, time_taken=seconds, notify=False)
        return submission

    async def tell(
        self,
        submission: str,
        status: str = "AWAITING REVIEW",
        *,
        event_id: str | None = None,
        sent_at: str | None = "now",
    ) -> httpx.Response:
        """A signed webhook about the submission."""
        body = status_change(submission, status)
        headers = signed(body, event_id=event_id or uuid4().hex, sent_at=sent_at)
        return await self.http.post("/webhooks/prolific", content=body, headers=headers)

    async def push(
        self, submission: str, fields: Mapping[str, Any], *, source: str = "survey"
    ) -> httpx.Response:
        return await self.http.put(
            f"/evidence/{source}/{submission}", json=fields, headers={"Authorization": f"Bearer {EVIDENCE}"}
        )

    async def api(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/api/{path}", params=query, headers=bearer(ADMIN))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rules(self) -> dict[str, Any]:
        """Return the rules in force as the API shows them."""
        found: dict[str, Any] = (await self.api("status"))["rules"]
        return found

    async def decisions(self, submission: str) -> list[dict[str, Any]]:
        """The submission's decisions, newest first."""
        found: list[dict[str, Any]] = (await self.api("decisions", submission=submission))["results"]
        return found

    async def settled(self, submission: str, *, decisions: int = 1) -> dict[str, Any]:
        """Wait until the submission has so many decisions and no work is left; return the newest.

        Retries of its reviews begin without their delay.
        """

        async def look() -> dict[str, Any] | None:
            if not await self.idle():  # Asked first: what is read before the work ends is not its outcome.
                return None
            found = await self.decisions(submission)
            if len(found) < decisions or found[0]["status"] == "pending":
                await make_due(self.service.database.url, submission=submission)
                return None
            return found[0]

        newest: dict[str, Any] = await until(look, f"{decisions} decisions of {submission}")
        return newest

    async def idle(self) -> bool:
        """Return True if no job waits or runs; timers of later don't count. A lost connection is no answer."""
        try:
            async with self.service.database.connect() as connection:
                return not await connection.scalar(BUSY)
        except OperationalError:
            return False  # Tests cut every connection of the database, this one too: the caller looks again.

    async def reviewed(self, submission: SimSubmission) -> dict[str, Any]:
        """Tell of the submission and wait for its decision."""
        before = len(await self.decisions(submission.id))
        assert (await self.tell(submission.id)).status_code == 202
        return await self.settled(submission.id, decisions=before + 1)

    async def at_rest(self) -> None:
        """Wait until all work is done."""
        await until(self.idle, "all jobs to end")

    def calls(self, submission: str) -> list[Any]:
        """What Prolific was asked to do to the submission."""
        return [call.body for call in self.sandbox.calls_for(submission)]


def hash_of(text: str) -> str:
    """A rule file's hash, as decisions name it."""
    return sha256(text.encode()).hexdigest()


async def in_force(world: World, *texts: str) -> None:
    """Wait until these texts are the files in force, in any order."""
    wanted = sorted(hash_of(text) for text in texts)

    async def look() -> bool:
        return sorted(file["hash"] for file in (await world.rules())["files"]) == wanted

    await until(look, "the rules to be in force")


def client(url: str, *, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """An HTTP client. Its certificates, which no test needs, are loaded once."""
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=30, verify=certificates())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def write_rules(folder: Path, text: str, name: str = "rules.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def rules_text(rules: str = "[]", *, more: str = "", otherwise: str = "approve") -> str:
    """A rule file for the sandbox's first study, with a survey as evidence."""
    return f"""
version: 1
name: A test
studies: [{STROOP}]
evidence:
  survey:
    from: push
    fields: {{attention_failed: int, gibberish: double, consented: bool, comment: string}}
{more}
rules: {rules}
otherwise: {otherwise}
"""


async def swept_just_now(database_url: str) -> None:
    """Record that a sweep began now: the next one is due after ``AUTOREVIEW_SWEEP_EVERY``."""
    await _began_just_now(database_url, "sweep")


async def _began_just_now(database_url: str, *runs: str) -> None:
    """Record that these periodic runs began now: the service waits until the next ones are due."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(
            "INSERT INTO turns (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [list(runs)]
        )


@asynccontextmanager
async def world(
    database_url: str,
    rules: Path,
    *,
    parts: Parts = BOTH,
    clock: Clock | None = None,
    sandbox: SandboxState | None = None,
    sweeps: bool = False,
    notifies: bool = False,
    prunes: bool = False,
    **settings: Any,
) -> AsyncIterator[World]:
    """Everything at work inside the block.

    ``sweeps``, ``notifies`` and ``prunes``: a sweep, the checks of the alerts, or pruning begin at once instead of at
    their next time.
    """
    state = sandbox or shipped_state(time_scale=1000.0, seed=7)
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        chosen = Settings(
            port=0,
            **{
                "prolific_url": prolific_url,
                "mode": "live",
                "prolific_token": TOKEN,
                "webhook_secrets": SECRET,
                "admin_token": ADMIN,
                "evidence_token": EVIDENCE,
                **settings,
            },
        )
        in_force = RulesInForce(load(rules), datetime.now(UTC), folder=rules)
        idle = {"prune": not prunes, "sweep": not sweeps, "notify": not notifies}
        await _began_just_now(database_url, *(run for run, is_idle in idle.items() if is_idle))
        # A change comes into force after two reads.
        hurried = replace(parts, read_rules_every=0.1)
        service = build(chosen, database_url, in_force, parts=hurried, clock=clock)
        listener = bind(chosen)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            running(service, parts, listener, drain=0),
            client(url) as http,
        ):
            yield World(state, service, http, url, prolific_url)
