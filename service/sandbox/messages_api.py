"""The simulated API's endpoints of messages."""

from datetime import UTC, datetime, timedelta

from starlette.routing import Route

from service.sandbox import bodies
from service.sandbox.answers import Answer, Refusal, invalid, required
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.state import SandboxState

OLDEST = timedelta(days=30)
MOST_EXCLUDED = 10


class MessagesApi:
    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self, endpoints: Endpoints) -> list[Route]:
        at = endpoints.at
        return [
            *at("/messages/", {"GET": self.messages, "POST": self.send}, bare=True),
            *at("/messages/unread/", {"GET": self.unread}, bare=True),
        ]

    def messages(self, ask: Ask) -> Answer:
        """List those of the last 30 days; an earlier ``created_after`` is refused (what Prolific does is unknown)."""
        user, after = ask.query.get("user_id") or None, _moment(ask.query.get("created_after"))
        if user is None and after is None:
            raise Refusal(400, "Either user_id or created_after must be provided.")
        oldest = self._state.clock() - OLDEST
        if after is not None and after < oldest:
            raise invalid("created_after", "Only messages of the last 30 days can be fetched.")
        excluded = [one for one in ask.query.get("excluded_sender_ids", "").split(",") if one]
        if len(excluded) > MOST_EXCLUDED:
            raise invalid("excluded_sender_ids", f"At most {MOST_EXCLUDED} ids can be excluded.")
        found, style = self._state.messages.found(user, after or oldest, excluded), self._state.messages.style
        return Answer({"results": [bodies.message(one, style) for one in found]})

    def unread(self, _: Ask) -> Answer:
        messages = self._state.messages
        found = [bodies.unread_message(one, messages.style) for one in messages.all if one.unread]
        return Answer({"results": found})

    def send(self, ask: Ask) -> Answer:
        recipient, text = required(ask.body, "recipient_id"), required(ask.body, "body")
        study_id = required(ask.body, "study_id")
        if study_id not in self._state.studies:
            raise invalid("study_id", f"Study with id {study_id} does not exist.")
        self._state.messages.send(recipient, study_id, text)
        return Answer(status_code=204)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("created_after", "Enter a valid ISO 8601 date and time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
