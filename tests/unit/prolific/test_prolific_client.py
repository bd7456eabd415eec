"""The client, with a stub of Prolific as its transport."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest

from service.domain.submission import CompletionCode, Status
from service.errors import ConfigurationError, ProlificError
from service.prolific import Prolific
from service.prolific.errors import (
    CallsPaused,
    NotFound,
    Refused,
    TokenRefused,
    Unauthorised,
    Unreachable,
    Unreadable,
)

SECRET = "s3cr3t-t0k3n"
DETAIL = {
    "id": "65f0000000000000000000aa",
    "study_id": "65f000000000000000000051",
    "participant": "65f0000000000000000000bb",
    "status": "AWAITING REVIEW",
    "started_at": "2026-11-20T09:50:00.457Z",
    "completed_at": "2026-11-20T10:00:00.457000Z",
    "entered_code": "C0MPL3TE",
    "return_requested": None,
    "a_field_of_next_year": {"x": 1},
}


class Stub:
    """A transport that answers by path and records requests."""

    def __init__(self, answers: dict[str, object] | None = None, status_code: int = 200) -> None:
        self.answers = answers or {}
        self.status_code = status_code
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.raw_path.decode()
        if path not in self.answers:
            return httpx.Response(404, json={"detail": "Not found."})
        return httpx.Response(self.status_code, json=self.answers[path])

    def client(self, token: Callable[[], str] = lambda: SECRET) -> Prolific:
        return Prolific("https://prolific.test", token, transport=httpx.MockTransport(self))


def failing(error: Exception) -> Prolific:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return Prolific("https://prolific.test", lambda: SECRET, transport=httpx.MockTransport(fail))


async def test_submission_accepts_milliseconds_microseconds_and_unknown_fields() -> None:
    async with Stub({f"/api/v1/submissions/{DETAIL['id']}/": DETAIL}).client() as prolific:
        submission = await prolific.submission(str(DETAIL["id"]))
    assert submission.participant_id == DETAIL["participant"]
    assert submission.status is Status.AWAITING_REVIEW
    assert submission.started_at == datetime(2026, 11, 20, 9, 50, 0, 457000, tzinfo=UTC)
    assert submission.completed_at == datetime(2026, 11, 20, 10, 0, 0, 457000, tzinfo=UTC)
    assert submission.entered_code == "C0MPL3TE"


async def test_submission_has_its_parent_study() -> None:
    part = DETAIL | {"parent_study_id": "65f000000000000000000052"}
    for body, parent in (
        (part, part["parent_study_id"]),
        (DETAIL, None),
        (part | {"parent_study_id": 5}, None),
    ):
        async with Stub({f"/api/v1/submissions/{DETAIL['id']}/": body}).client() as prolific:
            assert (await prolific.submission(str(DETAIL["id"]))).parent_study_id == parent


async def test_submission_accepts_missing_fields_and_other_spellings() -> None:
    bare = {"id": "x", "status": "partially_approved", "started_at": "soon", "time_taken": True}
    async with Stub({"/api/v1/submissions/x/": bare}).client() as prolific:
        submission = await prolific.submission("x")
    assert submission.status is Status.PARTIALLY_APPROVED
    assert (submission.study_id, submission.started_at, submission.time_taken) == (None, None, None)


async def test_unknown_status_is_read_as_unknown() -> None:
    async with Stub({"/api/v1/submissions/x/": {"id": "x", "status": "PONDERED"}}).client() as prolific:
        assert (await prolific.submission("x")).status is Status.UNKNOWN


async def test_study_has_its_completion_codes() -> None:
    code = {
        "code": "P",
        "code_type": "PARTIAL",
        "actor": "researcher",
        "actions": [{"action": "DYNAMIC_PAYMENT"}],
    }
    plain = {"code": None, "code_type": "COMPLETED"}
    body = {"id": "s", "name": "n", "status": "ACTIVE", "reward": 150.0, "completion_codes": [code, plain]}
    async with Stub({"/api/v1/studies/s/": body}).client() as prolific:
        study = await prolific.study("s")
    assert study.reward == 150
    assert study.maximum_allowed_time is None
    assert study.completion_codes == (
        CompletionCode("P", "PARTIAL", "researcher", ("DYNAMIC_PAYMENT",)),
        CompletionCode(None, "COMPLETED"),
    )
    assert study.completion_codes[0].pays_dynamically


async def test_counts_have_0_where_prolific_has_null() -> None:
    body = {"AWAITING REVIEW": 3, "SCREENED OUT": None, "TOTAL": 50.0, "SOMETHING NEW": 1}
    async with Stub({"/api/v1/studies/s/submissions/counts/": body}).client() as prolific:
        counts = await prolific.counts("s")
    assert counts == {Status.AWAITING_REVIEW: 3, Status.SCREENED_OUT: 0, "TOTAL": 50, "SOMETHING NEW": 1}


async def test_token_is_read_for_each_request() -> None:
    stub, tokens = Stub({"/api/v1/users/me/": {"id": "me", "email": "a@b"}}), iter(["first", "second\n"])
    async with stub.client(lambda: next(tokens)) as prolific:
        await prolific.me()
        await prolific.me()
    assert [r.headers["Authorization"] for r in stub.requests] == ["Token first", "Token second"]
    assert stub.requests[0].headers["User-Agent"].startswith("prolific-autoreview/")


async def test_token_is_in_no_repr_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"detail": f"you sent Token {SECRET}"}
    stub = Stub({"/api/v1/users/me/": echo}, status_code=500)
    async with stub.client() as prolific:
        with pytest.raises(ProlificError) as refused:
            await prolific.me()
        shown = repr(prolific) + repr(refused.value) + str(vars(refused.value)) + caplog.text
    assert SECRET not in shown


@pytest.mark.parametrize("token", ["", "line\nbreak", "naïve"])
async def test_token_that_is_no_header_value_is_a_configuration_error_without_the_token(
    token: str,
) -> None:
    async with Stub().client(lambda: token) as prolific:
        with pytest.raises(ConfigurationError) as error:
            await prolific.me()
    assert not token or token not in str(error.value)


@pytest.mark.parametrize(
    ("identifier", "path"),
    [("a/../b", "/api/v1/submissions/a%2F..%2Fb/"), ("a?b#c", "/api/v1/submissions/a%3Fb%23c/")],
)
async def test_id_is_quoted_in_the_path(identifier: str, path: str) -> None:
    stub = Stub({path: DETAIL | {"id": identifier}})
    async with stub.client() as prolific:
        await prolific.submission(identifier)
    assert stub.requests[0].url.raw_path.decode() == path


@pytest.mark.parametrize("identifier", ["", ".", ".."])
async def test_id_that_leads_to_another_path_is_not_found_without_a_request(identifier: str) -> None:
    stub = Stub()
    async with stub.client() as prolific:
        with pytest.raises(NotFound):
            await prolific.submission(identifier)
    assert not stub.requests


async def test_transition_sends_its_body_and_reads_the_new_status() -> None:
    stub = Stub({"/api/v1/submissions/x/transition/": {"id": "x", "status": "APPROVED"}})
    async with stub.client() as prolific:
        assert (await prolific.transition("x", {"action": "APPROVE"})).status is Status.APPROVED
    assert stub.requests[0].content == b'{"action":"APPROVE"}'


async def test_request_to_return_reads_status_and_time() -> None:
    answer = {"id": "x", "status": "AWAITING REVIEW", "return_requested": "2026-11-20T11:00:00Z"}
    stub = Stub({"/api/v1/submissions/x/request-return/": answer})
    async with stub.client() as prolific:
        asked = await prolific.request_return("x", ("Withdrew consent.",))
    assert asked.status is Status.AWAITING_REVIEW
    assert asked.return_requested_at == datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert stub.requests[0].content == b'{"request_return_reasons":["Withdrew consent."]}'


async def test_bulk_approval_returns_the_message_of_prolific() -> None:
    stub = Stub({"/api/v1/submissions/bulk-approve/": "in progress"})
    async with stub.client() as prolific:
        assert await prolific.bulk_approve(["a", "b"]) == "in progress"
    assert stub.requests[0].content == b'{"submission_ids":["a","b"]}'


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.PoolTimeout("full"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.WriteError("reset"), True),
        (httpx.RemoteProtocolError("gone"), True),
    ],
)
async def test_unsent_requests_are_distinguished_from_unclear_ones(error: Exception, sent: bool) -> None:
    async with failing(error) as prolific:
        with pytest.raises(Unreachable) as unreachable:
            await prolific.transition("x", {"action": "APPROVE"})
    assert unreachable.value.sent is sent


@pytest.mark.parametrize(
    "body", [[], "text", {}, {"id": "x"}, {"status": "APPROVED"}, {"id": 1, "status": 2}]
)
async def test_success_without_required_fields_is_unreadable(body: object) -> None:
    async with Stub({"/api/v1/submissions/x/": body}).client() as prolific:
        with pytest.raises(Unreadable) as unreadable:
            await prolific.submission("x")
    assert unreadable.value.status_code == 200


ANOTHER = {"id": "y", "status": "APPROVED", "return_requested": "2026-11-20T11:00:00Z"}


@pytest.mark.parametrize("ask", ["submission", "study", "transition", "request_return"])
async def test_response_about_another_object_is_unreadable(ask: str) -> None:
    paths = ["submissions/x/", "studies/x/", "submissions/x/transition/", "submissions/x/request-return/"]
    async with Stub({f"/api/v1/{path}": ANOTHER for path in paths}).client() as prolific:
        asking: dict[str, Callable[[], Awaitable[object]]] = {
            "submission": lambda: prolific.submission("x"),
            "study": lambda: prolific.study("x"),
            "transition": lambda: prolific.transition("x", {"action": "APPROVE"}),
            "request_return": lambda: prolific.request_return("x", ["Please."]),
        }
        with pytest.raises(Unreadable) as unreadable:
            await asking[ask]()
    assert unreadable.value.status_code == 200


async def test_request_to_return_accepts_a_response_without_the_submission() -> None:
    answer = {"status": "AWAITING REVIEW", "return_requested": None}
    async with Stub({"/api/v1/submissions/x/request-return/": answer}).client() as prolific:
        assert (await prolific.request_return("x", ["Please."])).status is Status.AWAITING_REVIEW


@pytest.mark.parametrize(
    "odd", [chr(0), chr(0xD800), chr(0xDFFF)], ids=["NUL", "a high surrogate", "a low one"]
)
async def test_texts_have_no_character_that_postgresql_refuses(odd: str) -> None:
    body = DETAIL | {"entered_code": f"C0{odd}DE", "participant": f"p{odd}"}
    study = {"id": "s", "name": odd, "completion_codes": [{"code": odd, "actions": [{"action": f"A{odd}"}]}]}

    def answer(request: httpx.Request) -> httpx.Response:  # escaped, as httpx would not
        return httpx.Response(200, text=json.dumps(study if "studies" in request.url.path else body))

    transport = httpx.MockTransport(answer)
    async with Prolific("https://prolific.test", lambda: SECRET, transport=transport) as prolific:
        submission = await prolific.submission(str(DETAIL["id"]))
        (code,) = (found := await prolific.study("s")).completion_codes
    assert (submission.entered_code, submission.participant_id) == ("C0\ufffdDE", "p\ufffd")
    assert (found.name, code.code, code.actions) == ("\ufffd", "\ufffd", ("A\ufffd",))


class Door:
    """A transport that refuses one request and answers `me` as configured."""

    def __init__(self, me: httpx.Response | httpx.RequestError, status_code: int = 403) -> None:
        self.me = me
        self.status_code = status_code

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/users/me/"):
            return httpx.Response(self.status_code, json={"detail": "No."})
        if isinstance(self.me, httpx.RequestError):
            raise self.me
        return self.me


@pytest.mark.parametrize("status_code", [401, 403])
@pytest.mark.parametrize(
    ("me", "branch"),
    [
        (httpx.Response(200, json={"id": "me"}), Unauthorised),
        (httpx.Response(401), TokenRefused),
        (httpx.Response(500), Unreadable),
        (httpx.Response(429), Unreadable),
        (httpx.Response(302), Unreadable),
        (httpx.ConnectError("refused"), Unreadable),
    ],
    ids=["good", "refused", "500", "429", "302", "unreachable"],
)
async def test_subject_of_a_refusal_is_known_only_if_stated(
    me: httpx.Response | httpx.RequestError, branch: type[Refused], status_code: int
) -> None:
    transport = httpx.MockTransport(Door(me, status_code))
    async with Prolific("https://prolific.test", lambda: SECRET, transport=transport) as prolific:
        with pytest.raises(Refused) as refused:
            await prolific.submission("x")
    assert type(refused.value) is branch
    assert refused.value.status_code == status_code


async def no_answers(status_code: int, headers: dict[str, str] | None = None) -> int:
    """Return the number of calls in a row that are sent before all are paused."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status_code, headers=headers)

    transport, number = httpx.MockTransport(answer), 0
    async with Prolific("https://prolific.test", lambda: SECRET, transport=transport) as prolific:
        while True:
            try:
                await prolific.me()
            except CallsPaused:
                return number
            except Refused:
                number += 1


async def test_redirect_and_503_with_retry_after_pause_all_calls() -> None:
    assert await no_answers(302) == 3
    assert await no_answers(503) == 3
    assert await no_answers(503, {"Retry-After": "120"}) == 1
    assert await no_answers(503, {"Retry-After": "0"}) == 3


async def test_concurrent_requests_stay_within_the_limit() -> None:
    under_way, most, go = 0, 0, asyncio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            go.set()
        await go.wait()
        await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, json={"id": "me"})

    transport = httpx.MockTransport(answer)
    async with Prolific("https://prolific.test", lambda: "t", concurrency=2, transport=transport) as prolific:
        await asyncio.gather(*(prolific.me() for _ in range(8)))
    assert most == 2
