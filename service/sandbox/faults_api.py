"""The sandbox's own routes that make it misbehave, for those who reach it over HTTP only."""

from collections import Counter
from dataclasses import asdict, fields, replace
from typing import Any

from starlette.routing import Route

from service.domain.submission import Status
from service.sandbox.answers import Answer, invalid
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.faults import Added, Fault, WebhookFaults
from service.sandbox.hooks import JsonStyle
from service.sandbox.messages import MessageStyle
from service.sandbox.model import Body
from service.sandbox.quirks import Quirks
from service.sandbox.state import SandboxState

STYLE = "message_style"  # a switch that the messages keep themselves


class FaultsApi:
    """Switches are written as the fields of ``Fault``, ``WebhookFaults`` and ``Quirks``, ``body`` as a text."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self, endpoints: Endpoints) -> list[Route]:
        faults = {"GET": self.faults, "POST": self.add, "DELETE": self.clear}
        webhooks = {"GET": self.webhooks, "POST": self.set_webhooks}
        quirks = {"GET": self.quirks, "POST": self.set_quirks}
        return [
            *endpoints.at("/sandbox/faults/", faults),
            *endpoints.at("/sandbox/webhooks/", webhooks),
            *endpoints.at("/sandbox/quirks/", quirks),
        ]

    def faults(self, _: Ask) -> Answer:
        """List the faults that still wait for calls, and count the calls that came."""
        waiting = [_fault_body(added) for added in self._state.faults.waiting()]
        return Answer({"results": waiting, "seen": Counter(self._state.faults.seen)})

    def add(self, ask: Ask) -> Answer:
        self._state.faults.add(_fault(ask.body))
        return Answer(self.faults(ask).body, 201)

    def clear(self, _: Ask) -> Answer:
        self._state.faults.clear()
        return Answer(status_code=204)

    def webhooks(self, _: Ask) -> Answer:
        return Answer(asdict(self._state.webhooks))

    def set_webhooks(self, ask: Ask) -> Answer:
        """Set those that are named; the others stay."""
        _check_names(ask.body, WebhookFaults)
        respace = ask.body.get("respace", self._state.webhooks.respace)
        try:
            style = None if respace is None else JsonStyle(respace)
            self._state.webhooks = replace(self._state.webhooks, **{**ask.body, "respace": style})
        except (TypeError, ValueError) as error:
            raise invalid("webhooks", str(error)) from None
        return self.webhooks(ask)

    def quirks(self, _: Ask) -> Answer:
        return Answer(asdict(self._state.quirks) | {STYLE: self._state.messages.style.value})

    def set_quirks(self, ask: Ask) -> Answer:
        """Set those that are named; the others stay. ``message_style`` is one of ``MessageStyle``."""
        given = dict(ask.body)
        style = given.pop(STYLE, self._state.messages.style)
        _check_names(given, Quirks)
        try:
            self._state.quirks, self._state.messages.style = (
                replace(self._state.quirks, **given),
                MessageStyle(style),
            )
        except (TypeError, ValueError) as error:
            raise invalid("quirks", str(error)) from None
        return self.quirks(ask)


def _fault(body: Body) -> Fault:
    _check_names(body, Fault)
    given = dict(body)
    if given.get("then_status") is not None:
        given["then_status"] = _status(given["then_status"])
    try:
        if given.get("body") is not None:
            given["body"] = given["body"].encode()
        return Fault(**given)
    except (TypeError, ValueError, AttributeError) as error:
        raise invalid("fault", str(error)) from None


def _check_names(body: Body, known: type[Fault | WebhookFaults | Quirks]) -> None:
    names = [field.name for field in fields(known)]
    for name in body:
        if name not in names:
            raise invalid(name, f"There is no such field; there are {', '.join(names)}.")


def _status(text: Any) -> Status:
    status = Status.parse(text) if isinstance(text, str) else Status.UNKNOWN
    if status is Status.UNKNOWN:
        raise invalid("then_status", "Not a status.")
    return status


def _fault_body(added: Added) -> Body:
    body = asdict(added.fault) | {"left": added.left}
    if added.fault.body is not None:
        body["body"] = added.fault.body.decode(errors="replace")
    return body
