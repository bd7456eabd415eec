"""In any case, guards keep the proposal of the rules, hold it, or approve an expired hold."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.decision import DecisionStatus, Guard, Mode, Outcome
from service.review.guards import Case, guard
from service.review.limits import ServiceLimits, Usage
from service.rules import Limits
from service.rules.limits import RejectLimit, ReturnLimit, RewardLimit
from service.store.pauses import Scope
from tests.unit.review.cases import (
    NOW,
    PAUSE,
    STUDY,
    asked,
    breaker,
    case,
    known,
    recorded,
    submission,
    unconfirmed,
)

T = TypeVar("T")

NONE_AT_ALL = Limits(
    reject=RejectLimit(per_day=0),
    request_return=ReturnLimit(per_day=0),
    approve=RewardLimit(reward_per_day=0),
)
SENT = [outcome for outcome in Outcome if outcome is not Outcome.HOLD]


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


moments: st.SearchStrategy[datetime] = st.timedeltas(timedelta(days=-30), timedelta(days=1)).map(
    lambda past: NOW + past
)
texts = st.just("A reason.")
number = st.integers(0, 60)


def scopes(study: str | None) -> st.SearchStrategy[Scope]:
    limits = st.sampled_from([name for name in Guard if "limit" in name])
    return st.builds(
        Scope,
        st.just(study),
        pause=maybe(st.just(PAUSE)),
        breakers=st.lists(limits.map(breaker), max_size=1).map(tuple),
        resumed_at=maybe(moments),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any case."""
    outcome = draw(st.sampled_from(Outcome))
    decided = st.builds(recorded, st.sampled_from(Outcome), st.sampled_from(DecisionStatus))
    about = known(
        submission(return_requested_at=draw(maybe(moments))),
        replied=draw(maybe(texts)),
        ended=draw(st.integers(0, 9)) == 0,
        newest=draw(maybe(decided)),
        asked=draw(maybe(st.builds(asked, moments))),
        unconfirmed=draw(
            maybe(st.builds(lambda one, at: unconfirmed(one, sent_at=at), st.sampled_from(SENT), moments))
        ),
        held_since=draw(maybe(moments)),
        study=draw(scopes(STUDY)),
        service=draw(scopes(None)),
    )
    usage = Usage(
        limits=draw(st.sampled_from([Limits(), NONE_AT_ALL])),
        service_limits=ServiceLimits(draw(maybe(number)), draw(maybe(number)), draw(maybe(number))),
        outcomes=tuple(draw(st.lists(st.sampled_from(Outcome), max_size=49))),
        number=draw(number),
        number_in_all=draw(number),
        paid=Decimal(draw(number)),
        paid_in_all=Decimal(draw(number)),
    )
    by_rules = st.sampled_from([Guard.WAITING, Guard.UNDECIDABLE, Guard.MESSAGE])
    return case(
        outcome,
        about,
        guard=draw(maybe(by_rules)),
        mode=draw(st.sampled_from(Mode)),
        usage=usage,
        no_code=draw(maybe(texts)) if outcome is Outcome.COMPLETE else None,
        conflict=draw(maybe(texts)),
        policy=draw(maybe(texts)),
        hold_at_most=draw(maybe(st.timedeltas(timedelta(minutes=1), timedelta(days=21)))),
    )


@settings(max_examples=250, database=None, derandomize=True)
@given(cases())
def test_guards_keep_or_hold_every_proposal_or_expire_a_hold(one: Case) -> None:
    found = guard(one)
    outcome = found.action.outcome
    if found.guard is None:
        assert (outcome, found.request) == (one.action.outcome, one.request)
    elif found.guard is Guard.HOLD_EXPIRED:
        assert (outcome, one.mode is not Mode.OBSERVE) == (Outcome.APPROVE, True)
        assert one.hold_at_most
    else:
        assert (outcome, found.request) == (Outcome.HOLD, None)
    assert (found.request is None) is (outcome is Outcome.HOLD)
    assert found.opens is None or (found.guard is found.opens.guard and outcome is Outcome.HOLD)
    assert found.look_at is None or (found.look_at > one.known.now and outcome is Outcome.HOLD)
    assert found.reason
