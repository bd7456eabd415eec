"""Send messages with apprise. Its URLs contain tokens, so that no part of them is ever shown."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import ConfigurationError
from service.secret import Secret

URL_TIMEOUT = 30.0  # seconds for one URL
UNKNOWN_URL = "apprise does not know this kind of URL"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of a message to one URL: its ``position`` from 1, its ``schema``, and the problem if it failed."""

    position: int
    schema: str
    problem: str | None

    @property
    def ok(self) -> bool:
        return self.problem is None


async def send(urls: Sequence[str], title: str, text: str) -> list[Delivery]:
    """Send the message to every URL at once. A URL that fails raises nothing."""
    problems = await asyncio.gather(*(asyncio.to_thread(_deliver, url, title, text) for url in urls))
    return [
        Delivery(position, schema(url), problem)
        for position, (url, problem) in enumerate(zip(urls, problems, strict=True), start=1)
    ]


def urls_in(secret: Secret) -> list[str]:
    """Return the URLs. They may contain commas: a URL ends where the next ``schema://`` begins.

    Raise ConfigurationError if the secret can't be read or contains no URL.
    """
    urls = [url for url in re.split(r"[,\s]+(?=[\w.+-]+://)", secret.read().strip(", \n")) if url]
    if not urls:
        raise ConfigurationError(f"{secret.variable} contains no URL.")
    return urls


def schema(url: str) -> str:
    found = re.match(r"([\w.+-]+)://", url)
    return found[1].lower() if found else "no schema"


def _deliver(url: str, title: str, text: str) -> str | None:
    """Send the message, and return what went wrong without any part of the URL. Blocks."""
    _quiet_loggers()
    from apprise import Apprise, AppriseAsset, NotifyFormat

    asset = AppriseAsset(
        app_id="Autoreview",
        app_desc="Autoreview",
        image_url_mask=None,
        image_url_logo=None,
        storage_mode="memory",
        service_timeout=URL_TIMEOUT,
    )
    try:
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            return UNKNOWN_URL
        result = Apprise(service, asset=asset).notify(text, title=title, body_format=NotifyFormat.TEXT.value)
    # Plugins of apprise raise whatever their libraries do. The message may contain the URL, so only the type
    # is given.
    except Exception as error:
        return type(error).__name__
    return None if result else _why([entry.message for entry in result.logs()])


def _why(messages: Sequence[str]) -> str:
    """Return only the status from apprise's log messages: the rest may contain a host or a path."""
    status = re.search(r"\berror=(\d{3})\b", " ".join(messages))
    return f"it answered {status[1]}" if status else "it could not be reached, or did not accept the message"


def _quiet_loggers() -> None:
    """Turn off loggers whose messages contain hosts and paths, and so tokens."""
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    apprise.setLevel(
        logging.WARNING
    )  # its warnings, which ``logs`` collects, contain the status of an answer
    for name in ("urllib3", "requests", "requests_oauthlib", "oauthlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
