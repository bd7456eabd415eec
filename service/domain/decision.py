"""Decisions on submissions: outcomes, triggers, guards, actions."""

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
    """Which decisions are applied, least first."""

    OBSERVE = "observe"
    APPROVE_ONLY = "approve-only"
    LIVE = "live"

    def at_most(self, other: "Mode | None") -> "Mode":
        """Return the lesser of the two modes. None sets no limit."""
        order = list(Mode)
        return self if other is None else min(self, other, key=order.index)


class Trigger(StrEnum):
    """What started the review of a submission."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"
    EVIDENCE = "evidence"
    RECHECK = "recheck"
    RULES = "rules"
    PERSON = "person"


class Guard(StrEnum):
    """Why an outcome was changed to *hold*."""

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
    """The status of a decision at Prolific."""

    PENDING = "pending"
    APPLIED = "applied"
    ALREADY = "already"
    OBSERVED = "observed"
    HELD = "held"
    SUPERSEDED = "superseded"
    FAILED = "failed"


MESSAGE_LENGTH = 100  # characters; Prolific requires at least so many for a rejection

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
    """``category`` is one of Prolific's twelve. ``message`` goes to the participant, 100 characters or more."""

    category: str
    message: str
    outcome = Outcome.REJECT


@dataclass(frozen=True, slots=True)
class RequestReturn:
    reasons: tuple[str, ...]
    outcome = Outcome.REQUEST_RETURN


@dataclass(frozen=True, slots=True)
class Complete:
    """Complete with the study's researcher code, given by its type or by the code itself.

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
    """Actions beside an outcome, once it is applied: ids of participant groups, a text to the participant."""

    add_to_group: str | None = None
    remove_from_group: str | None = None
    message: str | None = None


class ActionRequest(TypedDict):
    """The request to Prolific: ``endpoint`` is the last part of the submission's path, ``body`` the JSON."""

    endpoint: Literal["transition", "request-return"]
    body: dict[str, Any]


class AlsoRequest(TypedDict):
    """A request beside a transition. ``group`` is the participant group's id, null for a message."""

    endpoint: Literal["add-to-group", "remove-from-group", "message"]
    group: str | None
    body: dict[str, Any]


# Nested JSON: ``{"submission": {...}, "study": {...}, "evidence": {source: {...}}, "now": ...}``.
# A missing fact is an absent key. Times are ISO 8601 texts with an offset.
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of the rules on some facts: a pure function of (rule file, facts).

    ``proposed`` is the rules' outcome. ``action`` is the outcome after the rules' own guards (``undecidable``,
    ``waiting``, ``message``), a Hold if ``guard`` is set. ``rule`` is the deciding rule, also under a guard, None for
    ``otherwise``.
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
    """A row of the audit trail before it is stored. ``also`` is stored beside it, and sent after it is applied."""

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
        """Return the status before any attempt."""
        if self.mode is Mode.OBSERVE and self.trigger is not Trigger.PERSON:
            return DecisionStatus.OBSERVED
        return DecisionStatus.HELD if self.outcome is Outcome.HOLD else DecisionStatus.PENDING
