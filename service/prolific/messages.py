"""Messages between the researcher and a participant, as Prolific lists them."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.prolific.fields import Body, first, mapping, read_moment, required, results, text

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message. ``sent_at`` and ``sender_id`` are None if Prolific's answer does not contain them."""

    id: str
    study_id: str | None
    sender_id: str | None
    sent_at: datetime | None
    body: str = field(repr=False)


def read_messages(body: Any) -> tuple[Message, ...]:
    return tuple(read_message(row) for row in results(body))


def read_message(row: Any) -> Message:
    """Read a message with Prolific's documented field names, or with those that it really sends."""
    row = mapping(row)
    data = row.get("data")
    return Message(
        id=required(row, "id"),
        study_id=text(first(data if isinstance(data, dict) else row, "study_id")),
        sender_id=text(row.get("sender_id")) or text(row.get("sender")),
        sent_at=_sent_at(row),
        body=text(row.get("body")) or "",
    )


def _sent_at(row: Body) -> datetime | None:
    """Return the given time, else the time in the id. A given time that can't be read is unknown."""
    given = first(row, "datetime_created", "sent_at")
    return read_moment(given) if given is not None else _made_at(required(row, "id"))


def _made_at(identifier: str) -> datetime | None:
    """Return the creation time in a Mongo ObjectId, which begins with the seconds since 1970."""
    if OBJECT_ID.fullmatch(identifier) is None:
        return None
    return datetime.fromtimestamp(int(identifier[:8], 16), UTC)
