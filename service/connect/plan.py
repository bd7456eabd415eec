"""The plan: what to change on Prolific's side, decided before anything is changed."""

from dataclasses import dataclass
from enum import StrEnum

from service.prolific.hooks import STATUS_CHANGE, HookSecret, Subscription
from service.prolific.workspaces import Workspace
from service.web.address import same_address


class SecretStep(StrEnum):
    REUSE = "reuse"
    CREATE = "create"
    REPLACE = "replace"


class SubscriptionStep(StrEnum):
    KEEP = "keep"
    ENABLE = "enable"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class Found:
    """What Prolific has of a workspace's webhooks."""

    workspace: Workspace
    secret: HookSecret | None
    subscriptions: tuple[Subscription, ...]

    def pointing_at(self, target: str) -> tuple[Subscription, ...]:
        """Return our subscriptions, the enabled ones first."""
        ours = (one for one in self.subscriptions if is_ours(one, target))
        return tuple(sorted(ours, key=lambda one: not one.is_enabled))

    def others(self, target: str) -> tuple[Subscription, ...]:
        """Return the subscriptions of others, and ours with an earlier address."""
        return tuple(one for one in self.subscriptions if not is_ours(one, target))


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned steps. ``surplus`` are further subscriptions of the same address, which would repeat every event."""

    found: Found
    target: str
    secret: SecretStep
    subscription: SubscriptionStep
    existing: Subscription | None
    surplus: tuple[Subscription, ...]


def is_ours(subscription: Subscription, target: str) -> bool:
    return subscription.event_type == STATUS_CHANGE and same_address(subscription.target_url, target)


def plan(found: Found, target: str, *, new_secret: bool = False) -> Plan:
    ours = found.pointing_at(target)
    existing = ours[0] if ours else None
    return Plan(
        found=found,
        target=target,
        secret=_secret_step(found.secret, new_secret=new_secret),
        subscription=_subscription_step(existing),
        existing=existing,
        surplus=ours[1:],
    )


def _secret_step(secret: HookSecret | None, *, new_secret: bool) -> SecretStep:
    if secret is None:
        return SecretStep.CREATE
    return SecretStep.REPLACE if new_secret else SecretStep.REUSE


def _subscription_step(existing: Subscription | None) -> SubscriptionStep:
    if existing is None:
        return SubscriptionStep.CREATE
    return SubscriptionStep.KEEP if existing.is_enabled else SubscriptionStep.ENABLE
