"""Signed study links as Prolific makes them, and the public keys by which others verify them."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

ISSUER = "https://www.prolific.com"
ALGORITHM = "RS256"
VALID_FOR = 120  # seconds
KEYS_SERVED = 2  # the newest ones


@dataclass(slots=True)
class LinkSigner:
    """Signs links with the newest of its keys; the first is made when it is needed, which takes 0.1 s."""

    timer: Callable[[], float] = time.time
    _keys: list[tuple[str, Any]] = field(default_factory=list)

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        self._keys = [*self._keys, (uuid4().hex, generate_private_key(65537, 2048))][-KEYS_SERVED:]

    def token(self, submission: str, study: str, participant: str, url: str, **claims: Any) -> str:
        """Return the ``prolific_token`` of a submission's study link. ``claims`` replace those it would have."""
        import jwt

        if not self._keys:
            self.rotate()
        name, key = self._keys[-1]
        now = int(self.timer())
        own = {
            "iss": ISSUER,
            "iat": now,
            "exp": now + VALID_FOR,
            "aud": url,
            "sub": submission,
            "prolific": {"STUDY_ID": study, "SESSION_ID": submission, "PROLIFIC_PID": participant},
        }
        return jwt.encode(own | claims, key, algorithm=ALGORITHM, headers={"kid": name})

    def published(self) -> dict[str, Any]:
        """Return the JSON Web Key Set."""
        from jwt.algorithms import RSAAlgorithm

        if not self._keys:
            self.rotate()
        return {
            "keys": [
                json.loads(RSAAlgorithm.to_jwk(key.public_key()))
                | {"kid": name, "alg": ALGORITHM, "use": "sig"}
                for name, key in self._keys
            ]
        }
