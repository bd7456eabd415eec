"""``from: http``: one GET for each submission to the researcher's server."""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from service.errors import ConfigurationError
from service.evidence.asked import LONGEST_WAIT, Answered, Asked, Failed, NotYet, Outcome, shortened
from service.web.http import DuplicateKey, read_json

LARGEST = 1024 * 1024  # bytes of an answer, also when unpacked
REDIRECTS = 3
NOT_YET = (204, 404)
PORTS = {"http": 80, "https": 443}


class TooLarge(Exception):
    """The answer is over ``LARGEST``."""


@dataclass(frozen=True, slots=True)
class HttpSource:
    """Fetches ``url`` with the submission's ids filled in, and reads one JSON object from the answer."""

    url: str
    token: Callable[[], str | None]
    client: httpx.AsyncClient

    async def fetch(self, asked: Asked) -> Outcome:
        """Ask the server. A 404, a 204 and an empty answer mean *not yet*."""
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                return await self._follow(filled(self.url, asked))
        except (TimeoutError, httpx.TimeoutException):
            return Failed(f"{_host(self.url)} did not answer within {LONGEST_WAIT:.0f} s")
        except TooLarge:
            return Failed(f"{_host(self.url)} answered with more than {LARGEST:,} bytes")
        except ConfigurationError as error:
            return Failed(str(error))
        except (httpx.HTTPError, httpx.InvalidURL, zlib.error, ValueError, OSError) as error:
            return Failed(f"{_host(self.url)} can't be asked: {shortened(error) or type(error).__name__}")

    async def _follow(self, url: str) -> Outcome:
        for _ in range(REDIRECTS + 1):
            request = self.client.build_request("GET", url, headers=self._headers())
            response = await self.client.send(request, stream=True)
            try:
                # A 3xx without a location goes nowhere: it is read as an answer, and refused for its status.
                if not response.has_redirect_location:
                    return _read(response, await _body(response))
                target = urljoin(url, response.headers["location"])
            finally:
                await response.aclose()
            # A redirect would send the token to any host that the server names, even to internal ones.
            if _place(target) != _place(url):
                return Failed(
                    f"{_host(self.url)} redirects to another host, {_host(target)}: write that in `url`"
                )
            url = target
        return Failed(f"{_host(self.url)} redirects more than {REDIRECTS} times")

    def _headers(self) -> dict[str, str]:
        # Without compression the length of an answer is the one in its header.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        token = self.token()
        return headers | {"Authorization": f"Bearer {token}"} if token else headers


def filled(url: str, asked: Asked) -> str:
    """Return the address with the submission's ids in it, each quoted, so that none can change the path."""
    ids = {
        "submission.id": asked.submission_id,
        "submission.participant_id": asked.participant_id,
        "submission.study_id": asked.study_id,
        "study.id": asked.study_id,
    }
    for name, value in ids.items():
        if f"{{{name}}}" in url:
            # An address without the id would ask for something else, for a list of all for example.
            if not value:
                raise ValueError(f"{name} is not known")
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
    return url


async def _body(response: httpx.Response) -> bytes:
    """Read the body, unpacked. Raise TooLarge as soon as it is, whatever else would come."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    unpacked, unpacker = bytearray(), _unpacker(encoding)
    async for part in response.aiter_raw():
        unpacked += unpacker.decompress(part, LARGEST + 1 - len(unpacked)) if unpacker else part
        if len(unpacked) > LARGEST:
            raise TooLarge
    if unpacker and not unpacker.eof:
        raise ValueError("its packed answer ends too early")
    return bytes(unpacked)


def _unpacker(encoding: str) -> Any:
    if encoding in ("identity", ""):
        return None
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(wbits=47)  # gzip or zlib, by what stands there
    raise ValueError(
        f"it answers with content-encoding {shortened(encoding, 20)}, although none was asked for"
    )


def _read(response: httpx.Response, body: bytes) -> Outcome:
    host = response.request.url.host
    if response.status_code in NOT_YET:
        return NotYet(f"{host} answered {response.status_code}: it has nothing of the submission yet")
    if response.status_code != 200:
        return Failed(f"{host} answered {response.status_code}")
    try:
        document = read_json(body) if body.strip() else None
    except (DuplicateKey, ValueError) as error:
        return Failed(f"the answer of {host} is no JSON: {shortened(error)}")
    if not document and isinstance(document, dict | list | None):
        return NotYet(f"{host} answered with nothing")
    # Query interfaces answer with a list of the matching rows.
    if isinstance(document, list) and len(document) == 1:
        [document] = document
    if isinstance(document, dict):
        return Answered(document)
    found = f"a list of {len(document)}" if isinstance(document, list) else "no object"
    return Failed(f"the answer of {host} is {found}: one JSON object is needed")


def _host(url: str) -> str:
    """Return the server's name for messages, without the path, user or password of the address."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
