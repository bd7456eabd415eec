"""The next step of a review, as a table from status and history of the fetched submission."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from service.domain.decision import DecisionStatus, Mode, Outcome, Trigger
from service.domain.submission import FINAL, Status, Submission
from service.review.next_step import (
    Decide,
    LookAgain,
    NextStep,
    Resend,
    Settle,
    Skip,
    has_reached,
    next_step,
)
from service.store.decisions import Recorded
from tests.unit.review.cases import NOW, ago, history, recorded, submission, unconfirmed

PENDING, APPLIED, ALREADY, OBSERVED, HELD, SUPERSEDED, FAILED = DecisionStatus
AWAITING = Status.AWAITING_REVIEW
APPROVE, REJECT, ASK, HOLD = Outcome.APPROVE, Outcome.REJECT, Outcome.REQUEST_RETURN, Outcome.HOLD
PERSON: dict[str, Any] = {"trigger": Trigger.PERSON}


@dataclass(frozen=True)
class Row:
    """One case: status and history of the submission, and the expected kind of step."""

    what: str
    expected: type[NextStep]
    status: Status = AWAITING
    history: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    is_claimed: bool = True
    again: bool = False
    only_looks: bool = False

    @property
    def submission(self) -> Submission:
        return submission(self.status, **self.fields)

    def step(self) -> NextStep:
        return next_step(
            self.submission,
            history(**self.history),
            is_claimed=self.is_claimed,
            again=self.again,
            only_looks=self.only_looks,
        )


def by_person(outcome: Outcome, status: DecisionStatus) -> dict[str, Any]:
    return {"newest": recorded(outcome, status, **PERSON)}


def by_rules(outcome: Outcome, status: DecisionStatus) -> dict[str, Any]:
    return {"newest": recorded(outcome, status)}


SHOWN: dict[str, Any] = {"return_requested_at": NOW}
SENT = {"unconfirmed": unconfirmed(REJECT), "newest": recorded(REJECT)}
TAKEN_BACK = {"unconfirmed": unconfirmed(REJECT), "newest": recorded(HOLD, HELD, number=2)}

TABLE = (
    # Nothing was decided
    Row("a first review", Decide),
    Row("a first look of a sweep", Decide, only_looks=True),
    Row("no rule file claims it", Skip, is_claimed=False),
    *(Row(f"nothing was decided, {one}", Skip, status=one) for one in Status if one is not AWAITING),
    # The rules decided, and no request is open: they are evaluated again
    Row("held", Decide, history=by_rules(HOLD, HELD)),
    Row("observed", Decide, history={"newest": recorded(REJECT, OBSERVED, mode=Mode.OBSERVE)}),
    Row("applied, and it awaits review", Decide, history=by_rules(APPROVE, APPLIED)),
    Row("superseded, and it awaits review", Decide, history=by_rules(APPROVE, SUPERSEDED)),
    Row("asked to return it", Decide, history=by_rules(ASK, APPLIED), fields=SHOWN),
    # A pending decision of the rules is never sent without evaluating them again
    Row("pending, never sent", Decide, history=by_rules(REJECT, PENDING)),
    Row("pending, and no file claims it now", Skip, history=by_rules(REJECT, PENDING), is_claimed=False),
    Row("pending, overtaken", Settle, status=Status.APPROVED, history=by_rules(REJECT, PENDING)),
    Row("pending, reached", Settle, status=Status.REJECTED, history=by_rules(REJECT, PENDING)),
    Row("pending, asked by another", Settle, history=by_rules(ASK, PENDING), fields=SHOWN),
    # A request that may have arrived
    Row("may have arrived, not shown", Decide, history=SENT),
    Row("may have arrived, shown", Settle, status=Status.REJECTED, history=SENT),
    Row("may have arrived, another was faster", Settle, status=Status.APPROVED, history=SENT),
    Row("may have arrived, processing", LookAgain, status=Status.PROCESSING, history=SENT),
    Row("may have arrived, unknown status", LookAgain, status=Status.UNKNOWN, history=SENT),
    Row("may have arrived, held since, not shown", Decide, history=TAKEN_BACK),
    Row("may have arrived, held since, shown", Settle, status=Status.REJECTED, history=TAKEN_BACK),
    Row("may have arrived, held since, processing", LookAgain, status=Status.PROCESSING, history=TAKEN_BACK),
    Row(
        "asked and not confirmed, shown",
        Settle,
        history={"unconfirmed": unconfirmed(ASK), "newest": recorded(ASK)},
        fields=SHOWN,
    ),
    Row(
        "asked and not confirmed, not shown",
        Decide,
        history={"unconfirmed": unconfirmed(ASK), "newest": recorded(ASK)},
    ),
    Row(
        "sent long ago, shown now",
        Settle,
        status=Status.REJECTED,
        history={**TAKEN_BACK, "unconfirmed": unconfirmed(REJECT, sent_at=ago(days=2))},
    ),
    # A failed decision of the rules
    Row("failed, a sweep looks", Skip, history=by_rules(REJECT, FAILED), only_looks=True),
    Row("failed, something is new", Decide, history=by_rules(REJECT, FAILED)),
    Row("failed, retry", Decide, history=by_rules(REJECT, FAILED), again=True),
    Row("failed, overtaken", Skip, status=Status.APPROVED, history=by_rules(REJECT, FAILED)),
    Row("failed, overtaken, retry", Settle, Status.APPROVED, by_rules(REJECT, FAILED), again=True),
    Row("could not be fetched", Decide, history={"newest": recorded(HOLD, FAILED, action=None)}),
    # A person decided
    Row("a person's, not sent", Resend, history=by_person(APPROVE, PENDING)),
    Row("a person's, not sent, no file", Resend, history=by_person(APPROVE, PENDING), is_claimed=False),
    Row("a person's, overtaken", Settle, Status.RETURNED, by_person(APPROVE, PENDING)),
    Row(
        "a person's after one that may have arrived",
        Resend,
        history={"unconfirmed": unconfirmed(REJECT), "newest": recorded(APPROVE, number=2, **PERSON)},
    ),
    Row("a person's hold", Skip, history=by_person(HOLD, HELD)),
    Row("a person's that failed", Skip, history=by_person(APPROVE, FAILED)),
    Row("a person's that failed, retry", Resend, history=by_person(APPROVE, FAILED), again=True),
    Row("a person's, applied and reopened", Decide, history=by_person(APPROVE, APPLIED)),
    Row("a person asked to return it", Decide, history=by_person(ASK, ALREADY), fields=SHOWN),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_next_step_is_that_of_the_table(row: Row) -> None:
    assert isinstance(row.step(), row.expected)


def test_settle_has_the_unconfirmed_before_the_newest_decision() -> None:
    found = Row(
        "",
        Settle,
        status=Status.REJECTED,
        history={"unconfirmed": unconfirmed(REJECT), "newest": recorded(APPROVE, number=2)},
    ).step()
    assert isinstance(found, Settle)
    assert [one.id for one in found.decisions] == [1, 2]


def test_settle_has_a_newest_and_unconfirmed_decision_once() -> None:
    found = Row("", Settle, status=Status.REJECTED, history=SENT).step()
    assert isinstance(found, Settle)
    assert [one.id for one in found.decisions] == [1]


def test_manual_decision_is_sent_unchanged() -> None:
    found = Row("", Resend, history=by_person(APPROVE, PENDING)).step()
    assert found == Resend(recorded(APPROVE, **PERSON))


@pytest.mark.parametrize("status", [one for one in Status if one is not AWAITING])
def test_submission_not_awaiting_review_needs_no_timer(status: Status) -> None:
    found = Row("", Skip, status=status).step()
    assert isinstance(found, Skip)
    assert (found.ends_timer, found.is_unclaimed) == (True, False)


def test_submission_counts_as_unclaimed_only_if_it_awaits_review() -> None:
    found = Row("", Skip, is_claimed=False).step()
    assert isinstance(found, Skip)
    assert (found.ends_timer, found.is_unclaimed) == (False, True)


@pytest.mark.parametrize("status", DecisionStatus)
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("again", [True, False])
def test_decision_of_the_rules_is_judged_again_before_it_is_sent(
    outcome: Outcome, status: DecisionStatus, again: bool
) -> None:
    for sent in (None, unconfirmed(REJECT), unconfirmed(APPROVE)):
        for shown in Status:
            newest = {"newest": recorded(outcome, status, number=2), "unconfirmed": sent}
            step = Row("", Decide, status=shown, history=newest, again=again).step()
            assert not isinstance(step, Resend)


@pytest.mark.parametrize(
    "status", [one for one in DecisionStatus if one not in {APPLIED, ALREADY, SUPERSEDED}]
)
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("again", [True, False])
def test_manual_decision_is_never_judged_by_the_rules(
    outcome: Outcome, status: DecisionStatus, again: bool
) -> None:
    for only_looks in (True, False):
        step = Row("", Skip, history=by_person(outcome, status), again=again, only_looks=only_looks).step()
        assert not isinstance(step, Decide)


@pytest.mark.parametrize("outcome", Outcome)
def test_has_reached_compares_status_and_wanted_outcome(outcome: Outcome) -> None:
    wanted: dict[Outcome, set[Status]] = {
        APPROVE: {Status.APPROVED},
        REJECT: {Status.REJECTED},
        ASK: {Status.RETURNED},
        Outcome.COMPLETE: {Status.PARTIALLY_APPROVED, Status.SCREENED_OUT, Status.APPROVED},
        HOLD: set(),
    }
    one: Recorded = recorded(outcome)
    assert {status for status in Status if has_reached(one, submission(status))} == wanted[outcome]
    assert has_reached(one, submission(**SHOWN)) is (outcome is ASK)
    assert wanted[outcome] <= FINAL
