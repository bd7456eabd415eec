"""The inbox: each webhook answered 2xx, whole and once."""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import FINAL
from service.store.tables import inbox

# Of an event ``e``: that its status is final, in whatever spelling.
IS_FINAL = "upper(regexp_replace(btrim(e.status), '[ _-]+', '_', 'g')) IN ({})".format(
    ", ".join(f"'{status.name}'" for status in sorted(FINAL))
)

# Of events ``e``: newest first, by Prolific's own time (X-Timestamp, whose unit is not documented). Deliveries
# arrive in any order, and a retry hours later. Without a readable time, by when they were received.
NEWEST_FIRST = (
    "CASE WHEN e.sent_at ~ '^[0-9]{1,20}(\\.[0-9]{1,9})?$' THEN CAST(e.sent_at AS numeric) END DESC NULLS LAST, "
    "e.received_at DESC"
)


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


# The batch goes as one JSON text: an array for each column costs psycopg several times as much.
_ADD = sa.text("""
    INSERT INTO inbox (event_id, sent_at, event_type, submission_id, participant_id, status, body, readable,
                       handled_at)
    SELECT event_id, sent_at, event_type, submission_id, participant_id, status, decode(body, 'base64'),
           readable, CASE WHEN review THEN NULL ELSE now() END
    FROM jsonb_to_recordset(CAST(:events AS jsonb))
         AS new (event_id text, sent_at text, event_type text, submission_id text, participant_id text,
                 status text, body text, readable boolean, review boolean)
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
""")


async def add_events(connection: AsyncConnection, events: Sequence[Incoming]) -> set[str]:
    """Store the events that are new; returns their ids."""
    rows = [
        {
            "event_id": event.event_id,
            "sent_at": event.sent_at,
            "event_type": event.event_type,
            "submission_id": event.submission_id,
            "participant_id": event.participant_id,
            "status": event.status,
            "body": b64encode(event.body).decode(),
            "readable": event.readable,
            "review": event.calls_for_review,
        }
        # In one order everywhere: two replicas that got the same events must not wait for each other.
        for event in sorted(events, key=lambda event: event.event_id)
    ]
    return set((await connection.execute(_ADD, {"events": json.dumps(rows)})).scalars())


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


async def last_event_at(connection: AsyncConnection) -> datetime | None:
    """When the last webhook was taken in."""
    found: datetime | None = await connection.scalar(sa.select(sa.func.max(inbox.c.received_at)))
    return found


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
