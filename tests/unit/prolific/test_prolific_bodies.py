"""Limits of a response: time, size and encodings."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific
from service.prolific.bodies import MAX_ANSWER_BODY
from service.prolific.errors import ServerError, Unreachable, Unreadable

BODY = json.dumps({"id": "x", "status": "APPROVED"}).encode()
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(*parts: bytes, every: float = 0.0, deadline: float = 30.0) -> AsyncIterator[Prolific]:
    """Return a client of a server that sends these bytes part by part, then closes the connection."""

    answers: list[asyncio.Task[Any] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.append(asyncio.current_task())
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Prolific(f"http://127.0.0.1:{port}", lambda: "a-token", deadline=deadline) as prolific:
        yield prolific
    await asyncio.gather(*filter(None, answers))


def whole(body: bytes, *headers: str, status: bytes = OK) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return status + lines.encode() + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


async def unreadable(*parts: bytes) -> str:
    async with answering(*parts) as prolific:
        with pytest.raises(Unreadable) as raised:
            await prolific.submission("x")
    assert raised.value.status_code == 200
    return str(raised.value)


async def test_body_that_arrives_too_slowly_times_out() -> None:
    drops = [b"{", *[b" "] * 10_000]
    async with answering(OK + b"Content-Length: 10001\r\n\r\n", *drops, every=0.05, deadline=0.5) as prolific:
        with pytest.raises(Unreachable, match="no complete answer") as raised:
            await prolific.submission("x")
    assert raised.value.sent


async def test_headers_that_arrive_too_slowly_time_out() -> None:
    async with answering(OK, *[b"A: b\r\n"] * 10_000, every=0.05, deadline=0.5) as prolific:
        with pytest.raises(Unreachable, match="no complete answer"):
            await prolific.submission("x")


async def test_gzip_body_is_read() -> None:
    async with answering(whole(gzip.compress(BODY), "Content-Encoding: gzip")) as prolific:
        assert (await prolific.submission("x")).status is Status.APPROVED


async def test_gzip_bomb_is_unreadable_and_uses_little_memory() -> None:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(200)) + packer.flush()
    assert len(bomb) < 200 * 1024
    tracemalloc.start()
    try:
        assert f"over {MAX_ANSWER_BODY} bytes" in await unreadable(whole(bomb, "Content-Encoding: gzip"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * MAX_ANSWER_BODY


async def test_endless_body_is_unreadable() -> None:
    megabyte = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert "over" in await unreadable(OK + b"Transfer-Encoding: chunked\r\n\r\n", *[megabyte] * 20)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, "gzip"),
        (gzip.compress(BODY, mtime=0)[:-12], "gzip"),
        (BODY, "br"),
        (BODY, "gzip, gzip"),
        (b"\xff", "zstd"),
    ],
)
async def test_unknown_or_broken_encoding_is_unreadable(body: bytes, encoding: str) -> None:
    assert "cannot be read" in await unreadable(whole(body, f"Content-Encoding: {encoding}"))


TYPES = [
    *(
        "application/json; charset=no-such",
        "application/json; charset=base64",
        "text/html; charset=undefined",
    ),
    *("application/json; charset=utf-16", "application/json; charset=\xff", "image/png", "nonsense", ""),
]


@pytest.mark.parametrize("content_type", TYPES)
async def test_json_body_is_read_with_any_content_type(content_type: str) -> None:
    answer = whole(BODY, "Content-Type: TYPE").replace(b"TYPE", content_type.encode("latin-1"))
    async with answering(answer) as prolific:
        assert (await prolific.submission("x")).status is Status.APPROVED


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe\x00", b"\x80" * 100, b""])
async def test_other_body_is_unreadable_with_any_content_type(content_type: str, body: bytes) -> None:
    answer = whole(body, "Content-Type: TYPE").replace(b"TYPE", content_type.encode("latin-1"))
    await unreadable(answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda status: whole(b" " * (MAX_ANSWER_BODY + 1), status=status),
        lambda status: whole(b"not gzip", "Content-Encoding: gzip", status=status),
        lambda status: whole(b"\xff", "Content-Type: text/plain; charset=undefined", status=status),
    ],
)
async def test_refusal_with_an_unreadable_body_keeps_its_status(
    answer: Callable[[bytes], bytes],
) -> None:
    async with answering(answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n")) as prolific:
        with pytest.raises(ServerError) as raised:
            await prolific.submission("x")
    assert (raised.value.status_code, raised.value.retry_after) == (503, 7)


async def test_accept_encoding_has_only_supported_encodings() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        return httpx.Response(200, content=BODY)

    async with Prolific(
        "https://p.test", lambda: "a-token", transport=httpx.MockTransport(answer)
    ) as prolific:
        await prolific.submission("x")
    assert asked == ["gzip"]
