"""Whether a participant who was asked to return a submission has answered: then no rule acts on their silence."""

from datetime import datetime

from service.domain.decision import Decision, Mode, Outcome, Trigger
from service.errors import ProlificError
from service.prolific.client import Prolific
from service.prolific.messages import Message
from service.review.known import Known
from service.review.retry_policy import affects_every_call, is_refusal


def follows_up(decision: Decision) -> bool:
    """Whether the decision would act on the request to return that is still open.

    An approval does so only where nothing but the time gave cause to it.
    """
    if decision.mode is Mode.OBSERVE:
        return False
    if decision.outcome is Outcome.APPROVE:
        return decision.trigger is Trigger.RECHECK
    return decision.outcome in {Outcome.REJECT, Outcome.COMPLETE}


async def reply_since(known: Known, prolific: Prolific) -> str | None:
    """Why the participant counts as having answered since they were asked; None if they did not.

    Whatever is not known of a message counts for them: a missing time once put people who had answered into
    the queue for rejection (reference 5). Raises ProlificError where trying again may help.
    """
    participant, since = known.submission.participant_id, known.replies_since
    if not (participant and since):
        return "Who the participant is is not known, so neither is whether they answered."
    try:
        messages = await prolific.messages(participant)
    except ProlificError as error:
        if is_refusal(error) and not affects_every_call(error):
            return f"Whether the participant answered the request to return can't be looked up: {error}"
        raise
    replies = [message for message in messages if _is_reply(message, known, since)]
    if not replies:
        return None
    number = "a message" if len(replies) == 1 else f"{len(replies)} messages"
    return f"The participant wrote {number} since they were asked to return it: to be read first."


def _is_reply(message: Message, known: Known, asked_at: datetime) -> bool:
    is_theirs = message.sender_id in (None, known.submission.participant_id)
    of_study = message.study_id in (None, known.submission.study_id)
    # An id tells its time in whole seconds: within the same second who was first is not known.
    since = message.sent_at is None or message.sent_at >= asked_at.replace(microsecond=0)
    return is_theirs and of_study and since
