"""Set up Prolific's side: find what is there, carry out the plan, and disconnect."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import assert_never

from service.connect.advice import advice
from service.connect.plan import Found, Plan, SecretStep, SubscriptionStep, is_ours
from service.connect.secret_file import keep_secret
from service.errors import AutoreviewError, ConfigurationError, ProlificError
from service.prolific.client import Prolific
from service.prolific.errors import BadRequest
from service.prolific.hooks import STATUS_CHANGE, Hooks, HookSecret, Subscription
from service.prolific.workspaces import Workspace


class NotConnected(AutoreviewError):
    """Prolific's side could not be set up."""

    code = "not_connected"


@contextmanager
def with_advice() -> Iterator[None]:
    """Raise NotConnected with advice in place of Prolific's errors."""
    try:
        yield
    except ProlificError as error:
        raise NotConnected("\n".join(filter(None, (f"{error}", advice(error))))) from error


async def choose_workspace(prolific: Prolific, wanted: str | None) -> Workspace:
    """Return the wanted workspace, else the only one. Raise ConfigurationError that lists them if there are several."""
    if wanted is not None:
        return Workspace(wanted, "")
    workspaces = await prolific.workspaces()
    if not workspaces:
        raise NotConnected(
            "The token's owner is a member of no workspace: make one on Prolific, or use another token."
        )
    if len(workspaces) > 1:
        listed = "\n".join(f"  {one.id}  {one.title}" for one in workspaces)
        raise ConfigurationError(f"The token sees several workspaces; choose one with --workspace:\n{listed}")
    return workspaces[0]


async def look(prolific: Prolific, workspace: Workspace) -> Found:
    """Return what Prolific has of the workspace's webhooks. Changes nothing."""
    secrets = await prolific.hooks.secrets(workspace.id)
    subscriptions = await prolific.hooks.subscriptions(workspace.id)
    return Found(workspace, secrets[0] if secrets else None, subscriptions)


async def carry_out(prolific: Prolific, plan: Plan, secret_file: Path) -> Subscription:
    """Carry out the plan. The secret is saved first: the service needs it as soon as the subscription works."""
    # Prolific creates no subscription in a workspace without a secret.
    secret = await _secret(prolific.hooks, plan)
    # Without its value the service could not verify webhooks.
    if not secret.value:
        raise NotConnected("Prolific does not show the workspace's secret: replace it with --new-secret.")
    keep_secret(secret_file, secret.value)
    subscription = await _subscription(prolific.hooks, plan)
    # Only after the other subscription works, so that no event is lost in between.
    for one in plan.surplus:
        await prolific.hooks.delete_subscription(one.id)
    return subscription


async def disconnect(prolific: Prolific, found: Found, target: str) -> None:
    for one in found.pointing_at(target):
        await prolific.hooks.delete_subscription(one.id)


async def _secret(hooks: Hooks, plan: Plan) -> HookSecret:
    match plan.secret:
        case SecretStep.REUSE:
            assert plan.found.secret is not None
            return plan.found.secret
        case SecretStep.CREATE | SecretStep.REPLACE:
            return await hooks.new_secret(plan.found.workspace.id)
    assert_never(plan.secret)


async def _subscription(hooks: Hooks, plan: Plan) -> Subscription:
    existing = plan.existing
    if existing and plan.subscription is SubscriptionStep.KEEP:
        return existing
    if existing:
        enabled = await _enabled(hooks, existing)
        if enabled:
            return enabled
        await hooks.delete_subscription(existing.id)
    return await _new_subscription(hooks, plan)


async def _enabled(hooks: Hooks, existing: Subscription) -> Subscription | None:
    """Return the subscription, enabled again; None if Prolific refuses because it was never confirmed."""
    try:
        updated = await hooks.update_subscription(existing.id, is_enabled=True)
    except BadRequest:
        return None
    return updated if updated.is_enabled else None


async def _new_subscription(hooks: Hooks, plan: Plan) -> Subscription:
    """Return a confirmed subscription. Delete it after an error: an unconfirmed one would look complete later."""
    workspace = plan.found.workspace.id
    made, confirmation = await hooks.subscribe(workspace, STATUS_CHANGE, plan.target)
    try:
        if confirmation is None:
            raise NotConnected("Prolific's answer lacks the X-Hook-Secret that confirms a subscription.")
        await hooks.confirm(made.id, confirmation)
        return await _working(hooks, workspace, made, plan.target)
    except AutoreviewError:
        with suppress(ProlificError):
            await hooks.delete_subscription(made.id)
        raise


async def _working(hooks: Hooks, workspace: str, made: Subscription, target: str) -> Subscription:
    """Return the subscription as Prolific has it now, enabled if the confirmation did not enable it."""
    # The confirmation returns no state, so the list shows whether the subscription is enabled.
    listed = await hooks.subscriptions(workspace)
    found = next((one for one in listed if one.id == made.id and is_ours(one, target)), made)
    if not found.is_enabled:
        found = await hooks.update_subscription(made.id, is_enabled=True)
    if not found.is_enabled:
        raise NotConnected("Prolific accepted the confirmation but leaves the subscription disabled.")
    return found
