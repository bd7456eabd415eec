"""How tests hold a review before its request is sent, and change what its decision rests on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from service.store.queue import enqueue_retry
from tests.integration.faults.stored import query
from tests.integration.manual.orders import in_attempts
from tests.integration.review.limiting import reviewer_of
from tests.jobs import make_due
from tests.world import MESSAGE, World, in_force, rules_text, until, write_rules

REJECT_TWO = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""
REJECTS = rules_text(REJECT_TWO)
APPROVES = rules_text()
OBSERVES = rules_text(REJECT_TWO, more="mode: observe")
CHANGES = ("evidence", "rule", "mode", "pause", "breaker")
HOUR = timedelta(hours=1)


@dataclass
class Stale:
    """A world in which the basis of a decision changes, and the folder of its rules."""

    world: World
    rules: Path

    @property
    def url(self) -> str:
        return self.world.service.database.url

    async def change(self, what: str, one: SimSubmission) -> None:
        """Change the basis on which the submission is rejected, and wait until that is so."""
        match what:
            case "evidence":
                assert (await self.world.push(one.id, {"attention_failed": 0})).status_code == 202
            case "rule":
                await self.new_rules(APPROVES)
            case "mode":
                await self.new_rules(OBSERVES)
            case "pause":
                await query(self.url, PAUSE, study=STROOP)
            case _:
                await query(self.url, BREAKER, study=STROOP)

    async def new_rules(self, text: str) -> None:
        write_rules(self.rules, text)
        await in_force(self.world, text)

    async def decided(self, one: SimSubmission, number: int) -> list[dict[str, Any]]:
        """Wait until so many decisions are recorded, letting tries that wait begin; return them, newest first."""

        async def look() -> list[dict[str, Any]] | None:
            found = await self.world.decisions(one.id)
            is_at_rest = len(found) >= number and found[0]["status"] != "pending" and await self.world.idle()
            if not is_at_rest:
                await self.hurry(one)
            return found if is_at_rest else None

        found: list[dict[str, Any]] = await until(look, f"{number} decisions, the newest settled")
        return found

    async def hurry(self, one: SimSubmission) -> None:
        """Let the reviews of the submission that wait for another try begin now."""
        await make_due(self.url, submission=one.id)

    async def met(self, fault: Fault) -> SimSubmission:
        """A submission whose rejection met the fault, and whose next try is an hour away."""
        one = self.world.completed()
        self.world.prolific.add(fault)
        assert (await self.world.push(one.id, {"attention_failed": 2})).status_code == 202
        await until(in_attempts(self.world, one, 1), "an attempt to fail")
        await until(lambda: self._put_off(one), "the next try to be put off")
        self.world.prolific.clear()
        assert actions(self.world, one) == [], "it took no effect"
        return one

    async def _put_off(self, one: SimSubmission) -> bool:
        found = await query(
            self.url,
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour' "
            "WHERE lock = %(id)s AND status = 'todo' RETURNING id",
            id=one.id,
        )
        return bool(found)

    async def retry(self, one: SimSubmission) -> None:
        """As ``autoreview retry`` does."""
        async with self.world.service.database.begin() as connection:
            await enqueue_retry(connection, one.id)


PAUSE = (
    "INSERT INTO brakes (study_id, kind, by, reason) VALUES (%(study)s, 'pause', 'Ada', 'Something is odd.')"
)
BREAKER = "INSERT INTO brakes (study_id, kind, guard, reason) VALUES (%(study)s, 'open', 'limit.reject', 'Too many.')"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('autoreview:decisions:' || %s, 0))"
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


@asynccontextmanager
async def before_its_slot(stale: Stale) -> AsyncIterator[None]:
    """Reviews that begin meanwhile wait for their turn among the calls to Prolific, and go on afterwards."""
    async with reviewer_of(stale.world).prolific.slot():
        yield


@asynccontextmanager
async def after_its_fetch(stale: Stale) -> AsyncIterator[None]:
    """Reviews that begin meanwhile wait with the fetched submission for the study's lock."""
    async with await psycopg.AsyncConnection.connect(stale.url) as connection:
        await connection.execute(LOCK, [STROOP])
        yield


HOLDS = {"before its slot": before_its_slot, "after its fetch": after_its_fetch}


async def under_way(stale: Stale, hold: str) -> None:
    """Wait until a review is where it is held."""

    async def look() -> bool:
        if hold == "after its fetch":
            return bool(await query(stale.url, WAITING))
        return bool(await query(stale.url, "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'"))

    await until(look, f"a review to be held {hold}")
    await asyncio.sleep(0.1)


def actions(world: World, one: SimSubmission) -> list[str]:
    """The transitions that took effect or were refused by Prolific itself, oldest first."""
    return [body["action"] for body in world.calls(one.id) if "action" in body]


def told(decision: dict[str, Any]) -> tuple[str, str | None, str]:
    return decision["outcome"], decision["guard"], decision["status"]
