"""Calls to Prolific's API: token, concurrency slot, pace, deadline, and the errors of an answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import httpx

from service import __version__
from service.errors import ConfigurationError
from service.prolific.answers import json_of, refusal, retry_after, unreadable
from service.prolific.bodies import read_response
from service.prolific.errors import Refused, TokenRefused, Unreachable, Unreadable
from service.prolific.pace import Pace
from service.web.outgoing import http_client

T = TypeVar("T")

TIMEOUT = httpx.Timeout(connect=5.0, read=20.0, write=10.0, pool=30.0)  # seconds
DEADLINE = 30.0  # seconds for one request with its whole answer, which may arrive in small pieces without end
# Seconds that an idle connection is used again. Common servers close theirs after 5 s. A request sent at that moment
# would end without an answer, and it would be unknown whether it arrived.
IDLE_CONNECTION = 3.0
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
ENCODINGS = {"Accept-Encoding": "gzip"}  # read_response decodes no other
API = "/api/v1"
ME = "/users/me/"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to Prolific's API. ``path`` is below ``/api/v1``."""

    method: str
    path: str
    params: dict[str, str] | None = None
    json: dict[str, Any] | None = None


class Transport:
    """Makes calls, at most ``concurrency`` at once, each for ``deadline`` seconds at most.

    ``token`` is called before each request, so that a new token needs no restart. No call is retried. Every method
    raises the errors of ``service.prolific.errors``.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        concurrency: int,
        transport: httpx.AsyncBaseTransport | None,
        deadline: float,
    ) -> None:
        self._deadline = deadline
        self._pace = Pace(concurrency)
        self._holds_slot = False
        self._read_token = token
        self._http = http_client(
            base_url=base_url.rstrip("/"),
            headers={"User-Agent": f"prolific-autoreview/{__version__}", "Accept": "application/json"}
            | ENCODINGS,
            timeout=TIMEOUT,
            limits=httpx.Limits(
                max_connections=concurrency,
                max_keepalive_connections=concurrency,
                keepalive_expiry=IDLE_CONNECTION,
            ),
            transport=transport,
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Self]:
        """Hold one of the ``concurrency`` slots for a sequence of calls with the yielded transport.

        These calls neither wait for a slot nor check the pace, which ``ready`` does. Raise CallsPaused.
        """
        if self._holds_slot:
            yield self
            return
        self._pace.check(self._token())  # before the wait for a slot, which may be long
        async with self._pace.slot(self._token()):
            holder = copy(self)
            holder._holds_slot = True  # noqa: SLF001 - a copy of itself
            yield holder

    async def ready(self) -> None:
        """Wait until a short pause of all calls is over. Raise CallsPaused if it takes more than a second."""
        await self._pace.ready(self._token())

    async def ask(self, call: Call, read: Callable[[Any], T]) -> T:
        """Return the JSON of a 2xx answer as ``read`` returns it. A ValueError of ``read`` becomes Unreadable."""
        response = await self.answer(call)
        body = json_of(response)
        try:
            return read(body)
        except ValueError as error:
            raise unreadable(response, str(error)) from error

    async def answer(self, call: Call) -> httpx.Response:
        """Return a 2xx answer with its headers. It may have no body."""
        token = self._token()
        if self._holds_slot:
            return await self._call(call, token)
        async with self._pace.slot(token):
            return await self._call(call, token)

    async def _call(self, call: Call, token: str) -> httpx.Response:
        """Make one call and report its result to the pace."""
        began = self._pace.now()
        try:
            response = await self._send(call, token)
        # Not retried here: whether the request arrived decides what may be repeated, and the caller knows.
        except Unreachable:
            self._pace.failed(began)
            raise
        if response.status_code in {401, 403}:
            await self._check_token(response, call, token, began)
        else:
            self._report(response, began)
        if not response.is_success:
            raise refusal(response)
        return response

    def _token(self) -> str:
        token = self._read_token().strip()
        if not (token and token.isascii() and token.isprintable()):
            # Refused here because httpx would quote the token in its own error.
            raise ConfigurationError(
                "Prolific's token is empty or has characters that a header can't contain."
            )
        return token

    def _report(self, response: httpx.Response, began: float) -> None:
        # Mainly from payments of one workspace at the same time: fewer at once help more than a wait.
        if response.status_code == 429:
            self._pace.limited(began, retry_after(response.headers))
        # Prolific's API does not redirect: a 3xx comes from a proxy in between.
        elif response.status_code >= 500 or response.is_redirect:
            self._pace.failed(began, retry_after(response.headers))
        else:
            self._pace.succeeded(began)

    async def _check_token(self, response: httpx.Response, call: Call, token: str, began: float) -> None:
        """Raise TokenRefused if a 401 or 403 is about the token, Unreadable if that can't be determined.

        Prolific also answers 401 and 403 for a single object that the token may not see, so ``/users/me/`` is asked.
        """
        refused = refusal(response)
        # While the token is known to be refused, this would double the calls.
        if call.path != ME and not self._pace.refuses_token:
            try:
                me = await self._send(Call("GET", ME), token)
            except Unreachable as error:
                self._pace.failed(began)
                raise _unclear(refused, str(error)) from error
            if me.status_code not in {401, 403}:
                self._report(me, began)
                # The token works: the refusal is about this object alone.
                if me.is_success:
                    return
                raise _unclear(refused, str(refusal(me)))
        self._pace.refused(began, token)
        raise TokenRefused(refused.status_code, refused.detail, answer=refused.answer)

    async def _send(self, call: Call, token: str) -> httpx.Response:
        headers = {"Authorization": f"Token {token}"}
        url = API + call.path
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._http.stream(
                    call.method, url, params=call.params, json=call.json, headers=headers
                ) as response,
            ):
                return await read_response(response)
        except TimeoutError as error:
            why = f"{call.method} {call.path}: no complete answer in {self._deadline:.0f} s"
            raise Unreachable(f"Prolific could not be reached: {why}") from error
        except httpx.RequestError as error:
            why = f"{call.method} {call.path}: {type(error).__name__}: {error}".rstrip(": ")
            sent = not isinstance(error, NOT_SENT)
            raise Unreachable(f"Prolific could not be reached: {why}", sent=sent) from error


def _unclear(refused: Refused, why: str) -> Unreadable:
    detail = f"{refused.detail} (it is unknown whether the token is accepted at all: {why})"
    return Unreadable(refused.status_code, detail, answer=refused.answer)
