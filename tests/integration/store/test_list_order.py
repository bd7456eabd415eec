"""The order of lists: complete pages, whatever the order of ids and times."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from service.postgres.database import Database
from service.store.audit import DecisionFilter, decision_lines
from service.store.holds import list_holds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DECISION = """
    INSERT INTO decisions (submission_id, study_id, decided_at, trigger, outcome, proposed, rule, mode, reason, trace, facts)
    VALUES (%s, 'study', %s, 'webhook', %s, 'hold', %s, 'live', 'why', '[]', '{}')
"""
SUBMISSION = """
    INSERT INTO submissions (id, study_id, status, ever_final, claimed, data)
    VALUES (%s, 'study', %s, false, true, '{}')
"""


def after(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def decide(url: str, *made: tuple[str, int, str, str]) -> None:
    """Add decisions: submission, minute, outcome, rule."""
    with psycopg.connect(url) as connection:
        for submission, minute, outcome, rule in made:
            connection.execute(DECISION, [submission, after(minute), outcome, rule])


def await_review(url: str, *submissions: str, status: str = "AWAITING REVIEW") -> None:
    with psycopg.connect(url) as connection:
        for submission in submissions:
            connection.execute(SUBMISSION, [submission, status])


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_pages_of_decisions_until_a_time_are_complete(database_url: str, limit: int) -> None:
    minutes = (5, 3, 4, 4, 4, 1, 9, 2)  # in the order of ids
    decide(database_url, *((f"s{number}", minute, "hold", "r") for number, minute in enumerate(minutes)))
    database = Database(database_url, pool_size=1)
    found: list[str] = []
    before = 1_000_000  # greater than any id
    async with database.connect() as connection:
        while page := await decision_lines(
            connection, DecisionFilter(until=after(5)), limit=limit, before=before
        ):
            found += [line.submission_id for line in page]
            before = page[-1].id
    await database.close()
    assert found == ["s4", "s3", "s2", "s1", "s7", "s5"]


async def holds(url: str, *, limit: int = 10, rule: str | None = None) -> list[tuple[str, datetime]]:
    """Read all pages of held submissions with the time since when each is held."""
    database = Database(url, pool_size=1)
    found: list[tuple[str, datetime]] = []
    async with database.connect() as connection:
        last: tuple[datetime, str] | None = None
        while page := await list_holds(connection, after(60), rule=rule, limit=limit, after=last):
            found += [(hold.submission_id, hold.since) for hold in page]
            last = (page[-1].since, page[-1].submission_id)
    await database.close()
    return found


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_each_hold_is_listed_once_by_the_time_it_began(database_url: str, limit: int) -> None:
    await_review(database_url, "again", "at once", "b", "c", "ended")
    await_review(database_url, "final", status="APPROVED")
    decide(
        database_url,
        *(("again", 1, "hold", "first"), ("b", 2, "hold", "first"), ("c", 2, "hold", "first")),
        *(("ended", 3, "hold", "first"), ("ended", 4, "approve", "first"), ("final", 5, "hold", "first")),
        *(("at once", 6, "hold", "first"), ("at once", 6, "hold", "second"), ("again", 7, "hold", "second")),
    )
    expected = [("at once", after(6)), ("c", after(2)), ("b", after(2)), ("again", after(1))]
    assert await holds(database_url, limit=limit) == expected


async def test_holds_are_filtered_by_the_rule_of_the_newest_decision(database_url: str) -> None:
    await_review(database_url, "a", "b")
    decide(database_url, ("a", 1, "hold", "first"), ("b", 2, "hold", "first"), ("a", 3, "hold", "second"))
    assert await holds(database_url, rule="first") == [("b", after(2))]
    assert await holds(database_url, rule="second") == [("a", after(1))]
    assert await holds(database_url, rule="third") == []
