"""The ways to people: one for each of apprise's URLs. URLs hold tokens, so nothing of them is ever shown."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import ConfigurationError
from service.secret import Secret

PATIENCE = 30.0  # seconds for one URL
NOT_UNDERSTOOD = "apprise does not understand the URL"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message at one URL: its ``position`` from 1, the ``schema`` before its ``://``."""

    position: int
    schema: str
    problem: str | None

    @property
    def ok(self) -> bool:
        return self.problem is None


async def send(urls: Sequence[str], title: str, text: str) -> list[Delivery]:
    """Send it to each URL at once; never raises for what is wrong with one of them."""
    problems = await asyncio.gather(*(asyncio.to_thread(_deliver, url, title, text) for url in urls))
    return [
        Delivery(position, schema(url), problem)
        for position, (url, problem) in enumerate(zip(urls, problems, strict=True), start=1)
    ]


def urls_in(secret: Secret) -> list[str]:
    """The URLs, which may have commas in them: one ends where the next ``schema://`` follows.

    Raises ConfigurationError if the secret can't be read or names none.
    """
    urls = [url for url in re.split(r"[,\s]+(?=[\w.+-]+://)", secret.read().strip(", \n")) if url]
    if not urls:
        raise ConfigurationError(f"{secret.variable} names no URL.")
    return urls


def schema(url: str) -> str:
    found = re.match(r"([\w.+-]+)://", url)
    return found[1].lower() if found else "no schema"


def _deliver(url: str, title: str, text: str) -> str | None:
    """Says what went wrong, in words that hold nothing of the URL; blocks."""
    _silence()
    from apprise import Apprise, AppriseAsset, NotifyFormat

    asset = AppriseAsset(
        app_id="Autoreview",
        app_desc="Autoreview",
        image_url_mask=None,
        image_url_logo=None,
        storage_mode="memory",
        service_timeout=PATIENCE,
    )
    try:
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            return NOT_UNDERSTOOD
        result = Apprise(service, asset=asset).notify(text, title=title, body_format=NotifyFormat.TEXT.value)
    except Exception as error:
        return type(error).__name__
    return None if result else _why([entry.message for entry in result.logs()])


def _why(said: Sequence[str]) -> str:
    """Of what apprise says only the status: the rest may name a host or a path."""
    status = re.search(r"\berror=(\d{3})\b", " ".join(said))
    return f"it answered {status[1]}" if status else "it could not be reached, or did not take it"


def _silence() -> None:
    """What these log at their levels of detail holds hosts, paths and so tokens."""
    logging.getLogger("apprise").propagate = False
    for name in ("urllib3", "requests", "requests_oauthlib", "oauthlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
