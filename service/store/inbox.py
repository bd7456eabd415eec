"""The inbox: each webhook answered with 2xx, complete and once."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import FINAL
from service.domain.webhook import Event
from service.store.tables import inbox
from service.store.tallies import Tallied


def normalised(status: str) -> str:
    """Return the SQL expression that turns a status column in any of Prolific's spellings into a ``Status`` name."""
    return f"upper(regexp_replace(btrim({status}), '[ _-]+', '_', 'g'))"


# Of an event ``e``: its status is final.
IS_FINAL = "{} IN ({})".format(
    normalised("e.status"), ", ".join(f"'{status.name}'" for status in sorted(FINAL))
)

# Of events ``e``: newest first by Prolific's own time (X-Timestamp, in an undocumented unit), else by the time of
# receipt. Deliveries arrive in any order, and a retry hours later.
NEWEST_FIRST = (
    "CASE WHEN e.sent_at ~ '^[0-9]{1,20}(\\.[0-9]{1,9})?$' THEN CAST(e.sent_at AS numeric) END DESC NULLS LAST, "
    "e.received_at DESC"
)

MOST_EVENTS = 1000  # events of a submission


# The batch is sent as one JSON text: one array per column takes psycopg several times as long.
_ADD = sa.text("""
    INSERT INTO inbox (event_id, signature, sent_at, event_type, submission_id, participant_id, status, body,
                       readable, handled_at)
    SELECT event_id, decode(signature, 'base64'), sent_at, event_type, submission_id, participant_id, status,
           decode(body, 'base64'), readable, CASE WHEN review THEN NULL ELSE now() END
    FROM jsonb_to_recordset(CAST(:events AS jsonb))
         AS new (event_id text, signature text, sent_at text, event_type text, submission_id text,
                 participant_id text, status text, body text, readable boolean, review boolean)
    ON CONFLICT DO NOTHING
    RETURNING event_id
""")


async def add_events(connection: AsyncConnection, events: Sequence[Event]) -> list[Event]:
    """Store new events and return them, each once.

    An event is a duplicate if its signature is known, or its id with the same body. The signature does not cover
    the id: another body with a known id is another event, and is stored under an id made of both.
    """
    stored: list[Event] = []
    left: Sequence[Event] = events
    # Each pass stores one body of an id: a statement can't insert the same key twice.
    while left:
        batch, left = _one_for_each_id(left)
        new = await _insert(connection, batch)
        if known := {key: event for key, event in batch.items() if key not in new}:
            others = await _with_other_body(connection, known)
            new |= await _insert(connection, others) if others else set()
            batch |= others
        stored += [batch[key] for key in new]
    return stored


def _one_for_each_id(events: Sequence[Event]) -> tuple[dict[str, Event], list[Event]]:
    """Return events by id, and those that share an id with another body. Copies are dropped."""
    batch: dict[str, Event] = {}
    others = [event for event in events if batch.setdefault(event.event_id, event).body != event.body]
    return batch, others


async def _insert(connection: AsyncConnection, events: Mapping[str, Event]) -> set[str]:
    """Store events by key. Return the new keys."""
    rows = [
        {
            "event_id": key,
            "signature": b64encode(event.signature).decode() if event.signature else None,
            "sent_at": event.sent_at,
            "event_type": event.event_type,
            "submission_id": event.submission_id,
            "participant_id": event.participant_id,
            "status": event.status,
            "body": b64encode(event.body).decode(),
            "readable": event.readable,
            "review": event.calls_for_review,
        }
        # In the same order in each process: two replicas that got the same events would otherwise deadlock.
        for key, event in sorted(events.items())
    ]
    return set((await connection.execute(_ADD, {"events": json.dumps(rows)})).scalars())


async def _with_other_body(connection: AsyncConnection, events: Mapping[str, Event]) -> dict[str, Event]:
    """Return events whose id is stored with another body, by the id that they get instead."""
    rows = await connection.execute(
        sa.select(inbox.c.event_id, inbox.c.body).where(inbox.c.event_id.in_(events))
    )
    stored = {row.event_id: bytes(row.body) for row in rows}
    return {
        _id_with_body(event): event
        for key, event in events.items()
        if stored.get(key, event.body) != event.body
    }


def _id_with_body(event: Event) -> str:
    return sha256(event.event_id.encode() + b"\0" + event.body).hexdigest()


async def events_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """Return a submission's newest events as the API gives them, newest first."""
    rows = await connection.execute(
        sa.select(
            inbox.c.event_id,
            inbox.c.received_at,
            inbox.c.event_type,
            inbox.c.status,
            inbox.c.handled_at.is_not(None).label("handled"),
        )
        .where(inbox.c.submission_id == submission)
        .order_by(inbox.c.received_at.desc(), inbox.c.event_id)
        .limit(MOST_EVENTS),
    )
    return [dict(row) for row in rows.mappings()]


async def last_event_at(connection: AsyncConnection) -> datetime | None:
    """Return when the last webhook was received."""
    found: datetime | None = await connection.scalar(sa.select(sa.func.max(inbox.c.received_at)))
    return found


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """The number of all events, when the last one arrived, and how many were unreadable. Pruned ones count."""

    events: int
    last_at: datetime | None
    unreadable: int


async def inbox_counts(connection: AsyncConnection, tallied: Tallied) -> InboxCounts:
    """Count all events, pruned ones too."""
    counts = tallied.get("events", {})
    return InboxCounts(
        events=sum(counts.values()),
        last_at=await last_event_at(connection),
        unreadable=counts.get(("unreadable",), 0),
    )
