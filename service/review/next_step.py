"""What a review does with a submission that was fetched. Pure.

    fetched status and newest decision                          next step
    ----------------------------------------------------------  ------------------------------------------
    a request may have arrived, and Prolific shows              Settle: already, or superseded
    an outcome; or a pending decision is overtaken by one
    ... and Prolific is still processing                        LookAgain
    awaits no review                                            Skip
    awaits review, a person decided, not sent or failed         Resend (failed: only on `retry`)
    awaits review, a person decided otherwise                   Skip: a person's decision is never overruled
    awaits review, failed, and nothing new but a sweep          Skip
    awaits review, no rule file claims its study                Skip, counted as unclaimed
    awaits review                                               Decide: ask the rules, whatever was decided before

A decision that was recorded and not sent is never sent as it is: the rules are asked again, and only if they come
to the same is its request sent. What its request did before, and whether it may be repeated:

    the earlier request          the rules say the same     the rules say otherwise
    ---------------------------  -------------------------  ---------------------------------------------------
    was refused, or never left   sent again                 decided again, the earlier decision is superseded
    may have arrived: approve,   sent again: repeating it   held (`already_asked`) and fetched every minute until
    reject, complete             does no harm               Prolific shows an outcome, ten minutes at most; then
                                                            decided again
    may have arrived: request    sent again unless          the same
    to return                    Prolific shows it
    any, by a person             sent again                 a person's decision does not depend on the rules

A person may decide at any time: their decision supersedes what is pending, whether it may have arrived or not.
Nothing is sent while the rules only observe or a pause is on, and what may have arrived is fetched as above.
After a Settle that leaves the submission awaiting review (it was asked to be returned) the next step is asked again.
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

# Ways in which a decision that was sent can end; if its submission still awaits review, somebody reopened it.
ENDED = frozenset({DecisionStatus.APPLIED, DecisionStatus.ALREADY, DecisionStatus.SUPERSEDED})

# Statuses that don't show what became of a request: Prolific may still be at it.
UNSETTLED = frozenset({Status.PROCESSING, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Settle:
    """Prolific shows what became of these decisions, the oldest first."""

    decisions: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Resend:
    """Send a person's decision, whatever the rules say."""

    decision: Recorded


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Prolific is processing a request: fetch the submission again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave the submission as it is. ``event`` is the name that the log gives to the reason."""

    event: str
    ends_timer: bool = False
    is_unclaimed: bool = False


@dataclass(frozen=True, slots=True)
class Decide:
    """Ask the rules."""


NextStep = Settle | Resend | LookAgain | Skip | Decide


def next_step(
    submission: Submission, history: History, *, is_claimed: bool, again: bool, only_looks: bool
) -> NextStep:
    """Return what to do with a submission.

    ``again`` is a person's `retry` of what failed, ``only_looks`` a sweep that found nothing new.
    """
    newest, awaits = history.newest, submission.status is Status.AWAITING_REVIEW
    if decisions := _open_decisions(history, again=again):
        if history.unconfirmed and submission.status in UNSETTLED:
            return LookAgain(f"What was sent is not confirmed, and the status is {submission.status}.")
        if not awaits or has_reached(decisions[0], submission):
            return Settle(decisions)
    if not awaits:
        return Skip("review.nothing_to_decide", ends_timer=True)
    if newest and newest.decision.trigger is Trigger.PERSON and newest.status not in ENDED:
        is_open = newest.status is DecisionStatus.PENDING or (again and has_failed(newest))
        return Resend(newest) if is_open else Skip("review.decided_by_a_person")
    if newest and has_failed(newest) and only_looks:
        return Skip("review.still_failed")
    return Decide() if is_claimed else Skip("review.unclaimed", is_unclaimed=True)


def _open_decisions(history: History, *, again: bool) -> tuple[Recorded, ...]:
    """The decisions whose outcome is not known yet: one that may have arrived, and the newest if it is pending."""
    found, newest = [history.unconfirmed.decision] if history.unconfirmed else [], history.newest
    is_open = (
        newest is not None
        and newest.decision.action is not None
        and (newest.status is DecisionStatus.PENDING or (again and has_failed(newest)))
    )
    if newest and is_open and newest.id not in {one.id for one in found}:
        found.append(newest)
    return tuple(found)


def has_failed(recorded: Recorded) -> bool:
    return recorded.status is DecisionStatus.FAILED and recorded.decision.action is not None


def has_reached(recorded: Recorded, submission: Submission | ReturnRequest) -> bool:
    """Whether the submission is where the decision wanted it."""
    outcome = recorded.decision.outcome
    if outcome is Outcome.REQUEST_RETURN and submission.return_requested_at is not None:
        return True
    return submission.status in REACHED[outcome]
