"""Bearer tokens of routes, and the limit of wrong ones."""

import binascii
import hmac
import ipaddress
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request
from starlette.responses import Response

from service.errors import ConfigurationError
from service.secret import Secret
from service.telemetry.metrics import Metrics
from service.web.http import problem

WINDOW = 60.0  # seconds
MAX_WRONG = 20  # wrong tokens of one address in a window; beyond it the answer is 429
MAX_ADDRESSES = 10_000  # that are remembered in a window
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LOG_EVERY = 10.0  # seconds between two log lines about wrong tokens

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WrongTokens:
    """Counts wrong tokens by address, in windows of a minute."""

    metrics: Metrics
    timer: Callable[[], float] = time.monotonic
    _window_began: float = float("-inf")
    _by_address: dict[str, int] = field(default_factory=dict)
    _logged_at: float = float("-inf")
    _unlogged: int = 0

    def add(self, address: str, token: str) -> bool:
        """Count one; return whether there are too many from this address."""
        self.metrics.wrong_tokens.labels(token).inc()
        now = self.timer()
        if now - self._window_began >= WINDOW:
            self._window_began = now
            self._by_address.clear()
        number = self._by_address.get(address, 0) + 1
        if number > 1 or len(self._by_address) < MAX_ADDRESSES:
            self._by_address[address] = number
        self._log(now, address, token)
        return number > MAX_WRONG

    def is_over(self, address: str) -> bool:
        """Return whether this address has used up its wrong tokens of this window."""
        is_current = self.timer() - self._window_began < WINDOW
        return is_current and self._by_address.get(address, 0) >= MAX_WRONG

    def _log(self, now: float, address: str, token: str) -> None:
        self._unlogged += 1
        if now - self._logged_at >= LOG_EVERY:
            log.warning("token.wrong", token=token, last_address=address, wrong=self._unlogged)
            self._logged_at, self._unlogged = now, 0


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token that a route asks for; ``name`` is the setting's, such as ``ADMIN_TOKEN``.

    ``viewer`` is a second token, for reading only.
    """

    name: str
    secret: Secret | None
    wrong: WrongTokens
    viewer: Secret | None = None

    def refusal(self, request: Request, *, accepts_basic: bool = False) -> Response | None:
        """Return None if the request carries the token, else 403 where none is set, 401 or 429 where it is wrong.

        ``accepts_basic``: the token may also be the password of basic authentication, with any name. A right
        token is never refused: many clients may share the address of one proxy.
        """
        if self.secret is None:
            return problem(403, "not_configured", f"Set AUTOREVIEW_{self.name} to use this route.")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = given.encode("latin-1") if scheme.lower() == "bearer" else b""
        if accepts_basic and scheme.lower() == "basic":
            token = _password(given)
        try:
            if matches(self.secret, token):
                return None
            if self.viewer and matches(self.viewer, token):
                return None if request.method in READING else _read_only()
        except ConfigurationError as error:
            return problem(503, error.code, str(error))
        if self.wrong.add(client_network(request), self.name.lower()):
            return problem(
                429,
                "too_many_wrong_tokens",
                f"Over {MAX_WRONG} wrong tokens came from this address within a minute.",
                headers={"Retry-After": str(int(WINDOW))},
            )
        return problem(
            401,
            "unauthorised",
            "The bearer token is missing or wrong.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def matches(secret: Secret, given: bytes) -> bool:
    """Return whether this is the secret, in constant time. Raise ConfigurationError if it can't be read."""
    return hmac.compare_digest(given, secret.read().encode())


def _read_only() -> Response:
    return problem(
        403, "read_only", "AUTOREVIEW_VIEWER_TOKEN reads; use AUTOREVIEW_ADMIN_TOKEN to change something."
    )


def _password(given: str) -> bytes:
    """Return the password of basic credentials; nothing where they can't be read, which no token is."""
    try:
        return b64decode(given.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def client_network(request: Request) -> str:
    """The client's IPv4 address, or the /64 of its IPv6 address, of which one machine has all."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    if mapped := address.ipv4_mapped:  # as a dual-stack socket shows IPv4
        return str(mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
