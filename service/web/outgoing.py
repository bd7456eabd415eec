"""HTTP clients for outgoing calls, with the proxies and certificates of the environment."""

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from service.errors import ConfigurationError

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def http_client(**options: Any) -> httpx.AsyncClient:
    """Return a client. Raise ConfigurationError that names the variable at fault."""
    folders = os.environ.get("SSL_CERT_DIR") if not os.environ.get("SSL_CERT_FILE") else None
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        # OpenSSL would trust no certificate, and every call would fail.
        raise ConfigurationError(f"SSL_CERT_DIR contains no folder: {folders}. Correct or unset it.")
    try:
        return httpx.AsyncClient(verify=certificates(), **options)
    except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(_explanation(error)) from None


def certificates(*, trust_env: bool = True) -> ssl.SSLContext:
    """Return what clients trust, loaded once: it takes 30 ms. Raise OSError if the files can't be read."""
    file, folder = (os.environ.get(name) if trust_env else None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _loaded(file, folder)


@cache
def _loaded(file: str | None, folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=bool(file or folder))


def _explanation(error: Exception) -> str:
    """Return which variable is wrong. Values of proxies are not quoted: they may contain a password."""
    if isinstance(error, OSError):
        file = os.environ.get("SSL_CERT_FILE")
        return f"SSL_CERT_FILE: no certificates can be read from {file} ({error.strerror or error})."
    for name in PROXIES:
        for variable in (name.lower(), name):
            if (value := os.environ.get(variable)) and not _is_usable(value):
                return (
                    f"{variable} names a proxy that can't be used: write http://host:port "
                    "(SOCKS is not supported), or unset it."
                )
    variable = "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"
    return (
        f"{variable} can't be read: write hosts and addresses with commas between, "
        "IPv6 addresses without brackets."
    )


def _is_usable(proxy: str) -> bool:
    try:
        httpx.AsyncHTTPTransport(proxy=proxy if "://" in proxy else f"http://{proxy}", trust_env=False)
    except (ImportError, ValueError, httpx.InvalidURL):
        return False
    return True
