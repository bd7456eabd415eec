"""Messages between the researcher and a participant, as Prolific lists them."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.prolific.fields import Body, first, mapping, read_moment, required, results, text

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


@dataclass(frozen=True, slots=True)
class Message:
    """``sent_at`` and ``sender_id`` are None where Prolific's answer leaves no way to know them."""

    id: str
    study_id: str | None
    sender_id: str | None
    sent_at: datetime | None
    body: str = field(repr=False)


def read_messages(body: Any) -> tuple[Message, ...]:
    return tuple(read_message(row) for row in results(body))


def read_message(row: Any) -> Message:
    """Read a message under its documented names, and under those that are really sent (reference 5)."""
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
    """The id is asked only where no time is given: one that can't be read is not known (reference 5)."""
    given = first(row, "datetime_created", "sent_at")
    return read_moment(given) if given is not None else _made_at(required(row, "id"))


def _made_at(identifier: str) -> datetime | None:
    """When an id was made: a Mongo ObjectId begins with the seconds since 1970."""
    if OBJECT_ID.fullmatch(identifier) is None:
        return None
    return datetime.fromtimestamp(int(identifier[:8], 16), UTC)
