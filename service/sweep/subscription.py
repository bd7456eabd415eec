"""Whether Prolific still sends webhooks here: it disables a subscription after five days of failures."""

from dataclasses import dataclass
from enum import StrEnum

from service.errors import ConfigurationError, ProlificError
from service.prolific.client import Prolific
from service.prolific.hooks import STATUS_CHANGE, Subscription
from service.web.address import WEBHOOK_PATH, same_address, webhook_url


class State(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"
    MISSING = "missing"
    UNKNOWN = "unknown"  # Prolific did not answer, or our own address is not set


@dataclass(frozen=True, slots=True)
class Lookup:
    """The state of the subscription. ``detail`` says what to do."""

    state: State
    detail: str

    @property
    def is_lost(self) -> bool:
        return self.state in {State.DISABLED, State.MISSING}


async def look_up(prolific: Prolific, public_url: str | None) -> Lookup:
    """Return the state of the subscription that points here; without a public URL, of any with the webhook's path."""
    try:
        found = await prolific.hooks.subscriptions()
        return judged([one for one in found if one.event_type == STATUS_CHANGE], public_url)
    except ProlificError as error:
        return Lookup(State.UNKNOWN, f"Prolific did not show the subscriptions: {error}")
    except ConfigurationError as error:
        return Lookup(State.UNKNOWN, f"AUTOREVIEW_PUBLIC_URL: {error}")


def judged(subscriptions: list[Subscription], public_url: str | None) -> Lookup:
    """Return the state of our subscriptions: enabled if any is, since one that works is enough."""
    ours = [one for one in subscriptions if _points_here(one, public_url)]
    if any(one.is_enabled for one in ours):
        return Lookup(State.ENABLED, "Prolific sends webhooks here.")
    if ours:
        return Lookup(
            State.DISABLED,
            f"Prolific disabled the subscription to {ours[0].target_url}: run `autoreview connect` to enable it. "
            "Until then only the sweep finds submissions.",
        )
    # Another installation of the workspace may have its own: none of those that exist has to be ours.
    if public_url is None:
        return Lookup(
            State.UNKNOWN, "AUTOREVIEW_PUBLIC_URL is not set, so the service can't know which one is its own."
        )
    return Lookup(
        State.MISSING,
        f"No subscription points to {public_url}: run `autoreview connect`. Until then only the sweep finds "
        "submissions.",
    )


def _points_here(subscription: Subscription, public_url: str | None) -> bool:
    target = subscription.target_url
    return (
        target.endswith(WEBHOOK_PATH) if public_url is None else same_address(target, webhook_url(public_url))
    )
