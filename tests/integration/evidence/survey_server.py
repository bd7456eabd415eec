"""A researcher's server with configured responses: late, invalid, endless or none."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[[asyncio.StreamWriter], None] | bytes


def reply(status: int = 200, body: object = b"", **headers: str) -> bytes:
    """Return an HTTP response. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


HANG = b"hang"
ENDLESS = b"endless"


@dataclass
class SurveyServer:
    """A server that sends the ``replies`` of a path in order, and repeats the last one."""

    url: str = ""
    replies: dict[str, list[bytes]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            self.requests.append((path, headers))
            waiting = self.replies.get(path) or self.replies.get("*") or [reply(404)]
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if answer == HANG:
                await asyncio.sleep(60)
            while answer == ENDLESS:
                writer.write(b"HTTP/1.1 200 x\r\n\r\n" + b" " * 65536)
                await writer.drain()
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def survey_server(**replies: list[bytes]) -> AsyncIterator[SurveyServer]:
    server = SurveyServer(replies=dict(replies))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        for task in asyncio.all_tasks():
            if "SurveyServer.serve" in repr(task.get_coro()):
                task.cancel()
