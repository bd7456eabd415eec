"""Sessions of the dashboard: a signed cookie that expires, and is void once the token it was made with changes."""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from service.secret import Secret
from service.web.bearer import matches

COOKIE = "autoreview_session"
LIFETIME = 12 * 3600  # seconds


class Role(StrEnum):
    """The role of a signed-in person: everything, or read only."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person. ``csrf`` is the token that each of the person's forms carries."""

    id: str
    role: Role
    name: str
    until: float
    csrf: str

    @property
    def may_change(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and reads session cookies. Without ``admin`` the sign-in is disabled."""

    admin: Secret | None
    viewer: Secret | None
    clock: Callable[[], float] = time.time

    def role_of(self, token: str) -> Role | None:
        """Return what the token allows; None for a wrong one. Raise ConfigurationError if no secret can be read."""
        given = token.encode()
        if self.admin and matches(self.admin, given):
            return Role.ADMIN
        if self.viewer and matches(self.viewer, given):
            return Role.VIEWER
        return None

    def begin(self, role: Role, name: str) -> str:
        """Return the cookie of a new session."""
        content = {
            "id": secrets.token_urlsafe(16),
            "role": role.value,
            "name": name,
            "until": self.clock() + LIFETIME,
        }
        text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
        return f"{text}.{self._signature(role, text)}"

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is forged, expired, or of a token that is no longer valid."""
        text, _, signature = cookie.partition(".")
        try:
            content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            role = Role(content["role"])
            own = self._signature(role, text)
        except (ValueError, KeyError, TypeError):
            return None
        if own is None or not hmac.compare_digest(own.encode(), signature.encode()):
            return None
        if self.clock() >= content["until"]:
            return None
        csrf = self._signature(role, f"csrf:{content['id']}") or ""
        return Session(content["id"], role, content["name"], content["until"], csrf)

    def _signature(self, role: Role, text: str) -> str | None:
        """Sign with a key of the role's token, so that changing the token ends its sessions."""
        secret = self.admin if role is Role.ADMIN else self.viewer
        if secret is None:
            return None
        key = hmac.digest(secret.read().encode(), f"autoreview session 1 {role}".encode(), sha256)
        return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), sha256)).decode().rstrip("=")
