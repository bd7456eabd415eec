"""Guards: why a proposed outcome becomes *hold*. One table, in the order in which they are checked.

Rules look at facts. Guards look at the circumstances: earlier requests, the mode, pauses, limits. The first guard
that objects is named in the decision. At the end, a hold that was not resolved within `hold_at_most` becomes an
approval, which pauses and limits may hold again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.domain.decision import (
    Action,
    ActionRequest,
    Approve,
    Guard,
    Hold,
    Mode,
    Outcome,
    Trigger,
    Verdict,
)
from service.prolific.sending import action_request
from service.review.known import Known
from service.review.limits import Excess, Usage, excess, pays
from service.store.decisions import Recorded

UNCONFIRMED_DELAY = timedelta(minutes=1)  # between fetches while a request is not confirmed


@dataclass(frozen=True, slots=True)
class Case:
    """What guards check.

    ``request`` is the request to Prolific, ``no_code`` why there is none. ``conflict`` names evidence that changed
    to the participant's disadvantage, ``policy`` the reason why Prolific's policy requires a person.
    """

    known: Known
    verdict: Verdict
    mode: Mode
    usage: Usage | None  # None: no limit can apply
    action: Action
    request: ActionRequest | None = None
    no_code: str | None = None
    conflict: str | None = None
    policy: str | None = None
    hold_at_most: timedelta | None = None

    @property
    def outcome(self) -> Outcome:
        return self.action.outcome

    @property
    def acts(self) -> bool:
        """Return True if a request would be sent."""
        return self.outcome is not Outcome.HOLD and self.mode is not Mode.OBSERVE

    @property
    def excess(self) -> Excess | None:
        if self.usage is None or not self.acts:
            return None
        history, study = self.known.history, self.known.study
        paid = pays(self.outcome, self.request, study.reward if study else None)
        counted = _counts_already(history.newest, self.outcome)
        return excess(self.outcome, paid, self.usage, history.study, history.service, already_counted=counted)


def _counts_already(newest: Recorded | None, outcome: Outcome) -> bool:
    """Return True if the submission's newest decision already counts as one of this outcome."""
    last = newest.decision if newest else None
    # Only what the rules decided and was sent counts towards limits.
    if last is None or last.trigger is Trigger.PERSON or last.mode is Mode.OBSERVE:
        return False
    return last.outcome is outcome


@dataclass(frozen=True, slots=True)
class Guarded:
    """The action that stands, with its request, or a Hold if a guard objected.

    ``look_at`` is when the passing of time may change a hold, ``opens`` the limit whose breaker is to open.
    """

    action: Action
    guard: Guard | None
    reason: str
    request: ActionRequest | None = None
    look_at: datetime | None = None
    opens: Excess | None = None


def reopened(case: Case) -> str | None:
    """It awaits review although it was decided before: somebody reopened it at Prolific."""
    if not case.known.was_decided:
        return None
    return "It was decided or given up before; a person should look at it again."


def by_rules(guard: Guard) -> Callable[[Case], str | None]:
    """The rules could not decide."""

    def check(case: Case) -> str | None:
        return case.verdict.reason if case.verdict.guard is guard else None

    return check


def no_such_code(case: Case) -> str | None:
    """A *complete* needs a completion code of the study that only a researcher may use."""
    return case.no_code


def already_asked(case: Case) -> str | None:
    """An earlier request is still open, to the participant or to Prolific.

    While a request to return is pending, only approve or hold may follow, and reject after the time to answer. A
    request that may have arrived may only be repeated until Prolific has had time to show its result.
    """
    if case.outcome is Outcome.HOLD:
        return None
    return _unconfirmed(case) or _return_pending(case)


def _unconfirmed(case: Case) -> str | None:
    sent = case.known.unconfirmed
    if sent is None or case.outcome is sent.decision.decision.outcome:
        return None
    return (
        f"Decision {sent.decision.id} ({sent.decision.decision.outcome}) may have reached Prolific, and the "
        f"rules now say {case.outcome}. Held until Prolific shows the result."
    )


def _return_pending(case: Case) -> str | None:
    until = case.known.answer_until
    # An approval ends the request in the participant's favour.
    if until is None or case.outcome is Outcome.APPROVE:
        return None
    if case.outcome is Outcome.REJECT and case.known.now >= until:
        return None
    asked, shown = case.known.history.asked, case.known.submission.return_requested_at
    at = asked.sent_at if asked else shown
    return f"The participant was asked to return it on {at:%Y-%m-%d}, and has not answered."


def conflicting_evidence(case: Case) -> str | None:
    """A source changed a value after completion, and the outcome got worse."""
    return case.conflict


def replied(case: Case) -> str | None:
    """The participant replied to the request to return: a person reads the reply."""
    return case.known.replied if case.outcome is not Outcome.HOLD else None


def policy(case: Case) -> str | None:
    """Prolific's policy forbids this rejection without a person's judgement."""
    return case.policy


def mode(case: Case) -> str | None:
    """In approve-only mode every outcome but an approval is held."""
    if case.mode is not Mode.APPROVE_ONLY or case.outcome in {Outcome.APPROVE, Outcome.HOLD}:
        return None
    return f"The mode is approve-only, and the rules say {case.outcome}."


def paused(case: Case) -> str | None:
    """A person paused the study or the service."""
    pause = case.known.history.service.pause or case.known.history.study.pause
    if pause is None or not case.acts:
        return None
    return f"{'This study' if pause.study else 'The service'} is paused by {pause.by}: {pause.reason}"


def limited(guard: Guard) -> Callable[[Case], str | None]:
    """A limit is reached, or its breaker is open."""

    def check(case: Case) -> str | None:
        found = case.excess
        return found.reason if found and found.guard is guard else None

    return check


# Return why the outcome is held, None if the guard does not object.
Check = Callable[[Case], str | None]

GUARDS: tuple[tuple[Guard, Check], ...] = (
    (Guard.REOPENED, reopened),
    (Guard.WAITING, by_rules(Guard.WAITING)),
    (Guard.UNDECIDABLE, by_rules(Guard.UNDECIDABLE)),
    (Guard.MESSAGE, by_rules(Guard.MESSAGE)),
    (Guard.NO_SUCH_CODE, no_such_code),
    (Guard.ALREADY_ASKED, already_asked),
    (Guard.CONFLICTING_EVIDENCE, conflicting_evidence),
    (Guard.REPLIED, replied),
    (Guard.POLICY, policy),
    (Guard.MODE, mode),
    (Guard.PAUSED, paused),
    (Guard.LIMIT_REJECT, limited(Guard.LIMIT_REJECT)),
    (Guard.LIMIT_REQUEST_RETURN, limited(Guard.LIMIT_REQUEST_RETURN)),
    (Guard.LIMIT_REWARD, limited(Guard.LIMIT_REWARD)),
)

# The guards that may hold an approval by `hold_at_most`.
AFTER_EXPIRY = tuple(row for row in GUARDS if row[0] in {Guard.PAUSED, Guard.LIMIT_REWARD})

# Holds that `hold_at_most` never ends: evidence is awaited, nothing is sent during a pause, or a colleague reopened it.
NEVER_EXPIRING = frozenset({Guard.WAITING, Guard.PAUSED, Guard.REOPENED})


def guard(case: Case) -> Guarded:
    """Return the verdict's action, or the hold of the first guard that objects."""
    found = _first(GUARDS, case)
    if not _is_for_a_person(found, case):
        return found
    assert case.hold_at_most
    ends = _hold_began(case) + case.hold_at_most
    if ends > case.known.now:
        return replace(found, look_at=ends)
    return _expired(found, case)


def _first(table: tuple[tuple[Guard, Check], ...], case: Case) -> Guarded:
    for name, check in table:
        if reason := check(case):
            over = case.excess
            return _held(name, reason, opens=over if over and over.guard is name and over.is_new else None)
    return Guarded(case.action, None, case.verdict.reason, case.request)


def _held(guard: Guard, reason: str, *, opens: Excess | None = None) -> Guarded:
    return Guarded(Hold(reason), guard, reason, opens=opens)


def _is_for_a_person(found: Guarded, case: Case) -> bool:
    # In observe mode no person is expected to resolve anything.
    is_hold = found.action.outcome is Outcome.HOLD and case.mode is not Mode.OBSERVE
    return is_hold and case.hold_at_most is not None and found.guard not in NEVER_EXPIRING


def _hold_began(case: Case) -> datetime:
    """Return since when people could resolve the hold: a pause stops the clock."""
    history = case.known.history
    resumed = [at for at in (history.study.resumed_at, history.service.resumed_at) if at]
    return max([history.held_since or case.known.now, *resumed])


def _expired(found: Guarded, case: Case) -> Guarded:
    """Return the approval of a hold that was not resolved in time."""
    assert case.hold_at_most
    hours = case.hold_at_most / timedelta(hours=1)
    reason = (
        f"Approved, because the hold was not resolved within {hours:g} hours. It was held: {found.reason}"
    )
    approval = replace(case, action=Approve(), request=action_request(Approve(), None))
    held = _first(AFTER_EXPIRY, approval)
    if held.guard is not None:
        return held
    return Guarded(Approve(), Guard.HOLD_EXPIRED, reason, approval.request)
