"""The client of Prolific's API: one request per call, no retries (the job that calls has those)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service import __version__
from service.domain.submission import Status, Study, Submission
from service.errors import ConfigurationError
from service.prolific import payloads
from service.prolific.answers import read_json, refusal, retry_after, unreadable
from service.prolific.bodies import read_response
from service.prolific.errors import Refused, TokenRefused, Unreachable, Unreadable
from service.prolific.fields import read_http_date
from service.prolific.filters import SubmissionFilter
from service.prolific.hooks import Hooks
from service.prolific.lists import LARGEST_PAGE, ORDERING, read_list
from service.prolific.messages import Message, read_messages
from service.prolific.pace import Pace
from service.prolific.paths import part
from service.prolific.payloads import Page, ReturnRequest
from service.prolific.workspaces import Balance, Workspace, read_balance, read_workspaces
from service.web.outgoing import http_client

T = TypeVar("T")

TIMEOUT = httpx.Timeout(connect=5.0, read=20.0, write=10.0, pool=30.0)  # seconds
DEADLINE = 30.0  # seconds for one request with its whole answer, which may drip in without end
# Seconds an idle connection is used again. Below the 5 s after which common servers close theirs: a request sent
# meanwhile would end without an answer, and nobody would know whether it arrived.
KEEP_ALIVE = 3.0
NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
ENCODINGS = {"Accept-Encoding": "gzip"}  # what read_response decodes
API = "/api/v1"
ME = "/users/me/"


class Prolific:
    """Prolific's API as far as a reviewer needs it.

    ``token`` is asked before each request; at most ``concurrency`` requests are under way at once,
    each for ``deadline`` seconds at most.
    Every method raises the errors of ``service.prolific.errors``.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        concurrency: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
        deadline: float = DEADLINE,
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
                keepalive_expiry=KEEP_ALIVE,
            ),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def me(self) -> dict[str, Any]:
        """Whose token this is: at least ``id`` and ``email``."""
        return await self._ask("GET", ME, _object)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Self]:
        """Hold one of the ``concurrency`` slots for a sequence of calls, made with the client that is yielded.

        None of these calls waits for others. They don't check the pace either: ``ready`` does. Raise Resting.
        """
        if self._holds_slot:
            yield self
            return
        self._pace.check(self._token())  # before the wait for a slot, which may be long
        async with self._pace.turn(self._token()):
            holder = copy(self)
            holder._holds_slot = True  # noqa: SLF001 - a copy of itself
            yield holder

    async def ready(self) -> None:
        """Wait out a short rest of all calls. Raise Resting where it is longer than a second."""
        await self._pace.ready(self._token())

    async def study(self, study_id: str) -> Study:
        read = partial(payloads.read_study, wanted=study_id)
        return await self._ask("GET", f"/studies/{part(study_id)}/", read)

    async def counts(self, study_id: str) -> dict[Status | str, int]:
        path = f"/studies/{part(study_id)}/submissions/counts/"
        return await self._ask("GET", path, payloads.read_counts)

    async def submission(self, submission_id: str) -> Submission:
        read = partial(payloads.read_submission, wanted=submission_id)
        return await self._ask("GET", f"/submissions/{part(submission_id)}/", read)

    async def page(self, wanted: SubmissionFilter) -> Page:
        """Return one page of the list of submissions, in an order that stays the same from page to page."""
        size = wanted.page_size and min(wanted.page_size, LARGEST_PAGE)
        asked = replace(wanted, page_size=size, ordering=wanted.ordering or ORDERING)
        read = partial(payloads.read_page, study_id=asked.study, page_size=size)
        return await self._ask("GET", "/submissions/", read, params=asked.as_query())

    def pages(self, wanted: SubmissionFilter) -> AsyncIterator[Page]:
        """Yield all pages of the list, whichever page is ``wanted``; a row may be on more than one.

        Raise IncompleteList after the last page if rows are missing: what was yielded is then a part of the list.
        """
        whole = replace(wanted, page_size=wanted.page_size or LARGEST_PAGE)
        return read_list(lambda number: self.page(replace(whole, page=number)))

    async def submissions(self, wanted: SubmissionFilter) -> AsyncIterator[Submission]:
        """Yield the wanted submissions, each once. Raise IncompleteList as ``pages`` does."""
        seen = set[str]()
        async for page in self.pages(wanted):
            for submission in page.results:
                if submission.id not in seen and wanted.accepts(submission.status):
                    seen.add(submission.id)
                    yield submission

    async def transition(self, submission_id: str, body: dict[str, Any]) -> Submission:
        path = f"/submissions/{part(submission_id)}/transition/"
        read = partial(payloads.read_submission, wanted=submission_id)
        return await self._ask("POST", path, read, json=body)

    async def request_return(self, submission_id: str, reasons: Iterable[str]) -> ReturnRequest:
        path = f"/submissions/{part(submission_id)}/request-return/"
        body = {"request_return_reasons": list(reasons)}
        read = partial(payloads.read_return_request, wanted=submission_id)
        return await self._ask("POST", path, read, json=body)

    async def bulk_approve(self, submission_ids: Iterable[str]) -> str:
        """Have many approved. Prolific only promises to: what became of each shows in its status."""
        body = {"submission_ids": list(submission_ids)}
        return await self._ask("POST", "/submissions/bulk-approve/", str, json=body)

    @property
    def hooks(self) -> Hooks:
        """Secrets, subscriptions and events of webhooks."""
        return Hooks(self._ask, self._answer)

    async def workspaces(self) -> tuple[Workspace, ...]:
        """The workspaces that the token's owner is a member of. Without ``limit`` Prolific gives 20 at most."""
        return await self._ask("GET", "/workspaces/", read_workspaces, params={"limit": "1000"})

    async def balance(self, workspace_id: str) -> Balance:
        return await self._ask("GET", f"/workspaces/{part(workspace_id)}/balance/", read_balance)

    async def messages(self, user_id: str) -> tuple[Message, ...]:
        """What was written between the token's owner and this participant, by either."""
        return await self._ask("GET", "/messages/", read_messages, params={"user_id": user_id})

    async def clock(self) -> datetime | None:
        """Prolific's time in whole seconds; None where its answer does not tell."""
        return read_http_date((await self._answer("GET", ME)).headers.get("Date"))

    async def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> T:
        response = await self._answer(method, path, params=params, json=json)
        body = read_json(response)
        try:
            return read(body)
        except ValueError as error:
            raise unreadable(response, str(error)) from error

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Give a 2xx answer as it came: with its headers, and maybe without a body."""
        token = self._token()
        if self._holds_slot:
            return await self._call(method, path, token, params=params, json=json)
        async with self._pace.turn(token):
            return await self._call(method, path, token, params=params, json=json)

    async def _call(
        self,
        method: str,
        path: str,
        token: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Make one call, and report to the pace how it went."""
        began = self._pace.now()
        try:
            response = await self._send(method, path, token, params=params, json=json)
        except Unreachable:
            self._pace.failed(began)
            raise
        if response.status_code in {401, 403}:
            await self._find_out_whom(response, path, token, began)
        else:
            self._keep_pace(response, began)
        if not response.is_success:
            raise refusal(response)
        return response

    def _token(self) -> str:
        """Read anew for each call, so that a rotated one needs no restart."""
        token = self._read_token().strip()
        if not (token and token.isascii() and token.isprintable()):
            # Refused here, because httpx would quote the header's value in its own error.
            raise ConfigurationError("Prolific's token is empty or has characters that no header can carry.")
        return token

    def _keep_pace(self, response: httpx.Response, began: float) -> None:
        """Tell the pace what came. A redirect comes from what stands between: Prolific's API has none."""
        if response.status_code == 429:
            self._pace.limited(began, retry_after(response.headers))
        elif response.status_code >= 500 or response.is_redirect:
            self._pace.failed(began, retry_after(response.headers))
        else:
            self._pace.succeeded(began)

    async def _find_out_whom(self, response: httpx.Response, path: str, token: str, began: float) -> None:
        """A 401 or 403 may mean that one thing is not ours to see (reference 6): ask whose token it is.

        Raises TokenRefused if this call is refused as all others are, Unreadable if nobody can tell.
        """
        said = refusal(response)
        if path != ME and not self._pace.refuses_token:
            try:
                me = await self._send("GET", ME, token)
            except Unreachable as error:
                self._pace.failed(began)
                raise _unclear(said, str(error)) from error
            if me.status_code not in {401, 403}:
                self._keep_pace(me, began)
                if me.is_success:
                    return
                raise _unclear(said, str(refusal(me)))
        self._pace.refused(began, token)
        raise TokenRefused(said.status_code, said.detail, answer=said.answer)

    async def _send(
        self,
        method: str,
        path: str,
        token: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> httpx.Response:
        headers = {"Authorization": f"Token {token}"}
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._http.stream(method, API + path, params=params, json=json, headers=headers) as response,
            ):
                return await read_response(response)
        except TimeoutError as error:
            why = f"{method} {path}: no whole answer in {self._deadline:.0f} s"
            raise Unreachable(f"Prolific could not be reached: {why}") from error
        except httpx.RequestError as error:
            why = f"{method} {path}: {type(error).__name__}: {error}".rstrip(": ")
            raise Unreachable(
                f"Prolific could not be reached: {why}", sent=not isinstance(error, NEVER_LEFT)
            ) from error


def _unclear(said: Refused, why: str) -> Unreadable:
    """A no of which nobody knows whether it is about the token or about one thing."""
    detail = f"{said.detail} (whether the token is accepted at all can't be told: {why})"
    return Unreadable(said.status_code, detail, answer=said.answer)


def _object(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    raise ValueError("an object was expected")
