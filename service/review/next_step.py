"""The next step for a fetched submission. Pure.

    fetched status and newest decision                          next step
    ----------------------------------------------------------  ------------------------------------------
    a request may have arrived, or a decision is pending,       Settle: already, or superseded
    and Prolific shows an outcome
    ... and Prolific is still processing                        LookAgain
    does not await review                                       Skip
    awaits review, a person decided, not sent or failed         Resend (failed: only on `retry`)
    awaits review, a person decided otherwise                   Skip: a person's decision is never overruled
    awaits review, failed, found by a sweep without news        Skip
    awaits review, no rule file claims its study                Skip, counted as unclaimed
    awaits review                                               Decide: evaluate the rules again

A recorded decision that was not sent is never sent unchecked: the rules are evaluated again, and its request is
sent only if they lead to the same decision. What happens to an earlier request:

    the earlier request          same decision again        another decision
    ---------------------------  -------------------------  ---------------------------------------------------
    was refused, or never sent   sent again                 decided again, the earlier decision is superseded
    may have arrived: approve,   sent again: repeating it   held (`already_asked`) and fetched every minute until
    reject, complete             is harmless                Prolific shows an outcome, ten minutes at most; then
                                                            decided again
    may have arrived: request    sent again unless          the same
    to return                    Prolific shows it
    any, by a person             sent again                 a person's decision does not depend on the rules

A manual decision supersedes a pending one at any time, even if its request may have arrived.
In observe mode and during a pause nothing is sent, and submissions whose request may have arrived are fetched as above.
After a Settle that leaves the submission awaiting review (a request to return) the next step is determined again.
"""

from dataclasses import dataclass

from service.domain.decision import DecisionStatus, Outcome, Trigger
from service.domain.submission import Status, Submission
from service.prolific.payloads import ReturnRequest
from service.store.decisions import Recorded
from service.store.history import History

REACHED = {
    Outcome.APPROVE: {Status.APPROVED},
    Outcome.REJECT: {Status.REJECTED},
    Outcome.REQUEST_RETURN: {Status.RETURNED},
    Outcome.COMPLETE: {Status.PARTIALLY_APPROVED, Status.SCREENED_OUT, Status.APPROVED},
    Outcome.HOLD: set[Status](),
}

# The final statuses of a decision that was sent. If its submission still awaits review, somebody reopened it.
ENDED = frozenset({DecisionStatus.APPLIED, DecisionStatus.ALREADY, DecisionStatus.SUPERSEDED})

# Submission statuses that don't show the result of a request: Prolific may still be processing it.
UNSETTLED = frozenset({Status.PROCESSING, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Settle:
    """Settle these decisions by what Prolific shows, oldest first."""

    decisions: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Resend:
    """Send a manual decision. It does not depend on the rules."""

    decision: Recorded


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Prolific is processing a request: fetch the submission again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave the submission unchanged. ``event`` is the reason's log event."""

    event: str
    ends_timer: bool = False
    is_unclaimed: bool = False


@dataclass(frozen=True, slots=True)
class Decide:
    """Evaluate the rules."""


NextStep = Settle | Resend | LookAgain | Skip | Decide


def next_step(
    submission: Submission, history: History, *, is_claimed: bool, again: bool, only_looks: bool
) -> NextStep:
    """Return the next step for a submission.

    ``again`` is True for the `retry` command, ``only_looks`` for a sweep without news.
    """
    newest, awaits = history.newest, submission.status is Status.AWAITING_REVIEW
    if decisions := _open_decisions(history, again=again):
        # A new decision now might contradict the request that Prolific is processing.
        if history.unconfirmed and submission.status in UNSETTLED:
            return LookAgain(f"The request is not confirmed, and the status is {submission.status}.")
        if not awaits or has_reached(decisions[0], submission):
            return Settle(decisions)
    if not awaits:
        return Skip("review.nothing_to_decide", ends_timer=True)
    if newest and newest.decision.trigger is Trigger.PERSON and newest.status not in ENDED:
        is_open = newest.status is DecisionStatus.PENDING or (again and has_failed(newest))
        return Resend(newest) if is_open else Skip("review.decided_by_a_person")
    # A failed decision stays failed until `retry`, or until new events or evidence arrive.
    if newest and has_failed(newest) and only_looks:
        return Skip("review.still_failed")
    return Decide() if is_claimed else Skip("review.unclaimed", is_unclaimed=True)


def _open_decisions(history: History, *, again: bool) -> tuple[Recorded, ...]:
    """Return the decisions whose result is unknown: one that may have arrived, and the newest if it is pending."""
    found, newest = [history.unconfirmed.decision] if history.unconfirmed else [], history.newest
    # A hold sends nothing, so that nothing of it can be open.
    if newest is None or newest.decision.action is None or newest.id in {one.id for one in found}:
        return tuple(found)
    is_open = newest.status is DecisionStatus.PENDING or (again and has_failed(newest))
    return (*found, newest) if is_open else tuple(found)


def has_failed(recorded: Recorded) -> bool:
    return recorded.status is DecisionStatus.FAILED and recorded.decision.action is not None


def has_reached(recorded: Recorded, submission: Submission | ReturnRequest) -> bool:
    """Return True if the submission has the status that the decision wanted."""
    outcome = recorded.decision.outcome
    if outcome is Outcome.REQUEST_RETURN and submission.return_requested_at is not None:
        return True
    return submission.status in REACHED[outcome]
