"""Limits of a connection: size of headers, time, protocols, number of connections."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.app import Parts
from service.web.listening import listen_on
from service.web.protocol import MAX_HEADERS, BoundedProtocol, Stage
from service.web.server import Server
from tests.conftest import Start
from tests.process import complete_settings, environment
from tests.world import rules_text, signed, status_change, until, write_rules

WEB = Parts(web=True, worker=False)
PATIENCE = 30  # seconds


class Impatient(BoundedProtocol):
    timeouts: ClassVar = {Stage.HEADERS: 0.3, Stage.BODY: 0.3}


class Small(BoundedProtocol):
    max_connections = 4


async def echo(request: Request) -> Response:
    try:
        body = await request.body()
    except ClientDisconnect:
        return Response(status_code=400)
    names = sorted(name.decode() for name, _ in request.scope["headers"])
    return JSONResponse({"path": request.url.path, "body": body.decode(), "headers": names})


@asynccontextmanager
async def server(protocol: type[BoundedProtocol] = BoundedProtocol) -> AsyncIterator[int]:
    """Run a server that answers with the request it parsed; yield its port."""
    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "PUT"])])
    listener = listen_on("127.0.0.1", 0)
    listener.listen(512)
    config = uvicorn.Config(app, http=protocol, log_config=None, lifespan="off", ws="none")
    running = Server(config)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        running.force_exit = True
        running.stop()
        await task


class Client:
    """A connection that sends arbitrary bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send each part separately. A connection closed by the server is no error."""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self._writer.write(part)
                await self._writer.drain()
                await asyncio.sleep(0.01)

    async def answer(self) -> tuple[int, bytes]:
        """Return status and body of the next response, (0, b"") if the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
                return int(head[9:12]), await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""

    async def is_closed(self) -> bool:
        """Wait for the server to close the connection; return True if it does."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                return await self._reader.read(1) == b""
        return True


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(port: int, *parts: bytes) -> tuple[int, bytes]:
    async with client(port) as one:
        await one.send(*parts)
        return await one.answer()


KIB = b"x" * 1024
TRAILERS = b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"GET / HTTP/1.1\r\nA: ", *[KIB * 16] * 40], id="one header without end"),
        pytest.param([b"GET / HTTP/1.1\r\n", *[b"A: " + KIB + b"\r\n"] * 70], id="headers without end"),
        pytest.param([b"GET / HTTP/1.1\r\n" + (b"A: " + KIB + b"\r\n") * 70 + b"\r\n"], id="in one piece"),
        pytest.param([b"GET /", *[KIB * 16] * 40], id="a path without end"),
        pytest.param([TRAILERS, *[b"A: " + KIB + b"\r\n"] * 70], id="trailers without end"),
    ],
)
async def test_headers_over_64_kib_are_431_and_close_the_connection(parts: list[bytes]) -> None:
    async with server() as port, client(port) as one:
        await one.send(*parts)
        status, body = await one.answer()
        assert status in (431, 0), "a server that hangs up may be seen before its answer"
        assert not body or b'"headers_too_large"' in body
        assert await one.is_closed()


async def test_headers_of_nearly_64_kib_are_accepted() -> None:
    async with server() as port:
        head = b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * (MAX_HEADERS - 100) + b"\r\n\r\n"
        assert (await exchange(port, head))[0] == 200


async def test_body_larger_than_the_header_limit_is_accepted_in_pieces() -> None:
    async with server() as port:
        head = b"POST / HTTP/1.1\r\nContent-Length: 204800\r\n\r\n"
        status, body = await exchange(port, head, *[KIB * 8] * 25)
        assert (status, len(body) > 204800) == (200, True)
        chunks = [b"400\r\n" + KIB + b"\r\n"] * 100
        chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await exchange(port, chunked, *chunks, b"0\r\n\r\n"))[0] == 200


async def test_trailers_do_not_become_headers() -> None:
    async with server() as port:
        head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        status, body = await exchange(port, head, b"0\r\nX-Event-ID: other\r\n\r\n")
        assert (status, b"x-event-id" in body) == (200, False)


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([b"\r\n"], 408, id="a line break"),
        pytest.param([b"GET / HT"], 408, id="half a line"),
        pytest.param([b"GET / HTTP/1.1\r\nA: b\r\n"], 408, id="half the headers"),
        pytest.param([b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"], 408, id="half the body"),
    ],
)
async def test_incomplete_request_times_out(parts: list[bytes], status: int) -> None:
    async with server(Impatient) as port, client(port) as one:
        await one.send(*parts)
        assert (await one.answer())[0] == status
        assert await one.is_closed()


async def test_slow_bytes_do_not_extend_the_request_timeout() -> None:
    async with server(Impatient) as port, client(port) as one:
        dripping = asyncio.create_task(one.send(b"GET / HTTP/1.1\r\nA: ", *[b"a"] * 10_000))
        assert (await one.answer())[0] == 408
        dripping.cancel()


async def test_line_breaks_between_requests_do_not_extend_the_timeout() -> None:
    async with server(Impatient) as port, client(port) as one:
        await one.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await one.answer())[0] == 200
        await one.send(b"\r\n")
        assert (await one.answer())[0] in (0, 408)


async def test_idle_connection_is_kept_longer_than_the_request_timeout() -> None:
    async with server(Impatient) as port, client(port) as one:
        for _ in range(3):
            await one.send(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", b"c")
            assert (await one.answer())[0] == 200
            await asyncio.sleep(0.5)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("offer", [OFFER, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"])
async def test_protocol_upgrade_is_ignored_and_the_body_is_kept(offer: bytes) -> None:
    async with server() as port, client(port) as one:
        request = b"POST /a HTTP/1.1\r\nHost: a\r\n" + offer + b"Content-Length: 5\r\n\r\nhello"
        for _ in range(2):  # the connection goes on
            await one.send(request)
            status, body = await one.answer()
            assert (status, b'"hello"' in body, b'"/a"' in body) == (200, True, True)
        head, _, content = request.partition(b"hello")[0].rpartition(b"\r\n\r\n")
        await one.send(head[:60], head[60:] + b"\r\n\r\n", content + b"he", b"llo")
        assert b'"hello"' in (await one.answer())[1]


async def test_webhook_with_an_http_2_upgrade_of_java_or_curl_is_accepted(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQ"}
        answer = await world.http.post("/webhooks/prolific", content=body, headers=signed(body) | offer)
        assert answer.status_code == 202


@pytest.mark.parametrize(
    "request_", [b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
async def test_invalid_http_request_is_400(request_: bytes) -> None:
    async with server() as port:
        assert (await exchange(port, request_))[0] == 400


async def test_longest_idle_connection_is_closed_for_a_new_one() -> None:
    async with server(Small) as port, contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(client(port)) for _ in range(20)]
        for _ in range(20):
            assert (await exchange(port, b"GET / HTTP/1.1\r\n\r\n"))[0] == 200
        assert await idle[0].is_closed()


async def test_running_requests_are_not_closed_for_new_connections() -> None:
    release = asyncio.Event()

    async def slow(_: Request) -> Response:
        await release.wait()
        return Response("done")

    app = Starlette(routes=[Route("/", slow)])
    listener = listen_on("127.0.0.1", 0)
    listener.listen(512)
    running = Server(uvicorn.Config(app, http=Small, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(running.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(client(port)) for _ in range(4)]
        for one in busy:
            await one.send(b"GET / HTTP/1.1\r\n\r\n")
        status, body = await exchange(port, b"GET / HTTP/1.1\r\n\r\n")
        assert (status, b"too_many_connections" in body) == (503, True)
        release.set()
        assert [await one.answer() for one in busy] == [(200, b"done")] * 4
    running.force_exit = True
    running.stop()
    await task


async def test_webhooks_are_accepted_with_300_idle_connections_and_256_open_files(
    tmp_path: Path, data_dir: Path
) -> None:
    settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), data_dir)
    port = int(str(settings["port"]))
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
    command = limited + "os.execv(sys.executable, [sys.executable, '-m', 'service', 'serve'])"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command], env=environment(settings), stdout=log, stderr=log
        )

    async def ready() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        with contextlib.suppress(OSError):
            return (await exchange(port, b"GET /readyz HTTP/1.1\r\n\r\n"))[0] == 200
        return False

    idle: list[socket.socket] = []
    try:
        await until(ready, "the service to be ready")
        idle = [await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port)) for _ in range(300)]
        for one in range(5):
            body = status_change(f"abc{one}")
            headers = signed(body, event_id=f"e-{one}") | {"Content-Length": str(len(body))}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            request = b"POST /webhooks/prolific HTTP/1.1\r\n" + head.encode() + b"\r\n" + body
            assert (await exchange(port, request))[0] == 202
    finally:
        for connection in idle:
            connection.close()
        process.terminate()
        process.wait(60)
