"""Pruning: handled events and ended jobs go after the retention time; what rests on them stays what it was."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.ops.retention import Pruning
from service.postgres.database import Database
from service.store.history import history_of
from service.store.holds import status_reported_last
from service.store.inbox import inbox_counts, last_event_at
from service.store.pruning import prune_events
from service.store.statistics import past_of_participant
from service.store.tallies import tallied
from service.telemetry.metrics import Metrics
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.integration.load.filling import fill
from tests.world import until

WEEK = timedelta(days=7)
EVENT = """
    INSERT INTO inbox (event_id, received_at, sent_at, submission_id, participant_id, status, body, readable, handled_at)
    VALUES (format('%%s %%s %%s', %(submission)s::text, %(status)s::text, %(sent)s::text), now() - %(ago)s::interval, %(sent)s, %(submission)s,
            'p', %(status)s, 'x', %(submission)s IS NOT NULL, now() - %(handled)s::interval)
"""
DAYS = timedelta(days=1)


async def event(
    url: str,
    submission: str | None,
    status: str | None,
    *,
    sent: int = 0,
    ago: timedelta = 9 * DAYS,
    handled: timedelta | None = 8 * DAYS,
) -> None:
    values = {"submission": submission, "status": status, "sent": str(sent), "ago": ago, "handled": handled}
    await query(url, EVENT, **values)


async def prune(url: str, *, retention: timedelta = WEEK) -> None:
    database = Database(url, pool_size=1)
    await query(url, "UPDATE turns SET began_at = began_at - interval '1 hour' WHERE name = 'prune'")
    await Pruning(database, Metrics(), retention).prune_if_due()
    await database.close()


async def left(url: str) -> Sequence[tuple[str, str]]:
    rows = await query(url, "SELECT submission_id, status FROM inbox ORDER BY submission_id, sent_at::int")
    return [(row["submission_id"], row["status"]) for row in rows]


async def test_handled_events_are_deleted_a_week_later_and_still_counted(database_url: str) -> None:
    await event(database_url, "old", "AWAITING REVIEW")
    await event(database_url, None, None)
    await event(database_url, "recent", "AWAITING REVIEW", handled=6 * DAYS)
    await event(database_url, "unhandled", "AWAITING REVIEW", handled=None)
    await event(database_url, "newest", "ACTIVE", ago=8 * DAYS)
    await prune(database_url)
    assert [one for one, _ in await left(database_url)] == ["newest", "recent", "unhandled"]
    database = Database(database_url, pool_size=1)
    async with database.connect() as connection:
        counts = await inbox_counts(connection, await tallied(connection))
    await database.close()
    assert (counts.events, counts.unreadable) == (5, 1)


@pytest.mark.parametrize("status", ["APPROVED", "Returned", "SCREENED OUT"])
async def test_nothing_known_of_what_ended_changes(database_url: str, status: str) -> None:
    """Neither that it ended, nor the participant's past, nor what was last reported of it."""
    await event(database_url, "ended", "ACTIVE", sent=1)
    await event(database_url, "ended", "AWAITING REVIEW", sent=2)
    await event(database_url, "ended", status, sent=3)
    await event(database_url, "reopened", status, sent=1)
    await event(database_url, "reopened", "RESERVED", sent=2)
    await event(database_url, "reopened", "AWAITING REVIEW", sent=3)
    await event(database_url, "open", "AWAITING REVIEW", ago=8 * DAYS)
    before = await known(database_url)
    await prune(database_url)
    assert await known(database_url) == before
    assert [one for one in await left(database_url) if one[0] != "open"] == [
        ("ended", status),
        ("reopened", status),
        ("reopened", "AWAITING REVIEW"),
    ]


async def known(url: str) -> dict[str, Any]:
    database = Database(url, pool_size=1)
    found: dict[str, Any] = {}
    async with database.connect() as connection:
        for one in ("ended", "reopened", "open"):
            history = await history_of(connection, one, study=None, participant="p")
            found[one] = (history.ended, await status_reported_last(connection, one))
        found["past"] = await past_of_participant(connection, "p", without="another")
        found["last"] = await last_event_at(connection)
    await database.close()
    return found


async def test_each_event_is_looked_at_once_and_a_late_one_is_not_missed(database_url: str) -> None:
    fill(database_url, 300)
    database = Database(database_url, pool_size=1)
    since: datetime | None = None
    batches = 0
    async with database.begin() as connection:
        before = await past_of_participant(connection, "participant-7", without="")
        while True:
            pruned = await prune_events(connection, since, timedelta(hours=1), batch=100)
            assert since is None or pruned.until > since
            since, batches = pruned.until, batches + 1
            if pruned.is_all:
                break
        assert await past_of_participant(connection, "participant-7", without="") == before
    assert batches > 5
    newest = "submission-1"
    assert {status for one, status in await left(database_url) if one != newest} == {"APPROVED"}
    await event(database_url, "late", "AWAITING REVIEW", ago=timedelta(days=99), handled=timedelta(hours=1))
    async with database.begin() as connection:
        assert (await prune_events(connection, since, timedelta(hours=1))).deleted == 1
        longer = await prune_events(connection, since, timedelta(hours=2))
        assert (longer.until, longer.deleted, longer.is_all) == (since, 0, True)
    await database.close()


async def test_jobs_that_ended_go_with_their_events(database_url: str) -> None:
    await query(
        database_url,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'reviews', 'gone', s::procrastinate_job_status "
        "FROM unnest(ARRAY['failed', 'cancelled', 'todo', 'doing', 'failed']) AS s",
    )
    await query(
        database_url, "INSERT INTO procrastinate_events (job_id, type, at) VALUES (5, 'failed', now())"
    )
    await query(
        database_url,
        "INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'started', now() - interval '8 days' "
        "FROM procrastinate_jobs WHERE status <> 'todo'",
    )
    await prune(database_url)
    rows = await query(database_url, "SELECT id FROM procrastinate_jobs ORDER BY id")
    assert [row["id"] for row in rows] == [3, 4, 5]
    events = await query(database_url, "SELECT DISTINCT job_id FROM procrastinate_events ORDER BY 1")
    assert [row["job_id"] for row in events] == [3, 4, 5]


async def test_a_service_prunes_what_is_older_than_its_setting(start: Start, database_url: str) -> None:
    await event(database_url, "old", "AWAITING REVIEW", handled=3 * DAYS)
    await event(database_url, "newest", "APPROVED", ago=timedelta(0), handled=timedelta(0))
    async with start(inbox_retention="2d", prunes=True) as world:

        async def pruned() -> bool:
            return [one for one, _ in await left(database_url)] == ["newest"]

        await until(pruned, "the old event to be pruned")

        async def counted() -> bool:
            return 'autoreview_pruned_total{kind="event"} 1.0' in (await world.http.get("/metrics")).text

        await until(counted, "the metric")
