"""A load of signed webhooks over keep-alive connections, as cheap as Python makes it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from statistics import quantiles
from typing import cast

from tests.world import signed, status_change


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: requests per second, and the 99th percentile in milliseconds."""

    requests: int
    per_second: float
    p99_ms: float
    codes: dict[int, int]


def requests(start: int, number: int) -> list[bytes]:
    """Deliveries about as many submissions, each with its own event id."""
    found = []
    for one in range(start, start + number):
        body = status_change(f"{one:024x}")
        headers = signed(body, event_id=f"event-{one}") | {"Host": "bench", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        found.append(b"POST /webhooks/prolific HTTP/1.1\r\n" + head.encode() + b"\r\n" + body)
    return found


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, queue: Iterator[bytes], latencies: list[float], codes: dict[int, int]) -> None:
        self._queue = queue
        self._latencies = latencies
        self._codes = codes
        self._answer = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it
        self._next()

    def _next(self) -> None:
        request = next(self._queue, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._latencies.append(time.perf_counter() - self._sent)
        code = int(head[9:12])
        self._codes[code] = self._codes.get(code, 0) + 1
        self._answer = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed by the server"))


_numbers = count(1, 1_000_000)


async def load(port: int, number: int, *, connections: int = 64) -> Load:
    """Send so many requests over so many connections."""
    prepared = requests(next(_numbers), number)
    queue = iter(prepared)
    latencies: list[float] = []
    codes: dict[int, int] = {}
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    open_ones = [
        (await loop.create_connection(lambda: Connection(queue, latencies, codes), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for connection in open_ones))
    seconds = time.perf_counter() - began
    return Load(number, number / seconds, quantiles(latencies, n=100)[98] * 1000, codes)
