"""``python -m service.ops.probe [URL]``: exit 0 if the service answers 200, for a container's health check.

Without a URL it asks this machine's ``/livez``. Only the standard library, so that it starts quickly.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PORT = "8080"
TIMEOUT = 3.0  # seconds


def own_address() -> str:
    """``/livez`` of the service in this container; its port is the setting's, unless Kubernetes wrote it."""
    port = os.environ.get("AUTOREVIEW_PORT", "")
    return f"http://127.0.0.1:{port if port.isdigit() else PORT}/livez"


def status(url: str) -> int:
    """The answer's HTTP status. Raises OSError or HTTPException where none comes."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    finally:
        connection.close()


def main(*arguments: str) -> str | None:
    """None if all is well, else what is not."""
    url = arguments[0] if arguments else own_address()
    try:
        found = status(url)
    except (OSError, HTTPException) as error:
        return f"{url}: {type(error).__name__}: {error}"
    return None if found == 200 else f"{url}: {found}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
