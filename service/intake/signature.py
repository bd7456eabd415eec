"""Prolific's signature (webhooks/verifying): base64(HMAC-SHA256(secret, timestamp + body)).

The sample in Prolific's documents signs the body parsed and written again, so what was signed may differ from
what was sent in its spaces alone (reference 1.5). Whoever knows the secret made either of them.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256

# Writing a body again takes up to a hundred times as long as its HMAC. Prolific's are under 1 KiB.
MAX_REWRITTEN = 8 * 1024  # bytes


class Form(StrEnum):
    """What of a body was signed: the bytes that came, or one of the two usual ways to write its JSON."""

    RAW = "raw"
    SPACED = "spaced"
    COMPACT = "compact"


def sign(secret: str, timestamp: bytes, body: bytes) -> bytes:
    """The signature header's value. The secret is used as UTF-8 text, never base64-decoded."""
    return b64encode(hmac.digest(secret.encode(), timestamp + body, sha256))


def signed_form(
    secrets: Sequence[str], timestamp: bytes | None, body: bytes, signature: bytes | None
) -> Form | None:
    """What any of the secrets made this signature of; None if none did.

    Each comparison takes the same time wherever the two differ, and all secrets are always tried.
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
    """As Python writes JSON, and as JavaScript does, which leaves letters beyond ASCII as they are."""
    yield Form.SPACED, json.dumps(parsed).encode()
    for ascii_only in (True, False):
        text = json.dumps(parsed, separators=(",", ":"), ensure_ascii=ascii_only)
        yield Form.COMPACT, text.encode("utf-8", "surrogatepass")
