"""`http` sources: invalid responses fail one attempt only."""

import gzip
import zlib

import httpx
import pytest

from service.evidence.asked import Answered, Asked, Failed, NotYet, Outcome
from service.evidence.http_source import HttpSource
from tests.integration.evidence.survey_server import ENDLESS, reply, survey_server

ASKED = Asked("s1", "p/1", "study 1")
BOMB = gzip.compress(zlib.compress(b"0" * 10) + b"\0" * 50_000_000)


async def ask(*replies: bytes, path: str = "/r/{submission.id}") -> Outcome:
    async with survey_server() as server, httpx.AsyncClient(timeout=5) as client:
        server.replies["*"] = list(replies)
        return await HttpSource(server.url + path, lambda: "secret", client).fetch(ASKED)


@pytest.mark.parametrize(
    "answer", [reply(404), reply(204), reply(), reply(200, {}), reply(200, []), reply(200, None)]
)
async def test_http_source_without_an_answer_means_not_yet(answer: bytes) -> None:
    assert isinstance(await ask(answer), NotYet)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(500), "127.0.0.1 answered 500"),
        (reply(401), "127.0.0.1 answered 401"),
        (reply(200, b"<html>"), "is no JSON"),
        (reply(200, b'{"a": 1, "a": 2}'), "'a' occurs twice"),
        (reply(200, b"[" * 100_000), "is no JSON"),
        (reply(200, [{"a": 1}, {"a": 2}]), "a list of 2"),
        (reply(200, "text"), "no object"),
        (reply(200, b"x" * 2_000_000), "more than 1,048,576 bytes"),
        (ENDLESS, "more than 1,048,576 bytes"),
        (reply(200, BOMB, Content_Encoding="gzip"), "more than 1,048,576 bytes"),
        (reply(200, b"x", Content_Encoding="br"), "content-encoding br"),
        (reply(200, b"x", Content_Encoding="gzip"), "can't be asked"),
        (
            reply(302, Location="http://169.254.169.254/latest/meta-data"),
            "redirects to another host, 169.254.169.254",
        ),
        (reply(302, Location="//example.org/"), "redirects to another host, example.org"),
        (reply(302, Location="file:///etc/passwd"), "redirects to another host"),
        (reply(302, Location="/again"), "redirects more than 3 times"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 10\r\n\r\n{", "can't be asked"),
        (b"garbage\r\n\r\n", "can't be asked"),
    ],
)
async def test_http_source_with_a_bad_answer_fails_with_its_reason(answer: bytes, reason: str) -> None:
    found = await ask(answer)
    assert isinstance(found, Failed)
    assert reason in found.reason
    assert "secret" not in found.reason


async def test_http_source_follows_a_redirect_on_its_host_and_reads_gzip() -> None:
    packed = reply(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")
    assert await ask(reply(302, Location="/other"), packed) == Answered({"a": 1})


async def test_http_source_quotes_ids_and_sends_its_token() -> None:
    async with survey_server() as server, httpx.AsyncClient() as client:
        server.replies["*"] = [reply(200, {"a": 1})]
        url = f"{server.url}/{{submission.participant_id}}?study={{study.id}}"
        await HttpSource(url, lambda: "secret", client).fetch(ASKED)
        [(path, headers)] = server.requests
        assert path == "/p%2F1?study=study%201"
        assert headers["authorization"] == "bearer secret"
