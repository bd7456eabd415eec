"""Where Prolific is to send webhooks: the public base, and the path below it."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from service.errors import ConfigurationError

WEBHOOK_PATH = "/webhooks/prolific"


def public_base(url: str) -> str:
    """The service's public address without the webhook's path. Raises ConfigurationError on what is no such.

    Prolific sends to public https addresses only; the sandbox sends to http on this machine's network too.
    """
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{_bare(parts)!r} is no address: write it as https://review.example.org")
    if parts.scheme == "http" and not is_local(parts.hostname):
        raise ConfigurationError(
            f"Prolific sends webhooks to https only: {_bare(parts)} has to begin with https://"
        )
    if parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(f"The public address has no user, no ? and no #: {_bare(parts)}")
    path = parts.path.rstrip("/").removesuffix(WEBHOOK_PATH).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def webhook_url(url: str) -> str:
    """The webhook's address of this public one. Raises ConfigurationError as ``public_base`` does."""
    return public_base(url) + WEBHOOK_PATH


def is_local(host: str) -> bool:
    """Whether the host is this machine, or a name that only its own network knows."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def refuse_private(base: str) -> None:
    """Raises ConfigurationError where the host is one that nobody outside this network reaches."""
    host = urlsplit(base).hostname or ""
    if is_local(host) or _is_private(host):
        raise ConfigurationError(f"Prolific sends webhooks to public addresses only, and {host} is none.")


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host.endswith((".local", ".internal", ".localhost"))


def same_address(one: str, other: str) -> bool:
    """Whether both lead to the same place; a slash at the end does not: it is another path."""
    return _normal(one) == _normal(other)


def _normal(url: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", url, "", ""
    return parts.scheme, f"{parts.hostname}:{port}", parts.path, parts.query


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"The public address is none: {error}") from None
    return parts


def _bare(parts: SplitResult) -> str:
    """Without what may be a password."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
