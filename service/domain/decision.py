"""What can be decided of a submission, by whom, and what may hold it back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, TypedDict

ANSWER_TIME = timedelta(days=7)  # how long a participant has to answer a request to return


class Outcome(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_RETURN = "request_return"
    COMPLETE = "complete"
    HOLD = "hold"


class Mode(StrEnum):
    """How much of what is decided is applied, least first."""

    OBSERVE = "observe"
    APPROVE_ONLY = "approve-only"
    LIVE = "live"

    def at_most(self, other: "Mode | None") -> "Mode":
        """The lesser of the two; an absent one sets no bound."""
        order = list(Mode)
        return self if other is None else min(self, other, key=order.index)


class Trigger(StrEnum):
    """What made the service look at a submission."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"
    EVIDENCE = "evidence"
    RECHECK = "recheck"
    RULES = "rules"
    PERSON = "person"


class Guard(StrEnum):
    """Why an outcome became *hold*."""

    MODE = "mode"
    PAUSED = "paused"
    LIMIT_REJECT = "limit.reject"
    LIMIT_REQUEST_RETURN = "limit.request_return"
    LIMIT_REWARD = "limit.reward"
    REOPENED = "reopened"
    ALREADY_ASKED = "already_asked"
    WAITING = "waiting"
    UNDECIDABLE = "undecidable"
    MESSAGE = "message"
    NO_SUCH_CODE = "no_such_code"
    POLICY = "policy"
    REPLIED = "replied"
    CONFLICTING_EVIDENCE = "conflicting_evidence"
    HOLD_EXPIRED = "hold_expired"


class DecisionStatus(StrEnum):
    """How far a decision has come on Prolific's side."""

    PENDING = "pending"
    APPLIED = "applied"
    ALREADY = "already"
    OBSERVED = "observed"
    HELD = "held"
    SUPERSEDED = "superseded"
    FAILED = "failed"


MESSAGE_LENGTH = 100  # Prolific's least for a rejection, in characters (reference 2.5)

REJECTION_CATEGORIES = (
    "TOO_QUICKLY",
    "TOO_SLOWLY",
    "FAILED_INSTRUCTIONS",
    "INCOMP_LONGITUDINAL",
    "FAILED_CHECK",
    "LOW_EFFORT",
    "MALINGERING",
    "NO_CODE",
    "BAD_CODE",
    "NO_DATA",
    "UNSUPP_DEVICE",
    "OTHER",
)


@dataclass(frozen=True, slots=True)
class Approve:
    outcome = Outcome.APPROVE


@dataclass(frozen=True, slots=True)
class Reject:
    """``category`` is one of Prolific's twelve; ``message`` reaches the participant, 100 characters or more."""

    category: str
    message: str
    outcome = Outcome.REJECT


@dataclass(frozen=True, slots=True)
class RequestReturn:
    reasons: tuple[str, ...]
    outcome = Outcome.REQUEST_RETURN


@dataclass(frozen=True, slots=True)
class Complete:
    """Complete with the study's researcher code: named by its type, or the code itself.

    ``percentage_of_reward`` (8 to 99) is for codes with dynamic payment.
    """

    code_type: str | None = None
    code: str | None = None
    percentage_of_reward: float | None = None
    message_to_participant: str | None = None
    outcome = Outcome.COMPLETE


@dataclass(frozen=True, slots=True)
class Hold:
    reason: str
    outcome = Outcome.HOLD


Action = Approve | Reject | RequestReturn | Complete | Hold


@dataclass(frozen=True, slots=True)
class AlsoActions:
    """What is done beside an outcome, once it is applied: ids of participant groups, a text to the participant."""

    add_to_group: str | None = None
    remove_from_group: str | None = None
    message: str | None = None


class ActionRequest(TypedDict):
    """What Prolific is sent: ``endpoint`` is the last part of the submission's path; ``body`` the JSON posted to it."""

    endpoint: Literal["transition", "request-return"]
    body: dict[str, Any]


class AlsoRequest(TypedDict):
    """What Prolific is sent beside a transition; ``group`` is the participant group's id, null for a message."""

    endpoint: Literal["add-to-group", "remove-from-group", "message"]
    group: str | None
    body: dict[str, Any]


Facts = dict[str, Any]
"""Nested JSON: ``{"submission": {...}, "study": {...}, "evidence": {source: {...}}, "now": ...}``.

A missing fact is an absent key; times are ISO 8601 texts with an offset.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of some facts: a pure function of (rule file, facts).

    ``proposed`` is the rules' own outcome; ``action`` is what stands after the rules' own guards
    (``undecidable``, ``waiting``, ``message``), a Hold when ``guard`` is set. ``rule`` is the deciding
    rule's name, also under a guard; None for ``otherwise``.
    """

    proposed: Outcome
    action: Action
    rule: str | None
    guard: Guard | None
    reason: str
    trace: tuple[dict[str, Any], ...]
    tag: str | None = None
    recheck_after: timedelta | None = None
    also: AlsoActions | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the audit trail, before it is written; ``also`` is kept beside it, and sent after it is applied."""

    submission_id: str
    study_id: str | None
    participant_id: str | None
    decided_at: datetime
    trigger: Trigger
    outcome: Outcome
    proposed: Outcome
    guard: Guard | None
    rule: str | None
    rule_file: str | None
    rules_hash: str | None
    mode: Mode
    action: ActionRequest | None
    reason: str
    tag: str | None = None
    by: str | None = None
    note: str | None = None
    trace: tuple[dict[str, Any], ...] = ()
    facts: Facts = field(default_factory=dict)
    recheck_at: datetime | None = None
    also: tuple[AlsoRequest, ...] = ()

    @property
    def first_status(self) -> DecisionStatus:
        """The status before any attempt."""
        if self.mode is Mode.OBSERVE and self.trigger is not Trigger.PERSON:
            return DecisionStatus.OBSERVED
        return DecisionStatus.HELD if self.outcome is Outcome.HOLD else DecisionStatus.PENDING
