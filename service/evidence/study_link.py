"""Prolific's signed study links: a page proves by one which submission it belongs to.

Prolific adds a JSON Web Token to the study's URL (``prolific_token``), valid for two minutes and signed with a key
of its published set. One that was valid at its first use may write evidence for a day.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx
import structlog

from service.evidence.refusals import DeliveryRefused
from service.postgres.database import Database
from service.store.study_links import add_study_link, linked_submission
from service.web.outgoing import http_client

HEADER = "X-Prolific-Study-Link"
ISSUER = "https://www.prolific.com"
ALGORITHM = "RS256"
KEYS_PATH = "/.well-known/study/jwks.json"
LONGEST_TOKEN = 8 * 1024  # characters
LARGEST_KEYS = 64 * 1024  # bytes
LINK_TIMEOUT = 5.0  # seconds
FRESH = 24 * 3600.0  # seconds until the keys are read again
WINDOW = 60.0  # seconds
MOST_READS = 5  # of the keys in a window: a new key shows at once, and Prolific is not flooded

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):  # becomes a DeliveryRefused in this module
    pass


@dataclass(slots=True)
class PublishedKeys:
    """Prolific's public keys by id, read when they are needed and kept for a day."""

    url: str
    timer: Callable[[], float] = time.monotonic
    _keys: dict[str, Any] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _begun: list[float] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self, name: str) -> Any:
        """Return the key of this id, None if there is none. Raise KeysUnavailable where that can't be known."""
        if name in self._keys and self.timer() - self._read_at < FRESH:
            return self._keys[name]
        async with self._turn:
            asked_at = self.timer()
            if name not in self._keys or asked_at - self._read_at >= FRESH:
                if not self._may_read(asked_at):
                    raise KeysUnavailable
                await self._read()
            # The set could not be read: the key may be a new one of Prolific's.
            if name not in self._keys and self._read_at < asked_at:
                raise KeysUnavailable
            return self._keys.get(name)

    def _may_read(self, now: float) -> bool:
        """Return True if few reads were begun lately: links with made-up ids must not become calls to Prolific."""
        self._begun = [one for one in self._begun if now - one < WINDOW]
        if len(self._begun) >= MOST_READS:
            return False
        self._begun.append(now)
        return True

    async def _read(self) -> None:
        from jwt import PyJWTError

        try:
            keys = _keys_in(await self._fetched())
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError, PyJWTError) as error:
            log.warning("study_links.no_keys", url=self.url, error=type(error).__name__)
            return
        self._keys, self._read_at = keys, self.timer()

    async def _fetched(self) -> bytes:
        """Return the published set, or as much of it as is read: more than that is no JSON."""
        async with (
            asyncio.timeout(LINK_TIMEOUT),
            http_client(timeout=LINK_TIMEOUT, follow_redirects=False) as http,
            http.stream("GET", self.url) as answer,
        ):
            answer.raise_for_status()
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_KEYS:
                    break
            return body[:LARGEST_KEYS]


def _keys_in(body: bytes) -> dict[str, Any]:
    """Return the RSA keys of a JSON Web Key Set by id. Raise ValueError, KeyError and PyJWTError."""
    from jwt import PyJWK

    return {
        str(one["kid"]): PyJWK.from_dict(one, algorithm=ALGORITHM).key
        for one in json.loads(body)["keys"]
        if isinstance(one, dict) and one.get("kty") == "RSA" and "kid" in one
    }


@dataclass(frozen=True, slots=True)
class StudyLinks:
    """Checks the links that pages send."""

    keys: PublishedKeys
    database: Database

    async def check(self, token: str, submission: str) -> None:
        """Raise DeliveryRefused unless the link is one of this submission, valid at its first use and for a day."""
        # Before anything is computed with it.
        if len(token) > LONGEST_TOKEN:
            raise _refused("it is no token of Prolific")
        digest = sha256(token.encode()).digest()
        async with self.database.connect() as connection:
            linked = await linked_submission(connection, digest)
        # A link expires after two minutes, and a questionnaire takes longer: what counts is that its first
        # use was in time.
        if linked is None:
            linked = await self._verified(token)
            async with self.database.begin() as connection:
                await add_study_link(connection, digest, linked)
        if linked != submission:
            raise _refused("it belongs to another submission")

    async def _verified(self, token: str) -> str:
        """Return the submission that a link used for the first time belongs to."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            # The header is not verified: a link must not choose how it is checked.
            if header.get("alg") != ALGORITHM:
                raise _refused(f"it is not signed with {ALGORITHM}")
            key = await self.keys.key(str(header.get("kid")))
            if key is None:
                raise _refused("it is signed with a key that is none of Prolific's")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                # A link names the study's URL as its audience, and Prolific's clock may be ahead of this one.
                options={"require": ["exp", "iss", "sub"], "verify_aud": False, "verify_iat": False},
            )
        except KeysUnavailable:
            message = "Prolific's keys can't be read now; send it again."
            raise DeliveryRefused(503, "study_link_keys", message, headers={"Retry-After": "10"}) from None
        except jwt.ExpiredSignatureError:
            raise _refused("it expired before it was used: use it within two minutes of the start") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise _refused(f"it can't be verified ({type(error).__name__})") from None
        return str(claims["sub"])


def _refused(why: str) -> DeliveryRefused:
    return DeliveryRefused(401, "study_link", f"The signed study link in {HEADER} is refused: {why}.")
