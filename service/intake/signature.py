"""Verify Prolific's signature: base64(HMAC-SHA256(secret, timestamp + body)).

Prolific's documented sample signs the body after parsing and writing it again, so the signed bytes may differ from
the sent ones in whitespace. Only the secret makes a valid signature of either form.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256

# Writing a body takes up to a hundred times as long as its HMAC. Prolific's bodies are under 1 KiB.
MAX_REWRITTEN = 8 * 1024  # bytes


class Form(StrEnum):
    """The form of the body that was signed: the raw bytes, or one of the two usual ways to write JSON."""

    RAW = "raw"
    SPACED = "spaced"
    COMPACT = "compact"


def sign(secret: str, timestamp: bytes, body: bytes) -> bytes:
    """Return the value of the signature header. The secret is UTF-8 text, never base64-decoded."""
    return b64encode(hmac.digest(secret.encode(), timestamp + body, sha256))


def signed_form(
    secrets: Sequence[str], timestamp: bytes | None, body: bytes, signature: bytes | None
) -> Form | None:
    """Return the form that any of the secrets signed, None if none did.

    The comparison takes constant time, and all secrets are always tried.
    """
    if not timestamp or not signature:
        return None
    for form, written in _forms(body):
        matches = [hmac.compare_digest(sign(secret, timestamp, written), signature) for secret in secrets]
        if any(matches):
            return form
    return None


def _forms(body: bytes) -> Iterator[tuple[Form, bytes]]:
    yield Form.RAW, body
    if len(body) > MAX_REWRITTEN:
        return
    try:
        parsed = json.loads(body)
        written = list(_rewritten(parsed))
    except (ValueError, RecursionError):
        return
    yield from written


def _rewritten(parsed: object) -> Iterable[tuple[Form, bytes]]:
    """Yield the JSON as Python writes it, and as JavaScript does, which does not escape non-ASCII letters."""
    yield Form.SPACED, json.dumps(parsed).encode()
    for ascii_only in (True, False):
        text = json.dumps(parsed, separators=(",", ":"), ensure_ascii=ascii_only)
        yield Form.COMPACT, text.encode("utf-8", "surrogatepass")
