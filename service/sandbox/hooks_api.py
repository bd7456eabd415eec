"""The simulated API's endpoints of webhooks: secrets, subscriptions and the list of their events."""

from urllib.parse import urlsplit

from starlette.routing import Route

from service.sandbox import bodies
from service.sandbox.answers import Answer, Refusal, invalid, not_found, required
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.hooks import EVENT_TYPES, Secret, Subscription
from service.sandbox.listing import whole, yes_or_no
from service.sandbox.model import Body
from service.sandbox.state import SandboxState

MOST_EVENTS = 1000


class HooksApi:
    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._hooks = state.hooks

    def routes(self, endpoints: Endpoints) -> list[Route]:
        at, one = endpoints.at, "/hooks/subscriptions/{subscription_id}/"
        changes = {"GET": self.get, "POST": self.confirm, "PATCH": self.update, "DELETE": self.delete}
        return [
            *at("/hooks/event-types/", {"GET": self.event_types}),
            *at("/hooks/secrets/", {"GET": self.secrets, "POST": self.new_secret}),
            *at("/hooks/subscriptions/", {"GET": self.subscriptions, "POST": self.subscribe}),
            *at(one, changes),
            *at(one + "events/", {"GET": self.events}),
        ]

    def event_types(self, _: Ask) -> Answer:
        listed = [{"event_type": name, "description": text} for name, text in EVENT_TYPES.items()]
        return Answer({"results": listed})

    def secrets(self, ask: Ask) -> Answer:
        secret = self._hooks.secrets.get(self._workspace(ask.query.get("workspace_id")))
        return Answer({"results": [_secret_body(secret)] if secret else []})

    def new_secret(self, ask: Ask) -> Answer:
        secret = self._hooks.new_secret(self._workspace(required(ask.body, "workspace_id")))
        return Answer(_secret_body(secret), 201)

    def subscriptions(self, ask: Ask) -> Answer:
        """List only the enabled ones, unless the disabled ones are asked for."""
        flag = yes_or_no(ask.query, "is_enabled")
        enabled = True if flag is None else flag
        workspace = ask.query.get("workspace_id")
        found = [
            bodies.subscription(known)
            for known in self._hooks.subscriptions.values()
            if known.is_enabled is enabled and workspace in (None, known.workspace_id)
        ]
        return Answer({"results": found, "meta": {"count": len(found)}})

    def subscribe(self, ask: Ask) -> Answer:
        """Create a subscription. The answer's X-Hook-Secret must be posted back."""
        workspace = self._workspace(required(ask.body, "workspace_id"))
        event_type, target = _event_type(ask.body), _target(ask.body)
        if workspace not in self._hooks.secrets:
            raise Refusal(400, "Create a secret for the workspace first.")
        made = self._hooks.subscribe(workspace, event_type, target)
        headers = {"X-Hook-Secret": made.confirmation}
        return Answer({"results": [bodies.subscription(made)]}, 201, headers)

    def confirm(self, ask: Ask) -> Answer:
        subscription = self._subscription(ask)
        if not self._hooks.confirm(subscription, required(ask.body, "secret")):
            raise invalid("secret", "This is not the secret of the subscription.")
        return Answer(bodies.subscription(subscription))

    def get(self, ask: Ask) -> Answer:
        return Answer(bodies.subscription(self._subscription(ask)))

    def update(self, ask: Ask) -> Answer:
        subscription = self._subscription(ask)
        event_type = _event_type(ask.body) if "event_type" in ask.body else subscription.event_type
        target = _target(ask.body) if "target_url" in ask.body else subscription.target_url
        enabled = ask.body.get("is_enabled", subscription.is_enabled)
        if not isinstance(enabled, bool):
            raise invalid("is_enabled", "Must be a valid boolean.")
        if enabled and not subscription.confirmed:
            raise invalid("is_enabled", "Confirm the subscription first.")
        subscription.event_type, subscription.target_url = event_type, target
        subscription.is_enabled = enabled
        return Answer(bodies.subscription(subscription))

    def delete(self, ask: Ask) -> Answer:
        del self._hooks.subscriptions[self._subscription(ask).id]
        return Answer(status_code=204)

    def events(self, ask: Ask) -> Answer:
        limit, offset = whole(ask.query, "limit", 100, least=1), whole(ask.query, "offset", 0, least=0)
        if limit > MOST_EVENTS:
            raise invalid("limit", f"Ensure this value is less than or equal to {MOST_EVENTS}.")
        subscription = self._subscription(ask)
        try:
            found = self._hooks.events_of(
                subscription.id, ask.query.get("status"), ask.query.get("resource_id")
            )
        except (ValueError, TypeError):
            raise invalid("status", "Not a valid status, nor a JSON array of them.") from None
        listed = [bodies.event(known) for known in found[offset : offset + limit]]
        return Answer({"results": listed, "meta": {"count": len(found)}})

    def _workspace(self, workspace_id: str | None) -> str:
        if workspace_id is None or workspace_id not in self._state.workspaces:
            raise invalid("workspace_id", "You are no member of such a workspace.")
        return workspace_id

    def _subscription(self, ask: Ask) -> Subscription:
        subscription = self._hooks.subscriptions.get(ask.path["subscription_id"])
        if subscription is None:
            raise not_found(f"Subscription with id {ask.path['subscription_id']}")
        return subscription


def _event_type(body: Body) -> str:
    event_type = required(body, "event_type")
    if event_type not in EVENT_TYPES:
        raise invalid("event_type", f'"{event_type}" is not a valid choice.')
    return event_type


def _target(body: Body) -> str:
    """Require https, except for addresses in the local network, which a sandbox may send to."""
    target = required(body, "target_url")
    try:
        parts = urlsplit(target)
        host = parts.hostname or ""
    except ValueError:
        raise invalid("target_url", "Enter a valid URL.") from None
    local = host in ("127.0.0.1", "::1") or (host != "" and "." not in host)
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
        raise invalid("target_url", "Enter a valid https URL.")
    return target


def _secret_body(secret: Secret) -> Body:
    return {"id": secret.id, "value": secret.value, "workspace_id": secret.workspace_id}
