"""The table of guards: when each applies, and which of several is recorded."""

from datetime import timedelta
from typing import Any

import pytest

from service.domain.decision import DecisionStatus, Guard, Mode, Outcome
from service.review import guards
from service.review.guards import GUARDS, NEVER_EXPIRING, Case, guard
from service.review.limits import Usage
from service.rules import Limits
from service.rules.limits import RejectLimit, ReturnLimit, RewardLimit
from service.store.pauses import Scope
from tests.unit.review.cases import (
    NOW,
    PAUSE,
    STUDY,
    ago,
    asked,
    breaker,
    case,
    known,
    recorded,
    submission,
    unconfirmed,
)

APPROVE, REJECT, ASK, COMPLETE, HOLD = (
    Outcome.APPROVE,
    Outcome.REJECT,
    Outcome.REQUEST_RETURN,
    Outcome.COMPLETE,
    Outcome.HOLD,
)
ACTING = (APPROVE, REJECT, ASK, COMPLETE)
HELD_FOR = timedelta(hours=72)
EXPIRED: dict[str, Any] = {"held_since": ago(hours=73)}


def used_up() -> Usage:
    """Return a usage in which each limit of the study is reached."""
    limits = Limits(
        reject=RejectLimit(per_day=0),
        request_return=ReturnLimit(per_day=0),
        approve=RewardLimit(reward_per_day=0),
    )
    return Usage(limits)


def paused(study: bool = True) -> dict[str, Any]:
    return {"study": Scope(STUDY, pause=PAUSE)} if study else {"service": Scope(None, pause=PAUSE)}


# For each guard a case in which it is recorded.
ONE_OF_EACH: dict[Guard, Case] = {
    Guard.REOPENED: case(about=known(ended=True)),
    Guard.WAITING: case(guard=Guard.WAITING),
    Guard.UNDECIDABLE: case(guard=Guard.UNDECIDABLE),
    Guard.MESSAGE: case(guard=Guard.MESSAGE),
    Guard.NO_SUCH_CODE: case(COMPLETE, no_code="The study has no such code."),
    Guard.ALREADY_ASKED: case(about=known(asked=asked())),
    Guard.CONFLICTING_EVIDENCE: case(conflict="Source survey changed a value."),
    Guard.REPLIED: case(about=known(replied="The participant wrote a message.")),
    Guard.POLICY: case(policy="Too quick is no reason by itself."),
    Guard.MODE: case(mode=Mode.APPROVE_ONLY),
    Guard.PAUSED: case(about=known(**paused())),
    Guard.LIMIT_REJECT: case(usage=used_up()),
    Guard.LIMIT_REQUEST_RETURN: case(ASK, usage=used_up()),
    Guard.LIMIT_REWARD: case(APPROVE, usage=used_up()),
    Guard.HOLD_EXPIRED: case(HOLD, known(**EXPIRED), hold_at_most=HELD_FOR),
}


@pytest.mark.parametrize("name", Guard)
def test_each_guard_can_be_the_one_that_holds(name: Guard) -> None:
    found = guard(ONE_OF_EACH[name])
    assert found.guard is name
    assert found.action.outcome is (APPROVE if name is Guard.HOLD_EXPIRED else HOLD)
    assert found.reason
    assert (found.request is None) is (name is not Guard.HOLD_EXPIRED)


def test_guard_table_has_the_documented_order() -> None:
    """Certain reasons come before uncertain ones, reasons of the submission before those of the study."""
    assert [name.value for name, _ in GUARDS] == [
        "reopened",
        "waiting",
        "undecidable",
        "message",
        "no_such_code",
        "already_asked",
        "conflicting_evidence",
        "replied",
        "policy",
        "mode",
        "paused",
        "limit.reject",
        "limit.request_return",
        "limit.reward",
    ]
    assert {name for name, _ in GUARDS} | {Guard.HOLD_EXPIRED} == set(Guard)


# Each of these holds a rejection. Of several, the first of the table is recorded.
OBJECTIONS: tuple[tuple[Guard, dict[str, Any], dict[str, Any]], ...] = (
    (Guard.REOPENED, {"ended": True}, {}),
    (Guard.ALREADY_ASKED, {"asked": asked()}, {}),
    (Guard.CONFLICTING_EVIDENCE, {}, {"conflict": "Changed."}),
    (Guard.REPLIED, {"replied": "Wrote."}, {}),
    (Guard.POLICY, {}, {"policy": "Policy."}),
    (Guard.MODE, {}, {"mode": Mode.APPROVE_ONLY}),
    (Guard.PAUSED, dict(paused()), {}),
    (Guard.LIMIT_REJECT, {}, {"usage": used_up()}),
)


@pytest.mark.parametrize("first", range(len(OBJECTIONS)))
def test_first_guard_of_the_table_is_recorded(first: int) -> None:
    about = {name: value for _, fields, _ in OBJECTIONS[first:] for name, value in fields.items()}
    fields = {name: value for _, _, given in OBJECTIONS[first:] for name, value in given.items()}
    assert guard(case(REJECT, known(**about), **fields)).guard is OBJECTIONS[first][0]


def test_action_and_request_stay_if_no_guard_applies() -> None:
    for outcome in ACTING:
        found = guard(case(outcome))
        assert (found.action.outcome, found.guard, found.opens) == (outcome, None, None)
        assert found.request
    assert guard(case(HOLD)).request is None


@pytest.mark.parametrize("fields", [{"ever_final": True}, {"ended": True}, {"decided": True}])
def test_reopened_holds_what_was_ever_final_or_decided(fields: dict[str, Any]) -> None:
    for outcome in Outcome:
        assert guards.reopened(case(outcome, known(**fields)))
    assert guards.reopened(case()) is None


@pytest.mark.parametrize("name", [Guard.WAITING, Guard.UNDECIDABLE, Guard.MESSAGE])
def test_guards_of_the_rules_keep_the_reason_of_the_rules(name: Guard) -> None:
    assert guard(case(guard=name)).reason == f"Because of {name}."
    assert guards.by_rules(name)(case()) is None


def test_no_such_code_holds_with_its_reason() -> None:
    assert guards.no_such_code(case(COMPLETE, no_code="None of it.")) == "None of it."
    assert guards.no_such_code(case(COMPLETE)) is None


@pytest.mark.parametrize("sent", ACTING)
@pytest.mark.parametrize("wanted", Outcome)
def test_already_asked_holds_another_request_after_an_unconfirmed_one(sent: Outcome, wanted: Outcome) -> None:
    about = known(unconfirmed=unconfirmed(sent))
    may_follow = wanted in {sent, HOLD}
    assert (guards.already_asked(case(wanted, about)) is None) is may_follow


def test_already_asked_waits_ten_minutes_for_an_unconfirmed_request() -> None:
    before = case(APPROVE, known(unconfirmed=unconfirmed(REJECT, sent_at=ago(minutes=9, seconds=59))))
    assert guard(before).guard is Guard.ALREADY_ASKED
    after = case(APPROVE, known(unconfirmed=unconfirmed(REJECT, sent_at=ago(minutes=10))))
    assert guard(after).guard is None


@pytest.mark.parametrize(
    ("wanted", "since", "may_follow"),
    [
        (APPROVE, timedelta(hours=1), True),
        (HOLD, timedelta(hours=1), True),
        (REJECT, timedelta(days=6, hours=23), False),
        (REJECT, timedelta(days=7), True),
        (ASK, timedelta(days=30), False),
        (COMPLETE, timedelta(days=30), False),
    ],
)
def test_already_asked_holds_while_a_request_to_return_is_pending(
    wanted: Outcome, since: timedelta, may_follow: bool
) -> None:
    about = known(asked=asked(NOW - since))
    assert (guards.already_asked(case(wanted, about)) is None) is may_follow


def test_already_asked_counts_requests_of_other_people() -> None:
    shown = submission(return_requested_at=ago(days=1))
    assert guards.already_asked(case(ASK, known(shown)))
    assert guards.already_asked(case(REJECT, known(shown)))
    assert guards.already_asked(case(APPROVE, known(shown))) is None


def test_conflicting_evidence_and_policy_hold_with_their_reason() -> None:
    assert guards.conflicting_evidence(case(conflict="Changed.")) == "Changed."
    assert guards.policy(case(policy="Policy.")) == "Policy."
    assert guards.conflicting_evidence(case()) is None
    assert guards.policy(case()) is None


@pytest.mark.parametrize("wanted", Outcome)
def test_replied_holds_every_action(wanted: Outcome) -> None:
    assert (guards.replied(case(wanted, known(replied="Wrote."))) is None) is (wanted is HOLD)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("wanted", Outcome)
def test_mode_approve_only_holds_all_but_approvals(wanted: Outcome, mode: Mode) -> None:
    objects = mode is Mode.APPROVE_ONLY and wanted not in {APPROVE, HOLD}
    assert (guards.mode(case(wanted, mode=mode)) is not None) is objects


@pytest.mark.parametrize("of_study", [True, False])
@pytest.mark.parametrize("wanted", Outcome)
def test_paused_guard_blocks_every_request(wanted: Outcome, of_study: bool) -> None:
    about = known(**paused(of_study))
    assert (guards.paused(case(wanted, about)) is not None) is (wanted is not HOLD)
    assert guards.paused(case(wanted, about, mode=Mode.OBSERVE)) is None


def test_reached_limit_opens_its_breaker_once() -> None:
    reached = guard(case(REJECT, usage=used_up()))
    assert reached.opens is not None
    assert (reached.opens.guard, reached.opens.study) == (Guard.LIMIT_REJECT, STUDY)
    about = known(study=Scope(STUDY, breakers=(breaker(Guard.LIMIT_REJECT),)))
    held = guard(case(REJECT, about))
    assert (held.guard, held.opens) == (Guard.LIMIT_REJECT, None)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (REJECT, Guard.LIMIT_REJECT),
        (ASK, Guard.LIMIT_REQUEST_RETURN),
        (APPROVE, Guard.LIMIT_REWARD),
        (COMPLETE, Guard.LIMIT_REWARD),
    ],
)
def test_limit_holds_its_own_outcome_only(wanted: Outcome, name: Guard) -> None:
    for limit in (Guard.LIMIT_REJECT, Guard.LIMIT_REQUEST_RETURN, Guard.LIMIT_REWARD):
        assert (guards.limited(limit)(case(wanted, usage=used_up())) is not None) is (limit is name)
    assert guard(case(wanted, mode=Mode.OBSERVE, usage=used_up())).guard is None


def test_counted_decision_is_not_counted_again_but_an_open_breaker_holds_it() -> None:
    pending = known(newest=recorded(REJECT))
    assert guard(case(REJECT, pending, usage=used_up())).guard is None
    scope = Scope(STUDY, breakers=(breaker(Guard.LIMIT_REJECT),))
    assert guard(case(REJECT, known(newest=recorded(REJECT), study=scope))).guard is Guard.LIMIT_REJECT
    observed = known(newest=recorded(REJECT, DecisionStatus.OBSERVED, mode=Mode.OBSERVE))
    assert guard(case(REJECT, observed, usage=used_up())).guard is Guard.LIMIT_REJECT


# Expired holds


def test_hold_at_most_approves_an_unresolved_hold() -> None:
    before = guard(case(HOLD, known(held_since=ago(hours=71)), hold_at_most=HELD_FOR))
    assert (before.action.outcome, before.look_at) == (HOLD, ago(hours=71) + HELD_FOR)
    after = guard(case(HOLD, known(**EXPIRED), hold_at_most=HELD_FOR))
    assert (after.action.outcome, after.guard) == (APPROVE, Guard.HOLD_EXPIRED)
    assert after.request == {"endpoint": "transition", "body": {"action": "APPROVE"}}


@pytest.mark.parametrize("name", sorted(NEVER_EXPIRING))
def test_hold_at_most_never_approves_some_holds(name: Guard) -> None:
    one = ONE_OF_EACH[name]
    about = known(
        **{**EXPIRED, "ended": name is Guard.REOPENED, **(paused() if name is Guard.PAUSED else {})}
    )
    found = guard(case(one.verdict.proposed, about, guard=one.verdict.guard, hold_at_most=HELD_FOR))
    assert (found.action.outcome, found.guard) == (HOLD, name)


def test_approval_of_an_expired_hold_respects_pause_and_reward_limit() -> None:
    stopped = case(HOLD, known(**EXPIRED, **paused()), hold_at_most=HELD_FOR)
    assert guard(stopped).guard is Guard.PAUSED
    poor = case(HOLD, known(**EXPIRED), usage=used_up(), hold_at_most=HELD_FOR)
    assert (guard(poor).guard, guard(poor).action.outcome) == (Guard.LIMIT_REWARD, HOLD)


def test_pause_stops_the_time_of_a_hold() -> None:
    about = known(**EXPIRED, study=Scope(STUDY, resumed_at=ago(hours=1)))
    assert guard(case(HOLD, about, hold_at_most=HELD_FOR)).look_at == ago(hours=1) + HELD_FOR
