"""Whether a participant who was asked to return a submission has replied. A reply leaves the decision to people."""

from datetime import datetime

from service.domain.decision import Decision, Mode, Outcome, Trigger
from service.errors import ProlificError
from service.prolific.client import Prolific
from service.prolific.messages import Message
from service.review.known import Known
from service.review.retry_policy import affects_every_call, is_refusal


def follows_up(decision: Decision) -> bool:
    """Return True if the decision depends on the participant's silence after a request to return.

    An approval does only if the time to answer triggered it.
    """
    if decision.mode is Mode.OBSERVE:
        return False
    # An approval that new evidence brings about does not rest on silence.
    if decision.outcome is Outcome.APPROVE:
        return decision.trigger is Trigger.RECHECK
    return decision.outcome in {Outcome.REJECT, Outcome.COMPLETE}


async def reply_since(known: Known, prolific: Prolific) -> str | None:
    """Return why the participant counts as having replied since the request to return, None without a reply.

    Raise ProlificError if a retry may help.
    """
    participant, since = known.submission.participant_id, known.replies_since
    if not (participant and since):
        return "The participant's id is not known, so their replies can't be looked up."
    try:
        messages = await prolific.messages(participant)
    except ProlificError as error:
        # Another try would be refused as well, and without the replies only a person can decide.
        if is_refusal(error) and not affects_every_call(error):
            return f"The participant's replies to the request to return can't be looked up: {error}"
        raise
    replies = [message for message in messages if _is_reply(message, known, since)]
    if not replies:
        return None
    number = "a message" if len(replies) == 1 else f"{len(replies)} messages"
    return f"The participant wrote {number} after the request to return. Read it first."


def _is_reply(message: Message, known: Known, asked_at: datetime) -> bool:
    # An unknown sender, study or time counts as a reply: what is unknown must not cost the participant.
    is_theirs = message.sender_id in (None, known.submission.participant_id)
    of_study = message.study_id in (None, known.submission.study_id)
    # The time comes from the message's id, in whole seconds: within the same second the order is unknown.
    since = message.sent_at is None or message.sent_at >= asked_at.replace(microsecond=0)
    return is_theirs and of_study and since
