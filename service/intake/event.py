"""Read a webhook's event from arbitrary bytes."""

import json
import re
from hashlib import sha256
from typing import Any, TypeGuard

from service.domain.submission import IDENTIFIER
from service.domain.text import is_storable
from service.domain.webhook import Event

SUBMISSION_STATUS_CHANGE = "submission.status.change"
MAX_DEPTH = 32
MAX_TEXT = 200
CONTROL = re.compile(rb"[\x00-\x1f\x7f-\x9f]")


def event_id(header: bytes | None, timestamp: bytes, body: bytes) -> str:
    """Return ``X-Event-ID``, which retries share, or a hash if it is missing or can't be stored."""
    # Retries of an event without its id are then the same only if Prolific signs them with the same time.
    if not header:
        return sha256(timestamp + body).hexdigest()
    if len(header) > MAX_TEXT or CONTROL.search(header):
        return sha256(header).hexdigest()
    return header.decode("latin-1")


def read_event(
    event_id: str, body: bytes, sent_at: bytes | None = None, *, signature: bytes | None = None
) -> Event:
    """Return the event in the body. ``readable`` is False if the body can't be read."""
    sent = sent_at.decode("latin-1") if sent_at and len(sent_at) <= MAX_TEXT else None
    fields = _parse(body)
    event_type = fields.get("event_type")
    # Stored nevertheless: Prolific would repeat a refused event for a day, and disable the subscription after
    # five.
    if not _is_text(event_type):
        return Event(event_id, body, signature, sent)
    if event_type != SUBMISSION_STATUS_CHANGE:
        return Event(event_id, body, signature, sent, event_type, readable=True)
    submission, status = fields.get("resource_id"), fields.get("status")
    participant = fields.get("participant_id")
    if not (_is_text(submission) and IDENTIFIER.fullmatch(submission) and _is_text(status)):
        return Event(event_id, body, signature, sent, event_type)
    return Event(
        event_id,
        body,
        signature,
        sent,
        event_type,
        submission,
        participant if _is_text(participant) else None,
        status,
        readable=True,
    )


def _parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body, or an empty one."""
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict) and _fits(body, parsed):
            return parsed
    except (ValueError, RecursionError):
        pass
    return {}


def _fits(body: bytes, parsed: dict[str, Any]) -> bool:
    """Return True if the object has no NUL, no lone surrogate and no deep nesting."""
    # Fast path for most bodies. `json.loads` also accepts UTF-16 and UTF-32, whose bytes include NUL, and non-ASCII
    # bytes may be an unescaped half of a surrogate pair.
    is_plain = body.isascii() and b"\0" not in body and b"\\u" not in body
    if is_plain and body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return True
    return _depth(parsed) <= MAX_DEPTH and is_storable(parsed)


def _depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(child) for child in children), default=0)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT
