"""The HTTP protocol of a connection: uvicorn's, with limits on headers and time.

uvicorn on httptools limits neither the size of headers nor the time that a request takes to arrive.
"""

import asyncio
import resource
from enum import Enum
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.web.http import problem

MAX_HEADERS = 64 * 1024  # bytes, of request line and headers together
MAX_CONNECTIONS = 1000


class Stage(Enum):
    """The part of a request that is still to arrive."""

    HEADERS = "headers"
    BODY = "body"
    NOTHING = "nothing"


def connection_limit() -> int:
    """Return the most connections to hold: half of the file limit, since the database needs the rest."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, files // 2))


class BoundedProtocol(HttpToolsProtocol):
    """One connection: limited headers, limited time for headers and body, no change of protocol.

    If there are too many connections, the one that has waited longest for its client is closed.
    """

    timeouts: ClassVar = {Stage.HEADERS: 10.0, Stage.BODY: 30.0}  # seconds
    max_connections = connection_limit()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self._stage = Stage.HEADERS
        self._timed_stage = Stage.NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._unparsed = 0  # bytes of this request that were not delivered as body
        self._is_too_large = False
        self.waiting_since = self.loop.time()
        if len(self.connections) > self.max_connections and not self._make_room():
            self._refuse(503, "too_many_connections", "Too many requests are under way; try again.")
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            if not self._is_too_large:
                self._refuse(400, "bad_request", "This is not HTTP/1.1.")
                return
        # A single header without end never reaches the parser's callbacks.
        if self._is_too_large or self._unparsed > MAX_HEADERS:
            self._refuse(431, "headers_too_large", f"The headers are over {MAX_HEADERS} bytes.")
        else:
            self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage = Stage.HEADERS

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # it is parsed again without the upgrade
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEADERS:
            self._is_too_large = True
            raise httptools.HttpParserError
        super().on_headers_complete()
        self.headers = []  # trailers after the body must not become headers of the request
        self._stage = Stage.BODY

    def on_body(self, body: bytes) -> None:
        self._unparsed -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._stage, self._unparsed = Stage.NOTHING, 0
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def _parse(self, data: bytes) -> None:
        """Feed the parser. After ``Upgrade: h2c`` it takes the body for bytes of the other protocol."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                head = self._head_without_upgrade()
                data = head + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":  # always changes the protocol
            raise httptools.HttpParserError
        version = self.parser.get_http_version().encode()
        headers = [name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade"]
        return b"".join([method, b" ", self.url, b" HTTP/", version, b"\r\n", *headers, b"\r\n"])

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _has_begun_to_answer(self) -> bool:
        """Return True if an answer on this connection has begun."""
        is_answered = self._stage is Stage.BODY and self.cycle.response_started
        return is_answered or (self._is_answering and self.cycle.response_started)

    @property
    def waits_for_client(self) -> bool:
        """Return True if the client must act: send a request, the rest of one, or read the answer."""
        return not self._is_answering or self._stage is not Stage.NOTHING or self.flow.write_paused

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for its client. Return False if all are being served."""
        waiting = [
            one
            for one in self.connections
            if isinstance(one, BoundedProtocol) and one is not self and one.waits_for_client
        ]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.waiting_since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _watch(self) -> None:
        """Limit the time of the part that is still to arrive. A request that arrived at once needs no timer."""
        is_blank = self._stage is Stage.NOTHING and not self._is_answering  # line breaks between requests
        stage = Stage.HEADERS if is_blank else self._stage
        if stage is self._timed_stage:
            return
        self._stop_timer()
        if stage is not Stage.NOTHING:
            self._timer = self.loop.call_later(self.timeouts[stage], self._give_up)
            self._timed_stage = stage

    def _stop_timer(self) -> None:
        self._timed_stage = Stage.NOTHING
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._unparsed or self._stage is Stage.BODY:
            self._refuse(408, "timeout", "The request did not arrive in time.")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer in place of the application, unless it has begun, and close the connection."""
        if not self._has_begun_to_answer:
            answer = problem(status, code, message, headers={"Connection": "close"})
            headers = [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
            self.transport.write(b"".join([STATUS_LINE[status], *headers, b"\r\n", answer.body]))
        if self._is_answering:
            self.cycle.disconnected = True  # drop what the application sends from now on
        self.transport.close()
