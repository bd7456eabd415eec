"""A webhook's event, read from bytes that may hold anything."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeGuard

from service.domain.submission import FINAL, Status

SUBMISSION_STATUS_CHANGE = "submission.status.change"
MAX_DEPTH = 32
MAX_TEXT = 200
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,100}")
CONTROL = re.compile(rb"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery. The texts are None where the body can't be read, or tells of something else."""

    event_id: str
    body: bytes
    signature: bytes | None = None  # of what was signed, so the same for each copy of it
    sent_at: str | None = None
    event_type: str | None = None
    submission_id: str | None = None
    participant_id: str | None = None
    status: str | None = None
    readable: bool = False

    @property
    def calls_for_review(self) -> bool:
        """A hint that a submission awaits review, in whatever spelling.

        A status Prolific never named is looked at too: the fetched submission decides anyhow.
        """
        return self.submission_id is not None and Status.parse(self.status or "") in {
            Status.AWAITING_REVIEW,
            Status.UNKNOWN,
        }

    @property
    def tells_of_end(self) -> bool:
        """A hint that somebody decided the submission, or the participant gave it up."""
        return Status.parse(self.status or "") in FINAL


def event_id(header: bytes | None, timestamp: bytes, body: bytes) -> str:
    """``X-Event-ID``, the same on each retry; a hash where it is missing or can't be kept as it is."""
    if not header:
        return sha256(timestamp + body).hexdigest()
    if len(header) > MAX_TEXT or CONTROL.search(header):
        return sha256(header).hexdigest()
    return header.decode("latin-1")


def read_event(
    event_id: str, body: bytes, sent_at: bytes | None = None, *, signature: bytes | None = None
) -> Event:
    """The event in the body; ``readable`` is False where nothing can be known of it."""
    sent = sent_at.decode("latin-1") if sent_at and len(sent_at) <= MAX_TEXT else None
    fields = _parse(body)
    event_type = fields.get("event_type")
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
    """The JSON object in the body, or an empty one."""
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict) and _is_storable(body, parsed):
            return parsed
    except (ValueError, RecursionError):
        pass
    return {}


def _is_storable(body: bytes, parsed: dict[str, Any]) -> bool:
    """No NUL, no lone surrogate, no deep nesting; most bodies are seen to be harmless at a glance."""
    # Other bytes than ASCII's may be half a surrogate pair unescaped, and NUL is one of UTF-16's, where no search
    # for ``\\u`` finds any.
    is_plain = body.isascii() and b"\0" not in body and b"\\u" not in body
    if is_plain and body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return True
    return _depth(parsed) <= MAX_DEPTH and _has_clean_texts(parsed)


def _depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(child) for child in children), default=0)


def _has_clean_texts(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(_has_clean_texts(key) and _has_clean_texts(child) for key, child in value.items())
    if isinstance(value, list):
        return all(_has_clean_texts(child) for child in value)
    return True


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT
