"""Error responses of Prolific, in each of its envelopes and in none."""

import json
from typing import Any

import httpx
import pytest

from service.prolific import Prolific
from service.prolific.errors import (
    BadRequest,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    TokenRefused,
    Unreadable,
)

MESSAGE = {"message": ["Ensure this field has at least 100 characters."]}


async def refusal(status_code: int, **answer: Any) -> Refused:
    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status_code, **answer)

    transport = httpx.MockTransport(respond)
    async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
        with pytest.raises(Refused) as refused:
            await prolific.me()
    return refused.value


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"error": {"status": 400, "title": "Bad Request", "detail": MESSAGE}},
            f"Bad Request: message: {MESSAGE['message'][0]}",
        ),
        ({"status": 400, "error_code": 1, "title": "Bad Request", "detail": "No."}, "Bad Request: No."),
        ({"message": "Bad Request", "detail": ["One.", "Two."]}, "Bad Request: One. Two."),
        ({"detail": "Not found."}, "Not found."),
        ({"error": "plain"}, "plain"),
        ({"error": {"title": "T", "detail": None, "additional_information": "Why"}}, "T: Why"),
        (["a", "b"], "a b"),
        ({"field": ["wrong"]}, "field: wrong"),
    ],
)
async def test_each_error_envelope_becomes_one_sentence(body: object, detail: str) -> None:
    error = await refusal(400, json=body)
    assert error.detail == detail
    assert str(error) == f"HTTP 400: {detail}"


@pytest.mark.parametrize(
    ("status_code", "branch"),
    [
        (400, BadRequest),
        (401, TokenRefused),
        (403, TokenRefused),
        (404, NotFound),
        (405, Refused),
        (409, BadRequest),
        (422, BadRequest),
        (429, RateLimited),
        (301, Refused),
        (500, ServerError),
        (503, ServerError),
    ],
)
async def test_each_status_code_has_its_error_class(status_code: int, branch: type[Refused]) -> None:
    error = await refusal(status_code, json={"detail": "x"})
    assert type(error) is branch
    assert error.status_code == status_code


async def test_html_error_page_is_kept_as_shortened_text() -> None:
    error = await refusal(502, html="<h1>Bad gateway</h1>\x00" + "x" * 5000)
    assert isinstance(error, ServerError)
    assert error.answer.startswith("<h1>Bad gateway</h1>\ufffdx")
    assert len(error.answer) == 2000
    assert error.detail == "Prolific reports an error of its own."


async def test_success_without_json_is_unreadable() -> None:
    assert isinstance(await refusal(200, text="<html>"), Unreadable)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "3600"}, 3600.0),
        ({"Retry-After": "999999999"}, 3600.0),
        ({"Retry-After": "1e14"}, 3600.0),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2300"}, None),
        ({"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"Retry-After": "Thu, 31 Dec 2026 23:59:59 +99999999999999999999"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        (
            {"Retry-After": "Sun, 22 Nov 2026 10:05:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            300.0,
        ),
        (
            {
                "Retry-After": "Fri, 31 Dec 9999 10:05:00 GMT",
                "Date": "Sun, 22 Nov 2026 10:00:00 +99999999999999",
            },
            3600.0,
        ),
        ({"Retry-After": "Sun, 22 Nov 2020 10:05:00 GMT"}, None),
    ],
)
async def test_retry_after_accepts_seconds_and_dates_up_to_an_hour(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert (await refusal(429, json={}, headers=headers)).retry_after == seconds


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
async def test_stored_answer_has_no_character_that_postgresql_refuses(text: str) -> None:
    body = json.dumps({"detail": {text: [text]}, "title": text}).encode()
    error = await refusal(400, content=body)
    assert error.detail == "a\ufffdb: a\ufffdb: a\ufffdb"
    assert str(error).encode()
    odd = await refusal(400, content=b"+2AA- \x00", headers={"Content-Type": "text/plain; charset=utf-7"})
    assert odd.answer.encode()
    assert "\x00" not in odd.answer
