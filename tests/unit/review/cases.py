"""Builders for pure tests of a review: a submission, its history, what is known of it, and a case for guards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.domain.decision import (
    Action,
    Approve,
    Complete,
    Decision,
    DecisionStatus,
    Guard,
    Hold,
    Mode,
    Outcome,
    Reject,
    RequestReturn,
    Trigger,
    Verdict,
)
from service.domain.submission import CompletionCode, Status, Study, Submission
from service.prolific.sending import action_request
from service.review.guards import Case
from service.review.known import Known
from service.review.limits import Usage
from service.store.decisions import Recorded
from service.store.history import History, ReturnAsked, Unconfirmed, Version
from service.store.pauses import Breaker, Pause, Scope
from tests.world import MESSAGE

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STUDY, SUBMISSION, PARTICIPANT = "study-1", "submission-1", "participant-1"
ACTIONS: dict[Outcome, Action] = {
    Outcome.APPROVE: Approve(),
    Outcome.REJECT: Reject("OTHER", MESSAGE),
    Outcome.REQUEST_RETURN: RequestReturn(("Please return it.",)),
    Outcome.COMPLETE: Complete(code="PARTLY", percentage_of_reward=50),
    Outcome.HOLD: Hold("Look at it."),
}
PAUSE = Pause(STUDY, NOW, "Ada", "Something is odd.")


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def submission(status: Status = Status.AWAITING_REVIEW, **fields: Any) -> Submission:
    chosen = {"completed_at": ago(hours=1), **fields}
    return Submission(SUBMISSION, STUDY, PARTICIPANT, status, **chosen)


def study(reward: int | None = 150) -> Study:
    codes = (CompletionCode("PARTLY", "PARTIAL_PAYMENT", "researcher", ("DYNAMIC_PAYMENT",)),)
    return Study(STUDY, "A study", "ACTIVE", 10.0, 60.0, reward, 100, None, codes)


def recorded(
    outcome: Outcome,
    status: DecisionStatus = DecisionStatus.PENDING,
    *,
    number: int = 1,
    trigger: Trigger = Trigger.WEBHOOK,
    **fields: Any,
) -> Recorded:
    """Return a stored decision of the submission."""
    chosen: dict[str, Any] = {
        "submission_id": SUBMISSION,
        "study_id": STUDY,
        "participant_id": PARTICIPANT,
        "decided_at": ago(minutes=5),
        "trigger": trigger,
        "outcome": outcome,
        "proposed": outcome,
        "guard": None,
        "rule": "a rule",
        "rule_file": "rules.yaml",
        "rules_hash": "0",
        "mode": Mode.LIVE,
        "action": action_request(ACTIONS[outcome], study()),
        "reason": "A reason.",
        "by": "Ada" if trigger is Trigger.PERSON else None,
    }
    return Recorded(number, Decision(**chosen | fields), status)


def unconfirmed(outcome: Outcome, *, sent_at: datetime | None = None, number: int = 1) -> Unconfirmed:
    """Return a request that may have arrived, by default a minute ago."""
    return Unconfirmed(recorded(outcome, number=number), sent_at or ago(minutes=1))


def asked(sent_at: datetime | None = None, *, time: timedelta = timedelta(days=7)) -> ReturnAsked:
    """Return a request to return by this service, by default an hour ago, with the time to answer it."""
    at = sent_at or ago(hours=1)
    return ReturnAsked(at, at, at + time)


def version(received_at: datetime, source: str = "survey", **payload: Any) -> Version:
    return Version(source, received_at, payload)


def breaker(guard: Guard) -> Breaker:
    return Breaker(1, STUDY, guard, ago(hours=1), "Too many.", 1)


def history(**fields: Any) -> History:
    """Return the history of a new submission, with these fields."""
    chosen: dict[str, Any] = {
        "now": NOW,
        "first_seen_at": NOW,
        "ever_final": False,
        "ended": False,
        "decided": False,
        "evidence": (),
        "conflicts": 0,
        "unread": (),
        "fetches": (),
        "newest": None,
        "asked": None,
        "unconfirmed": None,
        "held_since": None,
        "study": Scope(STUDY),
        "service": Scope(None),
        "has_timer": False,
        "lease_held": True,
        "records": 0,
    }
    return History(**chosen | fields)


def known(one: Submission | None = None, *, replied: str | None = None, **fields: Any) -> Known:
    found = history(**fields)
    return Known(one or submission(), study(), {}, found, found.now, replied)


def verdict(outcome: Outcome, guard: Guard | None = None) -> Verdict:
    """Return a verdict of the rules. With a guard it is a hold."""
    action = ACTIONS[Outcome.HOLD] if guard else ACTIONS[outcome]
    return Verdict(outcome, action, "a rule", guard, f"Because of {guard or outcome}.", ())


def case(
    outcome: Outcome = Outcome.REJECT,
    about: Known | None = None,
    *,
    guard: Guard | None = None,
    mode: Mode = Mode.LIVE,
    usage: Usage | None = None,
    **fields: Any,
) -> Case:
    """Return a case to which no guard applies, with these changes."""
    said = verdict(outcome, guard)
    found = Case(about or known(), said, mode, usage or Usage(), said.action)
    return replace(found, request=action_request(said.action, study()), **fields)
