"""The service's public address, and the webhook's path below it."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from service.errors import ConfigurationError

WEBHOOK_PATH = "/webhooks/prolific"


def public_base(url: str) -> str:
    """Return the public address without the webhook's path. Raise ConfigurationError if it is invalid.

    Prolific sends webhooks only to public https addresses, the sandbox also to http on this machine's network.
    """
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"{_bare(parts)!r} is not an address: write it as https://review.example.org"
        )
    if parts.scheme == "http" and not is_local(parts.hostname):
        raise ConfigurationError(
            f"Prolific sends webhooks to https only: {_bare(parts)} must begin with https://"
        )
    if parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(f"The public address has no user, no ? and no #: {_bare(parts)}")
    path = parts.path.rstrip("/").removesuffix(WEBHOOK_PATH).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def webhook_url(url: str) -> str:
    """Return the webhook's address. Raise ConfigurationError as ``public_base`` does."""
    return public_base(url) + WEBHOOK_PATH


def is_local(host: str) -> bool:
    """Return True if the host is this machine, or a name that only its own network resolves."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def refuse_private(base: str) -> None:
    """Raise ConfigurationError if the host can't be reached from outside this network."""
    host = urlsplit(base).hostname or ""
    if is_local(host) or _is_private(host):
        raise ConfigurationError(
            f"Prolific sends webhooks to public addresses only, and {host} is not public."
        )


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host.endswith((".local", ".internal", ".localhost"))


def same_address(one: str, other: str) -> bool:
    """Return True if both URLs lead to the same place. A slash at the end makes another path."""
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
        raise ConfigurationError(f"The public address is invalid: {error}") from None
    return parts


def _bare(parts: SplitResult) -> str:
    """Return the URL without its user part, which may be a password."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
