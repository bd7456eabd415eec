"""Prolific's signature (webhooks/verifying): base64(HMAC-SHA256(secret, timestamp + raw body))."""

import hmac
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256


def sign(secret: str, timestamp: bytes, body: bytes) -> bytes:
    """The signature header's value. The secret is used as UTF-8 text, never base64-decoded."""
    return b64encode(hmac.digest(secret.encode(), timestamp + body, sha256))


def is_signed(secrets: Iterable[str], timestamp: bytes | None, body: bytes, signature: bytes | None) -> bool:
    """Whether any of the secrets made this signature; takes the same time whichever did."""
    if not timestamp or not signature:
        return False
    matches = [hmac.compare_digest(sign(secret, timestamp, body), signature) for secret in secrets]
    return any(matches)
