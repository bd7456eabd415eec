"""Messages between the researcher and participants."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.sandbox.times import Clock, to_milliseconds

CATEGORIES = ("payment-timing", "payment-issues", "technical-issues", "feedback", "rejections", "other")


class MessageStyle(StrEnum):
    """The fields of messages.

    ``spec`` (the default) are those of the OpenAPI document, which most clients read: ``sent_at`` and ``sender_id``.
    ``live`` are those that Prolific's own CLI reads: ``datetime_created``, and ``sender`` in the list of unread ones.
    ``timeless`` was seen in live use: the fields of both, with null times.
    """

    LIVE = "live"
    SPEC = "spec"
    TIMELESS = "timeless"


@dataclass(slots=True)
class SimMessage:
    """A message. ``with_id`` is the participant, even if the researcher wrote it."""

    id: str
    body: str
    sender_id: str
    with_id: str
    channel_id: str
    created: datetime
    study_id: str | None = None
    category: str | None = None
    unread: bool = True  # by the researcher; the API marks nothing as read


class Messages:
    def __init__(self, clock: Clock, new_id: Callable[[datetime], str], researcher_id: str) -> None:
        self._clock = clock
        self._new_id = new_id
        self._researcher_id = researcher_id
        self.all: list[SimMessage] = []
        self.style = MessageStyle.SPEC

    def receive(
        self,
        participant_id: str,
        study_id: str | None,
        body: str,
        *,
        category: str | None = None,
        at: datetime | None = None,
    ) -> SimMessage:
        """Let a participant write, now or (``at``) earlier."""
        return self._keep(participant_id, participant_id, study_id, body, category, at)

    def send(self, participant_id: str, study_id: str, body: str) -> SimMessage:
        """Write to a participant as the researcher."""
        message = self._keep(self._researcher_id, participant_id, study_id, body, None, None)
        message.unread = False
        return message

    def found(
        self, with_id: str | None, after: datetime | None, excluded: Collection[str] = ()
    ) -> list[SimMessage]:
        return [
            message
            for message in self.all
            if with_id in (None, message.with_id)
            and (after is None or message.created > after)
            and message.sender_id not in excluded
        ]

    def _keep(
        self,
        sender_id: str,
        with_id: str,
        study_id: str | None,
        body: str,
        category: str | None,
        at: datetime | None,
    ) -> SimMessage:
        created = to_milliseconds(at or self._clock())
        channel = next((one.channel_id for one in self.all if one.with_id == with_id), None)
        message = SimMessage(
            id=self._new_id(created),
            body=body,
            sender_id=sender_id,
            with_id=with_id,
            channel_id=channel or self._new_id(created),
            created=created,
            study_id=study_id,
            category=category,
        )
        self.all.append(message)
        return message
