"""Requests beside decisions: due when the decision is applied, each try recorded as an attempt."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import AlsoRequest
from service.store.decisions import DONE

LEASE = timedelta(minutes=2)  # for one try; longer than a call to Prolific may take


@dataclass(frozen=True, slots=True)
class Also:
    """One request to send now, for the ``tries``-th time, as of ``now``.

    ``unanswered`` is the attempt of an earlier try of which no answer is known.
    """

    decision_id: int
    place: int
    request: AlsoRequest
    tries: int
    since: datetime
    now: datetime
    submission_id: str
    study_id: str | None
    parent_id: str | None
    unanswered: int | None


# A later decision of the submission that asks for the same, and that is applied too, stands for an earlier one.
_TAKE = sa.text(f"""
    WITH due AS (
        SELECT a.decision_id, a.place, d.submission_id, d.study_id
        FROM also_actions a JOIN decisions d ON d.id = a.decision_id
        JOIN decision_states s ON s.decision_id = a.decision_id AND s.status IN {DONE}
        WHERE a.due_at <= clock_timestamp() AND NOT EXISTS (
            SELECT FROM decisions e JOIN decision_states t ON t.decision_id = e.id AND t.status IN {DONE}
            JOIN also_actions b ON b.decision_id = e.id
            WHERE e.submission_id = d.submission_id AND e.id > d.id AND b.request = a.request AND b.due_at IS NOT NULL)
        ORDER BY a.due_at LIMIT :most FOR UPDATE OF a SKIP LOCKED
    ), taken AS (
        UPDATE also_actions a SET due_at = clock_timestamp() + :lease, tries = tries + 1
        FROM due WHERE a.decision_id = due.decision_id AND a.place = due.place
        RETURNING a.*, due.submission_id, due.study_id
    )
    SELECT t.decision_id, t.place, t.request, t.tries, t.since, clock_timestamp() AS now, t.submission_id, t.study_id,
           (SELECT u.data ->> 'parent_study_id' FROM submissions u WHERE u.id = t.submission_id) AS parent_id,
           (SELECT max(p.id) FROM attempts p LEFT JOIN answers n ON n.attempt_id = p.id
            WHERE p.decision_id = t.decision_id AND p.request = t.request AND n.attempt_id IS NULL) AS unanswered
    FROM taken t ORDER BY t.decision_id, t.place
""")  # noqa: S608 - nothing of it comes from outside

# Of decisions that gave way to others, and of those that a later one stands for.
_CLOSE = sa.text(f"""
    UPDATE also_actions a SET due_at = NULL
    FROM decisions d JOIN decision_states s ON s.decision_id = d.id
    WHERE a.due_at <= clock_timestamp() AND d.id = a.decision_id AND (s.status = 'superseded' OR EXISTS (
        SELECT FROM decisions e JOIN decision_states t ON t.decision_id = e.id AND t.status IN {DONE}
        JOIN also_actions b ON b.decision_id = e.id
        WHERE e.submission_id = d.submission_id AND e.id > d.id AND b.request = a.request AND b.due_at IS NOT NULL))
""")  # noqa: S608 - nothing of it comes from outside

_SET = sa.text("""
    UPDATE also_actions SET due_at = clock_timestamp() + CAST(:after AS interval)
    WHERE decision_id = :decision AND place = :place AND tries = :tries
""")


async def take_also(connection: AsyncConnection, most: int) -> list[Also]:
    """Take what is due of applied decisions, ``most`` at once. It comes back if it does not end in time."""
    await connection.execute(_CLOSE)
    rows = await connection.execute(_TAKE, {"most": most, "lease": LEASE})
    return [Also(**row) for row in rows.mappings()]


async def end_also(connection: AsyncConnection, also: Also, after: timedelta | None) -> None:
    """Have it tried again ``after`` this time; None: it is done, or given up."""
    values = {"decision": also.decision_id, "place": also.place, "tries": also.tries, "after": after}
    await connection.execute(_SET, values)
