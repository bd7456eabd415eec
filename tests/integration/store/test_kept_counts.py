"""Counts and statuses that triggers keep equal counted ones, for all writers."""

from collections import Counter

import psycopg

from service.postgres.database import Database
from service.store.submissions import unclaimed_count
from service.store.tallies import sum_up, tallied
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.integration.load.filling import fill
from tests.integration.postgres.test_migrations import step
from tests.world import rules_text

STATUSES = """
    SELECT d.id, d.outcome, coalesce(
        (SELECT coalesce(n.status, 'pending') FROM attempts a LEFT JOIN answers n ON n.attempt_id = a.id
         WHERE a.decision_id = d.id ORDER BY a.id DESC LIMIT 1),
        CASE WHEN d.mode = 'observe' AND d.trigger <> 'person' THEN 'observed'
             WHEN d.outcome = 'hold' THEN 'held' ELSE 'pending' END) AS status
    FROM decisions d ORDER BY d.id
"""
KEPT = "SELECT decision_id AS id, outcome, status FROM decision_states ORDER BY decision_id"
TALLIED = "SELECT key, sum(number)::bigint AS number FROM tallies GROUP BY key HAVING sum(number) <> 0"
UNCLAIMED = "SELECT count(*) AS number FROM submissions WHERE NOT claimed"
DECISION = """
    INSERT INTO decisions (submission_id, decided_at, trigger, outcome, proposed, mode, reason, trace, facts)
    VALUES ('a', now(), 'webhook', 'approve', 'approve', 'live', 'why', %(trace)s, '{}')
"""
OBSERVED = '[{"rule": "fast", "observe": true, "would": "reject"}]'


async def check(url: str) -> Counter[tuple[str, ...]]:
    """Compare kept counts with counted ones; return those of decisions and events."""
    statuses = await query(url, STATUSES)
    assert await query(url, KEPT) == statuses
    tallies = Counter({tuple(row["key"]): row["number"] for row in await query(url, TALLIED)})
    decisions = Counter(("decisions", row["outcome"], row["status"]) for row in statuses)
    assert {key: number for key, number in tallies.items() if key[0] == "decisions"} == decisions
    (unclaimed,) = await query(url, UNCLAIMED)
    assert tallies["unclaimed",] == unclaimed["number"]
    return tallies


async def test_migration_counts_existing_rows(empty_database_url: str) -> None:
    step(empty_database_url, "0006")
    fill(empty_database_url, 1000)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(DECISION, {"trace": OBSERVED})
    step(empty_database_url, "0007")
    tallies = await check(empty_database_url)
    assert tallies["events", "readable"] == 3 * 950 + 2 * 50
    assert tallies["observed", "", "fast", "reject"] == 1


async def test_kept_counts_include_rows_of_other_versions(database_url: str) -> None:
    """Plain SQL writes the rows, as an earlier version does during a rolling upgrade."""
    fill(database_url, 1000)
    before = await check(database_url)
    assert before["decisions", "approve", "failed"] == 4
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE submissions SET claimed = NOT claimed WHERE id LIKE 'submission-1%'")
        for _ in range(2):  # of one submission: observed once
            connection.execute(DECISION, {"trace": OBSERVED})
    after = await check(database_url)
    assert after["decisions", "approve", "pending"] == before["decisions", "approve", "pending"] + 2
    assert after["observed", "", "fast", "reject"] == 1


async def test_decision_status_is_that_of_the_newest_attempt_in_any_order_of_answers(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(DECISION, {"trace": "[]"})
        connection.execute("INSERT INTO attempts (decision_id) VALUES (1)")
    with psycopg.connect(database_url) as second, psycopg.connect(database_url) as first:
        second.execute("INSERT INTO attempts (decision_id) VALUES (1)")
        first.execute("SET lock_timeout = '1s'")
        with psycopg.connect(database_url, autocommit=True) as watching:
            # The first attempt's answer waits for the transaction of the second attempt.
            first.pgconn.send_query(b"INSERT INTO answers (attempt_id, status) VALUES (1, 'failed')")
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
            while watching.execute(waiting, [first.info.backend_pid]).fetchone() == (0,):
                pass
            second.commit()
        while first.pgconn.get_result():
            pass
        first.commit()
    (state,) = await query(database_url, KEPT)
    assert state["status"] == "pending"
    await check(database_url)
    await query(database_url, "INSERT INTO answers (attempt_id, status) VALUES (2, 'applied')")
    assert (await check(database_url))["decisions", "approve", "applied"] == 1


async def test_summing_up_keeps_all_counts(database_url: str) -> None:
    fill(database_url, 1000)
    before = await check(database_url)
    database = Database(database_url, pool_size=1)
    async with database.begin() as connection:
        await sum_up(connection)
        await sum_up(connection)
        assert unclaimed_count(await tallied(connection)) == before["unclaimed",] == 10
    await database.close()
    assert await check(database_url) == before
    (rows,) = await query(database_url, "SELECT count(*) AS number, count(DISTINCT key) AS keys FROM tallies")
    assert rows["number"] == rows["keys"]


async def test_api_status_counts_decisions_of_reviews(start: Start, database_url: str) -> None:
    async with start(rules_text()) as world:
        for _ in range(3):
            await world.reviewed(world.completed())
        found = await world.api("status")
        assert found["decisions"] == {"outcome": {"approve": 3}, "status": {"applied": 3}}
        assert (found["inbox"]["events"], found["inbox"]["unreadable"]) == (3, 0)
    await check(database_url)
