"""A stand-in for Prolific that costs next to nothing: ``python -m tests.bench.standin LATENCY``.

The sandbox is built to resemble Prolific, this one to be fast. Every id is a submission that awaits review
until it is transitioned. The first line of standard output is the port.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvloop

STUDY = "60aca280709ee40ec37d4885"
API = "/api/v1"
ARRIVALS = "/arrivals"  # GET: the transitions' times by submission, ``time.monotonic`` of this machine
CODE = "C0L0UR12"

STUDY_BODY = {
    "name": "A study",
    "status": "ACTIVE",
    "estimated_completion_time": 12,
    "maximum_allowed_time": 33,
    "reward": 180,
    "total_available_places": 3000,
    "completion_codes": [
        {
            "code": CODE,
            "code_type": "COMPLETED",
            "actor": "participant",
            "actions": [{"action": "MANUALLY_REVIEW"}],
        }
    ],
}
EMPTY_LIST: dict[str, Any] = {"results": [], "_links": {"next": {"href": None}}, "meta": {"count": 0}}


class Standin:
    """Which submissions were transitioned, and when."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        """Return status and body."""
        parts = path.partition("?")[0].removeprefix(API).strip("/").split("/")
        body: Any
        match method, parts:
            case "GET", ["arrivals"]:
                body = self.arrivals
            case "GET", ["submissions", submission]:
                body = self._submission(submission)
            case "POST", ["submissions", submission, "transition"]:
                self.arrivals.setdefault(submission, []).append(time.monotonic())
                body = self._submission(submission)
            case "GET", ["studies", study]:
                body = STUDY_BODY | {"id": study}
            case "GET", ["studies", _, "submissions", "counts"]:
                body = {"TOTAL": 0}
            case "GET", ["users", "me"]:
                body = {"id": "5f0000000000000000000001", "email": "researcher@example.org"}
            case "GET", ["submissions"] | ["messages"] | ["workspaces"]:
                body = EMPTY_LIST
            case _:
                return 404, {"error": {"status": 404, "title": "Not found", "detail": path}}
        return 200, body

    def _submission(self, submission: str) -> dict[str, Any]:
        return {
            "id": submission,
            "study_id": STUDY,
            "participant": f"65f0{submission[-20:]}",
            "status": "APPROVED" if submission in self.arrivals else "AWAITING REVIEW",
            "started_at": "2026-01-05T10:00:00.000000Z",
            "completed_at": "2026-01-05T10:11:40.000000Z",
            "entered_code": CODE,
            "parent_study_id": None,
            "bonus_payments": [],
            "return_requested": None,
        }


class Connection(asyncio.Protocol):
    """Answers each request after the latency; as much of HTTP as httpx needs."""

    def __init__(self, standin: Standin, latency: float) -> None:
        self._standin = standin
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, separator, rest = self._received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if not separator or len(rest) < length:
                return
            self._received = rest[length:]
            self._serve(head)

    def _serve(self, head: bytes) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        status, body = self._standin.answer(method, path)
        content = json.dumps(body).encode()
        answer = (
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        latency = 0.0 if path == ARRIVALS else self._latency
        asyncio.get_running_loop().call_later(latency, self._transport.write, answer.encode() + content)


async def run(latency: float) -> None:
    standin = Standin()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(standin, latency), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running(latency: float) -> Iterator[str]:
    """The stand-in as a process of its own; yields its URL. ``latency`` is in seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.standin", str(latency)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(float(sys.argv[1])))
