"""The client of Prolific's API: one request per call, no retries (the jobs have those)."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from service.domain.decision import AlsoRequest
from service.domain.submission import Status, Study, Submission
from service.prolific import payloads
from service.prolific.fields import mapping, read_http_date
from service.prolific.filters import SubmissionFilter
from service.prolific.hooks import Hooks
from service.prolific.lists import LARGEST_PAGE, ORDERING, read_list
from service.prolific.messages import Message, read_messages
from service.prolific.paths import part
from service.prolific.payloads import Page, ReturnRequest
from service.prolific.transport import DEADLINE, ME, Call, Transport
from service.prolific.workspaces import Balance, Workspace, read_balance, read_workspaces


class Prolific:
    """Prolific's API as far as a reviewer needs it.

    ``token`` is called before each request. At most ``concurrency`` requests run at once, each for ``deadline``
    seconds at most. Every method raises the errors of ``service.prolific.errors``.
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
        self._transport = Transport(
            base_url, token, concurrency=concurrency, transport=transport, deadline=deadline
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
        await self._transport.aclose()

    async def me(self) -> dict[str, Any]:
        """Return the token's owner: at least ``id`` and ``email``."""
        return dict(await self._transport.ask(Call("GET", ME), mapping))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Self]:
        """Hold one of the ``concurrency`` slots for a sequence of calls, made with the yielded client.

        These calls neither wait for a slot nor check the pace, which ``ready`` does. Raise CallsPaused.
        """
        async with self._transport.slot() as transport:
            holder = copy(self)
            holder._transport = transport  # noqa: SLF001 - a copy of itself
            yield holder

    async def ready(self) -> None:
        """Wait until a short pause of all calls is over. Raise CallsPaused if it takes more than a second."""
        await self._transport.ready()

    async def study(self, study_id: str) -> Study:
        read = partial(payloads.read_study, wanted=study_id)
        return await self._transport.ask(Call("GET", f"/studies/{part(study_id)}/"), read)

    async def counts(self, study_id: str) -> dict[Status | str, int]:
        call = Call("GET", f"/studies/{part(study_id)}/submissions/counts/")
        return await self._transport.ask(call, payloads.read_counts)

    async def submission(self, submission_id: str) -> Submission:
        read = partial(payloads.read_submission, wanted=submission_id)
        return await self._transport.ask(Call("GET", f"/submissions/{part(submission_id)}/"), read)

    async def page(self, wanted: SubmissionFilter) -> Page:
        """Return one page of the list of submissions, in an order that stays the same from page to page."""
        # The server returns no more than this: with a larger size each full page would look like the last
        # one.
        size = wanted.page_size and min(wanted.page_size, LARGEST_PAGE)
        asked = replace(wanted, page_size=size, ordering=wanted.ordering or ORDERING)
        read = partial(payloads.read_page, study_id=asked.study, page_size=size)
        return await self._transport.ask(Call("GET", "/submissions/", asked.as_query()), read)

    def pages(self, wanted: SubmissionFilter) -> AsyncIterator[Page]:
        """Yield all pages of the list. ``wanted.page`` is ignored. A row may be on more than one page.

        Raise IncompleteList after the last page if rows are missing: the yielded pages are then a part of the list.
        """
        whole = replace(wanted, page_size=wanted.page_size or LARGEST_PAGE)
        return read_list(lambda number: self.page(replace(whole, page=number)))

    async def submissions(self, wanted: SubmissionFilter) -> AsyncIterator[Submission]:
        """Yield the wanted submissions, each once. Raise IncompleteList as ``pages`` does."""
        seen = set[str]()
        async for page in self.pages(wanted):
            for submission in page.results:
                # Rows move between pages while the list is read, and Prolific may ignore the filter by
                # status.
                if submission.id not in seen and wanted.accepts(submission.status):
                    seen.add(submission.id)
                    yield submission

    async def transition(self, submission_id: str, body: dict[str, Any]) -> Submission:
        call = Call("POST", f"/submissions/{part(submission_id)}/transition/", json=body)
        return await self._transport.ask(call, partial(payloads.read_submission, wanted=submission_id))

    async def request_return(self, submission_id: str, reasons: Iterable[str]) -> ReturnRequest:
        body = {"request_return_reasons": list(reasons)}
        call = Call("POST", f"/submissions/{part(submission_id)}/request-return/", json=body)
        return await self._transport.ask(call, partial(payloads.read_return_request, wanted=submission_id))

    async def bulk_approve(self, submission_ids: Iterable[str]) -> str:
        """Approve many submissions. Prolific does so later: the result shows in the status of each."""
        body = {"submission_ids": list(submission_ids)}
        return await self._transport.ask(Call("POST", "/submissions/bulk-approve/", json=body), str)

    @property
    def hooks(self) -> Hooks:
        """Secrets, subscriptions and events of webhooks."""
        return Hooks(self._transport)

    async def workspaces(self) -> tuple[Workspace, ...]:
        """Return the workspaces of the token's owner."""
        # Without a limit Prolific returns 20 at most.
        return await self._transport.ask(Call("GET", "/workspaces/", {"limit": "1000"}), read_workspaces)

    async def balance(self, workspace_id: str) -> Balance:
        return await self._transport.ask(
            Call("GET", f"/workspaces/{part(workspace_id)}/balance/"), read_balance
        )

    async def messages(self, user_id: str) -> tuple[Message, ...]:
        """Return the messages between the token's owner and this participant, of both."""
        return await self._transport.ask(Call("GET", "/messages/", {"user_id": user_id}), read_messages)

    async def send_also(self, request: AlsoRequest) -> int:
        """Change a participant group or send a message; return the status of the 2xx answer."""
        # Adding a member twice, or removing one who is none, changes nothing, so both requests can be
        # repeated. A repeated message is delivered twice.
        if request["endpoint"] == "message":
            call = Call("POST", "/messages/", json=request["body"])
        else:
            path = f"/participant-groups/{part(request['group'] or '')}/participants/"
            call = Call(
                "POST" if request["endpoint"] == "add-to-group" else "DELETE", path, json=request["body"]
            )
        return (await self._transport.answer(call)).status_code

    async def clock(self) -> datetime | None:
        """Return Prolific's time in whole seconds, None if the answer has none."""
        return read_http_date((await self._transport.answer(Call("GET", ME))).headers.get("Date"))
