"""Shared by the tests of limits and pauses: rules with one outcome for each code, a clock to set ahead, many reviewers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from service.app import Parts, build, opened
from service.domain.decision import Outcome, Trigger
from service.manual.pause import pause, resume
from service.review.job import ReviewJob
from service.review.review import Reviewer
from service.rulebook.current import RulesInForce
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.decisions import Recorded
from tests.jobs import MAKE_DUE
from tests.world import MESSAGE, World, rules_text

REJECT_ALL = f"""
  - name: everybody
    when: "true"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
"""
EACH = f"""
  - name: rejected
    when: submission.code_type == "NONE"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
  - name: asked
    when: submission.code_type == "NO_CONSENT"
    request_return: {{reasons: ["You did not consent."]}}
  - name: held
    when: submission.code_type == "UNKNOWN"
    hold: A person should look.
"""
# Which code leads to which outcome by EACH and `otherwise: approve`.
CODES = {
    Outcome.REJECT: None,
    Outcome.REQUEST_RETURN: "N0THANKS",
    Outcome.HOLD: "WHAT",
    Outcome.APPROVE: "C0L0UR12",
}


def each(more: str = "", **options: Any) -> str:
    return rules_text(EACH, more=more, **options)


def of_both_studies(text: str) -> str:
    return text.replace(f"[{STROOP}]", f"[{STROOP}, {TWO_PARTS}]")


@dataclass
class Ahead:
    """The real time, set ahead."""

    by: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by

    def pass_(self, **time: float) -> None:
        self.by += timedelta(**time)


def reviewer_of(world: World) -> Reviewer:
    assert world.service.reviewer
    return world.service.reviewer


async def decide(world: World, submission: SimSubmission, trigger: Trigger = Trigger.SWEEP) -> Recorded:
    """Review the submission here and now, without a job."""
    recorded = await reviewer_of(world).review(ReviewJob(submission.id, trigger))
    assert recorded, "it was decided"
    return recorded


async def outcome(world: World, wanted: Outcome, *, study: str = STROOP) -> Outcome:
    """What is decided of a new submission that by EACH ought to come to ``wanted``."""
    recorded = await decide(world, world.completed(code=CODES[wanted], study=study))
    assert recorded.decision.proposed is wanted
    return recorded.decision.outcome


@asynccontextmanager
async def reviewers(world: World, number: int) -> AsyncIterator[list[Reviewer]]:
    """So many more services on the world's database, each with its own pools, of which only the reviewer works."""
    rules = RulesInForce(reviewer_of(world).decider.rules(), datetime.now(UTC))
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(number):
            service = build(world.service.settings, world.service.database.url, rules, parts=Parts(web=False))
            await stack.enter_async_context(opened(service))
            assert service.reviewer
            found.append(service.reviewer)
        yield found


async def race(world: World, submissions: Sequence[SimSubmission], *, of: int = 8) -> list[Recorded]:
    """Have the submissions reviewed by so many services at once; the decisions in the order of their ids."""

    async def work(reviewer: Reviewer, share: Sequence[SimSubmission]) -> list[Recorded | None]:
        return [await reviewer.review(ReviewJob(one.id, Trigger.SWEEP)) for one in share]

    async with reviewers(world, of) as found:
        work_of_each = (work(one, submissions[place::of]) for place, one in enumerate(found))
        decided = [one for done in await asyncio.gather(*work_of_each) for one in done if one]
    return sorted(decided, key=lambda one: one.id)


async def pause_study(world: World, study: str | None = STROOP) -> None:
    async with world.service.database.begin() as connection:
        await pause(connection, study, "Ada", "Something is odd.")


async def resume_study(world: World, study: str | None = STROOP) -> int:
    """Close what is open, and wait for all that is reviewed again; how many submissions that were."""
    async with world.service.database.begin() as connection:
        resumed = await resume(connection, study, "Ada", "Looked at it.")
    await world.at_rest()
    return resumed.reviewed_again


async def newest(world: World, submissions: Sequence[SimSubmission]) -> list[dict[str, Any]]:
    """The last decision of each."""
    return [(await world.decisions(one.id))[0] for one in submissions]


async def open_breakers(world: World) -> list[tuple[str | None, str]]:
    """Return the open breakers as the API shows them: study (None for the service) and limit."""
    return [(one["study"], one["limit"]) for one in (await world.api("status"))["breakers"]]


def rows(database_url: str, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def pause_rows(database_url: str) -> list[tuple[str | None, str, str | None]]:
    """Return each pause, resume and opened breaker: study, kind and limit, oldest first."""
    found = rows(database_url, "SELECT study_id, kind, guard FROM brakes ORDER BY id")
    return [(row["study_id"], row["kind"], row["guard"]) for row in found]


def timer(database_url: str, submission: SimSubmission) -> datetime | None:
    """For when the submission's timer is set."""
    found = rows(
        database_url,
        "SELECT scheduled_at FROM procrastinate_jobs WHERE queueing_lock = %(timer)s AND status = 'todo'",
        timer=f"timer:{submission.id}",
    )
    return found[0]["scheduled_at"] if found else None


def make_due(database_url: str, submission: SimSubmission) -> None:
    """Make the submission's timer fire now."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(MAKE_DUE, {"tasks": ["wake"], "submission": submission.id})
    assert found.rowcount == 1, "there was no timer"
