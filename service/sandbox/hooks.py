"""The simulated webhooks: secrets, subscriptions with their two-step handshake, events."""

import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from service.sandbox.times import Clock

STATUS_CHANGE = "submission.status.change"
EVENT_TYPES = {
    STATUS_CHANGE: "A submission changed its status.",
    "study.status.change": "A study changed its status.",
    "study.progress.change": "A study's progress changed.",
    "study.has_high_return_rate": "Unusually many participants return a study.",
}


class JsonStyle(StrEnum):
    """The form of a body. It is not documented which of the two Prolific sends."""

    SPACED = "spaced"
    COMPACT = "compact"

    def body(self, payload: dict[str, Any]) -> bytes:
        separators = (", ", ": ") if self is JsonStyle.SPACED else (",", ":")
        return json.dumps(payload, separators=separators).encode()


class EventStatus(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Secret:
    id: str
    value: str
    workspace_id: str


@dataclass(slots=True)
class Subscription:
    """A subscription. It is enabled when its creator posts the ``confirmation`` from X-Hook-Secret back."""

    id: str
    event_type: str
    target_url: str
    workspace_id: str
    confirmation: str
    confirmed: bool = False
    is_enabled: bool = False


@dataclass(slots=True)
class Event:
    """One event for one subscription; its id is the X-Event-ID of every try to deliver it."""

    id: str
    subscription_id: str
    created: datetime
    updated: datetime
    event_type: str
    resource_id: str
    target_url: str
    payload: dict[str, Any]
    status: EventStatus = EventStatus.PENDING
    tries: int = 0


class Hooks:
    def __init__(self, clock: Clock, new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self.secrets: dict[str, Secret] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.events: dict[str, Event] = {}

    def new_secret(self, workspace_id: str, value: str | None = None) -> Secret:
        """Make the workspace's secret; the one before stops counting at once."""
        secret = Secret(self._new_id(), value or secrets.token_urlsafe(32), workspace_id)
        self.secrets[workspace_id] = secret
        return secret

    def subscribe(self, workspace_id: str, event_type: str, target_url: str) -> Subscription:
        confirmation = secrets.token_urlsafe(24)
        subscription = Subscription(self._new_id(), event_type, target_url, workspace_id, confirmation)
        self.subscriptions[subscription.id] = subscription
        return subscription

    def confirm(self, subscription: Subscription, confirmation: str) -> bool:
        if not secrets.compare_digest(confirmation.encode(), subscription.confirmation.encode()):
            return False
        subscription.confirmed = subscription.is_enabled = True
        return True

    def point_at(self, workspace_id: str, target_url: str, secret: str) -> Subscription:
        """Subscribe without the handshake: what ``autoreview sandbox --webhook-url`` does."""
        self.new_secret(workspace_id, secret)
        subscription = self.subscribe(workspace_id, STATUS_CHANGE, target_url)
        self.confirm(subscription, subscription.confirmation)
        return subscription

    def happen(self, event_type: str, payload: dict[str, Any]) -> list[Event]:
        """Record an event for each subscription that gets it."""
        events = [
            self._event(subscription, event_type, payload)
            for subscription in self.subscriptions.values()
            if subscription.is_enabled and subscription.event_type == event_type
        ]
        self.events.update((event.id, event) for event in events)
        return events

    def _event(self, subscription: Subscription, event_type: str, payload: dict[str, Any]) -> Event:
        now = self._clock()
        # Not from the seed: the same study played twice has other events.
        return Event(
            id=uuid4().hex,
            subscription_id=subscription.id,
            created=now,
            updated=now,
            event_type=event_type,
            resource_id=str(payload["resource_id"]),
            target_url=subscription.target_url,
            payload=payload,
        )

    def secret_for(self, event: Event) -> Secret | None:
        """Find what to sign with: the present secret, whenever the event happened."""
        subscription = self.subscriptions.get(event.subscription_id)
        return self.secrets.get(subscription.workspace_id) if subscription else None

    def tried(self, event: Event, status: EventStatus) -> None:
        event.tries += 1
        event.status = status
        event.updated = self._clock()

    def events_of(self, subscription_id: str, statuses: str | None, resource_id: str | None) -> list[Event]:
        wanted = _statuses(statuses)
        return [
            event
            for event in self.events.values()
            if event.subscription_id == subscription_id
            and (wanted is None or event.status in wanted)
            and (resource_id is None or event.resource_id == resource_id)
        ]

    def count_events(self) -> dict[str, int]:
        counts = Counter(event.status for event in self.events.values())
        return {status.value: counts[status] for status in EventStatus}


def _statuses(text: str | None) -> set[EventStatus] | None:
    """Read one status, or a JSON array of them as a text. Raise ``ValueError``."""
    if text is None:
        return None
    listed = json.loads(text) if text.startswith("[") else [text]
    return {EventStatus(status) for status in listed}
