"""The inbox: each webhook answered 2xx, whole and once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import FINAL, Status
from service.store.tables import inbox


class Incoming(Protocol):
    """What the inbox keeps of an event."""

    @property
    def event_id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def sent_at(self) -> str | None: ...
    @property
    def event_type(self) -> str | None: ...
    @property
    def submission_id(self) -> str | None: ...
    @property
    def participant_id(self) -> str | None: ...
    @property
    def status(self) -> str | None: ...
    @property
    def readable(self) -> bool: ...
    @property
    def calls_for_review(self) -> bool: ...


# One statement whatever the batch's size: its text, and so its plan, stays the same.
_ADD = sa.text("""
    INSERT INTO inbox (event_id, sent_at, event_type, submission_id, participant_id, status, body, readable,
                       handled_at)
    SELECT event_id, sent_at, event_type, submission_id, participant_id, status, body, readable,
           CASE WHEN review THEN NULL ELSE now() END
    FROM unnest(:event_id, :sent_at, :event_type, :submission_id, :participant_id, :status, :body, :readable,
                :review)
         AS new (event_id, sent_at, event_type, submission_id, participant_id, status, body, readable, review)
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
""").bindparams(
    *(
        sa.bindparam(name, type_=ARRAY(sa.Text))
        for name in ("event_id", "sent_at", "event_type", "submission_id", "participant_id", "status")
    ),
    sa.bindparam("body", type_=ARRAY(BYTEA)),
    sa.bindparam("readable", type_=ARRAY(sa.Boolean)),
    sa.bindparam("review", type_=ARRAY(sa.Boolean)),
)


async def add_events(connection: AsyncConnection, events: Sequence[Incoming]) -> set[str]:
    """Store the events that are new; returns their ids."""
    # In one order everywhere: two replicas that got the same events must not wait for each other.
    events = sorted(events, key=lambda event: event.event_id)
    columns: dict[str, list[Any]] = {
        "event_id": [event.event_id for event in events],
        "sent_at": [event.sent_at for event in events],
        "event_type": [event.event_type for event in events],
        "submission_id": [event.submission_id for event in events],
        "participant_id": [event.participant_id for event in events],
        "status": [event.status for event in events],
        "body": [event.body for event in events],
        "readable": [event.readable for event in events],
        "review": [event.calls_for_review for event in events],
    }
    return set((await connection.execute(_ADD, columns)).scalars())


async def mark_events_handled(connection: AsyncConnection, submission: str, seen_until: datetime) -> None:
    """A review that began at ``seen_until`` has come to its end: what came before needs no other."""
    await connection.execute(
        sa.update(inbox)
        .where(inbox.c.submission_id == submission, inbox.c.handled_at.is_(None))
        .where(inbox.c.received_at <= seen_until)
        .values(handled_at=sa.func.now()),
    )


async def event_waits(connection: AsyncConnection, submission: str) -> bool:
    """Whether a webhook came that no finished review began after."""
    found = await connection.scalar(
        sa.select(sa.exists().where(inbox.c.submission_id == submission, inbox.c.handled_at.is_(None)))
    )
    return bool(found)


async def told_of_final(connection: AsyncConnection, submission: str) -> bool:
    """Whether any webhook ever said that the submission was decided or given up."""
    rows = await connection.scalars(
        sa.select(inbox.c.status).distinct().where(inbox.c.submission_id == submission, inbox.c.readable),
    )
    return any(Status.parse(status) in FINAL for status in rows)


async def events_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """A submission's events as the API gives them, newest first."""
    rows = await connection.execute(
        sa.select(
            inbox.c.event_id,
            inbox.c.received_at,
            inbox.c.event_type,
            inbox.c.status,
            inbox.c.handled_at.is_not(None).label("handled"),
        )
        .where(inbox.c.submission_id == submission)
        .order_by(inbox.c.received_at.desc(), inbox.c.event_id),
    )
    return [dict(row) for row in rows.mappings()]


async def inbox_counts(connection: AsyncConnection) -> dict[str, Any]:
    """How many events, when the last came, and how many could not be read."""
    row = await connection.execute(
        sa.select(
            sa.func.count().label("events"),
            sa.func.max(inbox.c.received_at).label("last_at"),
            sa.func.count().filter(~inbox.c.readable).label("unreadable"),
        ),
    )
    return dict(row.mappings().one())
