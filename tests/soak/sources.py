"""What the database and the API say afterwards, read apart from the service's own code."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import stamina
from psycopg.rows import dict_row

Row = dict[str, Any]

# A decision's status is what its newest attempt came to; without an attempt its kind gives the status.
DECISIONS = """
    SELECT d.id, d.submission_id, d.decided_at, d.trigger, d.outcome, d.guard, d.rule, d.reason, d.action,
           coalesce(newest.status, CASE WHEN d.outcome = 'hold' THEN 'held' ELSE 'pending' END) AS status
    FROM decisions d LEFT JOIN LATERAL (
        SELECT coalesce(answers.status, 'pending') AS status
        FROM attempts LEFT JOIN answers ON answers.attempt_id = attempts.id
        WHERE attempts.decision_id = d.id ORDER BY attempts.id DESC LIMIT 1) newest ON true
    ORDER BY d.id
"""
ATTEMPTS = """
    SELECT d.submission_id, d.id AS decision_id, attempts.at, attempts.request, answers.at AS answered_at,
           answers.status, answers.status_code, answers.answer
    FROM attempts JOIN decisions d ON d.id = attempts.decision_id
    LEFT JOIN answers ON answers.attempt_id = attempts.id ORDER BY attempts.id
"""
EVENTS = "SELECT event_id, submission_id, status, received_at, handled_at FROM inbox ORDER BY received_at"
EVIDENCE = "SELECT submission_id, source, received_at, handled_at FROM evidence ORDER BY id"
JOBS = (
    "SELECT id, args ->> 'submission_id' AS submission_id, task_name, status::text, attempts, scheduled_at "
    "FROM procrastinate_jobs WHERE task_name IN ('review', 'wake') ORDER BY id"
)
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """All that the database has of one submission."""

    decisions: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)
    jobs: list[Row] = field(default_factory=list)

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person, and not for evidence."""
        return (
            bool(self.decisions)
            and self.decisions[-1]["status"] == "held"
            and (self.decisions[-1]["guard"] != "waiting")
        )

    @property
    def under_way(self) -> bool:
        return (
            any(row["handled_at"] is None for row in (*self.events, *self.evidence))
            or any(job["status"] in {"todo", "doing"} for job in self.jobs)
            or any(decision["status"] == "pending" for decision in self.decisions)
        )


async def read_database(url: str) -> dict[str, Stored]:
    """Everything by submission, in one snapshot. Raises psycopg's errors where the database is down."""
    found: dict[str, Stored] = defaultdict(Stored)
    async with await psycopg.AsyncConnection.connect(
        url, connect_timeout=3, row_factory=dict_row
    ) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        for name, query in (
            ("decisions", DECISIONS),
            ("attempts", ATTEMPTS),
            ("events", EVENTS),
            ("evidence", EVIDENCE),
            ("jobs", JOBS),
        ):
            for row in await (await connection.execute(query)).fetchall():
                getattr(found[row["submission_id"]], name).append(row)
    return found


async def read_api(http: httpx.AsyncClient, submissions: Iterable[str]) -> dict[str, Row]:
    """What ``GET /api/submissions/{id}`` returns for each submission; nothing for an unknown one."""
    turn = asyncio.Semaphore(AT_ONCE)

    @stamina.retry(on=httpx.HTTPError, attempts=5)
    async def told(submission: str) -> Row:
        async with turn:
            answer = await http.get(f"/api/submissions/{submission}")
        if answer.status_code == 404:
            return {"decisions": [], "events": []}
        found: Row = answer.raise_for_status().json()
        return found

    ids = list(submissions)
    return dict(zip(ids, await asyncio.gather(*map(told, ids)), strict=True))
