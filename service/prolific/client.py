"""The client of Prolific's API: one request per call, no retries (the job that calls has those)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from service import __version__
from service.domain.submission import Status, Study, Submission
from service.errors import ConfigurationError
from service.prolific import payloads
from service.prolific.answers import read_json, unreadable
from service.prolific.errors import NotFound, Unreachable
from service.prolific.filters import SubmissionFilter
from service.prolific.payloads import Page, ReturnRequest

T = TypeVar("T")

TIMEOUT = httpx.Timeout(connect=5.0, read=20.0, write=10.0, pool=30.0)  # seconds
PAGE_SIZE = 100  # when walking a whole list; Prolific's own default is 20
NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
API = "/api/v1"


class TokenAuth(httpx.Auth):
    """Reads the token anew for each request, so that a rotated one needs no restart."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._token().strip()
        if not (token and token.isascii() and token.isprintable()):
            # Refused here, because httpx would quote the header's value in its own error.
            raise ConfigurationError("Prolific's token is empty or has characters that no header can carry.")
        request.headers["Authorization"] = f"Token {token}"
        yield request


class Prolific:
    """Prolific's API as far as a reviewer needs it.

    ``token`` is asked before each request; at most ``concurrency`` requests are under way at once.
    Every method raises the errors of ``service.prolific.errors``.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        concurrency: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._turn = asyncio.Semaphore(concurrency)
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            auth=TokenAuth(token),
            headers={"User-Agent": f"prolific-autoreview/{__version__}", "Accept": "application/json"},
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
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
        return await self._ask("GET", "/users/me/", _object)

    async def study(self, study_id: str) -> Study:
        return await self._ask("GET", f"/studies/{part(study_id)}/", payloads.read_study)

    async def counts(self, study_id: str) -> dict[Status | str, int]:
        path = f"/studies/{part(study_id)}/submissions/counts/"
        return await self._ask("GET", path, payloads.read_counts)

    async def submission(self, submission_id: str) -> Submission:
        return await self._ask("GET", f"/submissions/{part(submission_id)}/", payloads.read_submission)

    async def page(self, wanted: SubmissionFilter) -> Page:
        """One page of the list of submissions."""

        def read(body: Any) -> Page:
            return payloads.read_page(body, study_id=wanted.study, page_size=wanted.page_size)

        return await self._ask("GET", "/submissions/", read, params=wanted.as_query())

    async def pages(self, wanted: SubmissionFilter) -> AsyncIterator[Page]:
        """All pages from the wanted one (else the first) to the end.

        The end is where Prolific links no next page, answers 404, or begins to repeat itself.
        """
        first = wanted.page or 1
        number, hrefs, seen = first, set[str](), set[str]()
        while True:
            asked = replace(wanted, page=number, page_size=wanted.page_size or PAGE_SIZE)
            try:
                page = await self.page(asked)
            except NotFound:
                if number == 1:
                    raise
                return
            new = {row.id for row in page.results} - seen
            yield page
            if not page.next or not new or page.next_href in hrefs:
                return
            seen |= new
            hrefs |= {page.next_href} if page.next_href else set()
            number += 1

    async def submissions(self, wanted: SubmissionFilter) -> AsyncIterator[Submission]:
        """All submissions from the wanted page on, each once even where pages shift under the reader."""
        seen = set[str]()
        async for page in self.pages(wanted):
            for submission in page.results:
                if submission.id not in seen:
                    seen.add(submission.id)
                    yield submission

    async def transition(self, submission_id: str, body: dict[str, Any]) -> Submission:
        path = f"/submissions/{part(submission_id)}/transition/"
        return await self._ask("POST", path, payloads.read_submission, json=body)

    async def request_return(self, submission_id: str, reasons: Iterable[str]) -> ReturnRequest:
        path = f"/submissions/{part(submission_id)}/request-return/"
        body = {"request_return_reasons": list(reasons)}
        return await self._ask("POST", path, payloads.read_return_request, json=body)

    async def bulk_approve(self, submission_ids: Iterable[str]) -> str:
        """Have many approved. Prolific only promises to: what became of each shows in its status."""
        body = {"submission_ids": list(submission_ids)}
        return await self._ask("POST", "/submissions/bulk-approve/", str, json=body)

    async def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
    ) -> T:
        async with self._turn:
            response = await self._send(method, path, params, json)
        body = read_json(response)
        try:
            return read(body)
        except ValueError as error:
            raise unreadable(response, str(error)) from error

    async def _send(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None,
        json: dict[str, Any] | None,
    ) -> httpx.Response:
        try:
            return await self._http.request(method, API + path, params=params, json=json)
        except httpx.RequestError as error:
            why = f"{method} {path}: {type(error).__name__}: {error}".rstrip(": ")
            raise Unreachable(
                f"Prolific could not be reached: {why}", sent=not isinstance(error, NEVER_LEFT)
            ) from error


def part(identifier: str) -> str:
    """Make an id one part of a path, whatever somebody put into it."""
    quoted = quote(identifier, safe="", errors="replace")
    if quoted.strip(".") == "":  # "", "." and ".." would lead elsewhere
        raise NotFound(404, f"There is no id {identifier!r}.")
    return quoted


def _object(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    raise ValueError("an object was expected")
