"""``python -m service.web.probe [URL]``: exit 0 if the service answers 200, for a container's health check.

Without a URL it asks ``/livez`` of this machine. It imports only the standard library, so that it starts quickly.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PORT = "8080"
LOOPBACK = ("127.0.0.1", "::1")
EVERYWHERE = {"", "0.0.0.0", "::"}
PROBE_TIMEOUT = 3.0  # seconds


def own_addresses() -> list[str]:
    """Return ``/livez`` of the service in this container."""
    # Kubernetes may set the variable to tcp://… for a Service of that name.
    given = os.environ.get("AUTOREVIEW_PORT", "")
    port = given if given.isdigit() else PORT
    host = os.environ.get("AUTOREVIEW_HOST", "").strip("[]")
    hosts = LOOPBACK if host in EVERYWHERE else (host,)
    return [f"http://{f'[{one}]' if ':' in one else one}:{port}/livez" for one in hosts]


def status(url: str) -> int:
    """Return the answer's HTTP status. Raise OSError or HTTPException without an answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    finally:
        connection.close()


def main(*arguments: str) -> str | None:
    """Return None if all is well, else the problems."""
    problems = [probe(url) for url in arguments or own_addresses()]
    return None if None in problems else "; ".join(filter(None, problems))


def probe(url: str) -> str | None:
    """Return None if the answer is 200, else the probe."""
    try:
        found = status(url)
    except (OSError, HTTPException) as error:
        return f"{url}: {type(error).__name__}: {error}"
    return None if found == 200 else f"{url}: {found}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
