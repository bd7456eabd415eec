"""What holds an outcome back although the rules propose it: guards look at the world, rules at facts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.domain.decision import Action, Guard, Hold, Mode, Outcome, Verdict
from service.domain.submission import Study, Submission
from service.prolific.errors import NoSuchCode
from service.prolific.sending import action_request

ANSWER_TIME = timedelta(days=7)  # how long a participant has to answer a request to return


@dataclass(frozen=True, slots=True)
class Situation:
    """What guards know beside the facts: the past of the submission, and what may be applied."""

    submission: Submission
    study: Study | None
    mode: Mode
    decided_before: bool
    asked_at: datetime | None  # when the participant was asked to return it
    answer_until: datetime | None  # by when to answer
    replied: str | None  # why the participant counts as having answered the request to return
    policy: str | None  # why Prolific's policy keeps this rejection from being sent by itself
    now: datetime


@dataclass(frozen=True, slots=True)
class Guarded:
    """An action that stands, and the request for it; a Hold where a guard stepped in."""

    action: Action
    guard: Guard | None
    reason: str
    request: dict[str, Any] | None = None


def guarded(verdict: Verdict, situation: Situation) -> Guarded:
    """The verdict after all guards but the limits, which need a lock; the first that objects names itself."""
    if situation.decided_before:
        return held(Guard.REOPENED, "It was decided or given up before; a person should look at it again.")
    if verdict.guard is not None:
        return Guarded(verdict.action, verdict.guard, verdict.reason)
    try:
        request = action_request(verdict.action, situation.study)
    except NoSuchCode as error:
        return held(Guard.NO_SUCH_CODE, str(error))
    if objection := _objection(verdict.proposed, situation):
        return held(*objection)
    return Guarded(verdict.action, None, verdict.reason, dict(request) if request else None)


def held(guard: Guard, reason: str) -> Guarded:
    return Guarded(Hold(reason), guard, reason)


def _objection(proposed: Outcome, situation: Situation) -> tuple[Guard, str] | None:
    """Why what could be sent is not to be sent now, or not by itself."""
    if reason := _already_asked(proposed, situation):
        return Guard.ALREADY_ASKED, reason
    if situation.replied is not None and proposed is not Outcome.HOLD:
        return Guard.REPLIED, situation.replied
    if situation.policy is not None:
        return Guard.POLICY, situation.policy
    if situation.mode is Mode.APPROVE_ONLY and proposed not in {Outcome.APPROVE, Outcome.HOLD}:
        return Guard.MODE, f"The mode is approve-only, and the rules say {proposed}."
    return None


def _already_asked(proposed: Outcome, situation: Situation) -> str | None:
    """While a request to return is pending only approve or hold may follow; reject once its time is over."""
    asked_at, until = situation.asked_at, situation.answer_until
    if asked_at is None or until is None or proposed in {Outcome.APPROVE, Outcome.HOLD}:
        return None
    if proposed is Outcome.REJECT and situation.now >= until:
        return None
    return f"The participant was asked to return it on {asked_at:%Y-%m-%d}, and has not answered."
