"""Delivery of webhooks: signed, tried up to twelve times, a bounded number at once."""

import asyncio
import base64
import hashlib
import hmac
from datetime import datetime
from types import TracebackType
from typing import Self

import httpx
import structlog

from service.sandbox.faults import WebhookFaults
from service.sandbox.hooks import STATUS_CHANGE, Event, EventStatus, JsonStyle
from service.sandbox.model import SimSubmission
from service.sandbox.state import SandboxState
from service.web.outgoing import certificates

log = structlog.get_logger(__name__)

TRIES = 12
FIRST_WAIT = 60.0  # seconds; doubles each time, and is drawn between 0 and that ("full jitter")
AT_ONCE = 16
TIMEOUT = 10.0  # seconds; real ones, as the receiver's time is


def sign(secret: str, timestamp: str, body: bytes) -> str:
    mac = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def headers(event: Event, secret: str, body: bytes, now: datetime) -> dict[str, str]:
    """Build the headers of a try. Each try is signed again, under the same event id."""
    timestamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "X-Prolific-Request-Signature": sign(secret, timestamp, body),
        "X-Prolific-Request-Timestamp": timestamp,
        "X-Event-ID": event.id,
        "X-Timestamp": str(int(event.created.timestamp())),
    }


class Deliveries:
    """Sends each event of a state to its subscription until it is accepted or the tries are used up."""

    def __init__(
        self,
        state: SandboxState,
        *,
        style: JsonStyle = JsonStyle.SPACED,
        at_once: int = AT_ONCE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._state = state
        self._style = style
        self._turn = asyncio.Semaphore(at_once)
        self._under_way = set[asyncio.Task[None]]()
        self._at_once = at_once
        self._transport = transport
        self._http: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=self._at_once, max_keepalive_connections=self._at_once)
        self._http = httpx.AsyncClient(
            trust_env=False,
            verify=certificates(trust_env=False),
            timeout=TIMEOUT,
            limits=limits,
            transport=self._transport,
        )
        self._state.listeners.append(self.announce)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._state.listeners.remove(self.announce)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._http.aclose()

    def in_delivery(self) -> int:
        return len(self._under_way)

    def announce(self, submission: SimSubmission) -> None:
        """Send the submission's current status to every subscription."""
        payload = {
            "resource_id": submission.id,
            "event_type": STATUS_CHANGE,
            "participant_id": submission.participant_id,
            "status": submission.status.value,
        }
        for event in self._state.hooks.happen(STATUS_CHANGE, payload):
            for _ in range(self._times(self._state.webhooks)):
                task = asyncio.create_task(self._deliver(event))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    def _times(self, faults: WebhookFaults) -> int:
        """Return how often an event is delivered: once, unless there is a fault."""
        if faults.lose and self._state.random.random() < faults.lose:
            return 0
        return 2 if faults.duplicate and self._state.random.random() < faults.duplicate else 1

    async def _deliver(self, event: Event) -> None:
        if late := self._state.webhooks.reorder:
            await asyncio.sleep(self._state.random.uniform(0, late))
        for retry in range(TRIES):
            async with self._turn:
                taken = await self._try(event)
            self._state.hooks.tried(event, EventStatus.SUCCEEDED if taken else EventStatus.FAILED)
            if taken:
                return
            if retry < TRIES - 1:
                nominal = FIRST_WAIT * 2**retry
                await self._state.timers.sleep(self._state.random.uniform(0, nominal))
        log.warning("webhook_given_up", event_id=event.id, target_url=event.target_url)

    async def _try(self, event: Event) -> bool:
        """Post an event once. Any answer but 2xx is a failure, as is none."""
        secret = self._state.hooks.secret_for(event)
        if secret is None:
            return False
        signed = self._style.body(event.payload)
        sent = (self._state.webhooks.respace or self._style).body(event.payload)
        try:
            response = await self._http.post(
                event.target_url,
                content=sent,
                headers=headers(event, secret.value, signed, self._state.clock()),
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return response.is_success
