"""Clocks that disagree never cost a participant: Prolific's, the database's and the service's own."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.decision import ANSWER_TIME, Outcome
from service.domain.submission import Status
from service.review.known import CLOCK_MARGIN, SETTLED_AFTER
from service.store.history import ReturnAsked
from tests.conftest import Start
from tests.integration.review.limiting import Ahead
from tests.integration.review.test_replies import Asked, is_held_for_a_reply, rules
from tests.integration.review.test_worker_clock import put_clock
from tests.unit.review.cases import NOW, ago, asked, known, submission, unconfirmed, version

OFFSETS = [30, -600]  # seconds, within and beyond CLOCK_MARGIN; the pure tests below try any
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


async def off_by(start: Start, url: str, seconds: int, whose: str) -> tuple[Start, Ahead]:
    """A service whose own clock is off, or whose database's is (then it decides by that)."""
    if whose == "database":
        await put_clock(url, f"{seconds} seconds")
    return start, Ahead(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "whose"), [(30, "service"), (-600, "service"), (-30, "database"), (600, "database")]
)
async def test_reply_just_after_the_request_counts_for_any_clock_offset(
    start: Start, database_url: str, seconds: int, whose: str
) -> None:
    start, clock = await off_by(start, database_url, seconds, whose)
    async with start(rules(), clock=clock) as world:
        wrote, silent = world.completed(code="N0THANKS"), world.completed(code="N0THANKS")
        for submission in (wrote, silent):
            assert (await world.reviewed(submission))["outcome"] == "request_return"
        answered, unanswered = Asked(world, wrote, clock), Asked(world, silent, clock)
        answered.writes(at=answered.requested + timedelta(seconds=3))
        assert is_held_for_a_reply(await answered.after(days=8))
        assert wrote.status is Status.AWAITING_REVIEW
        assert (await unanswered.after())["outcome"] == "reject", "silence is acted on all the same"


@pytest.mark.parametrize("seconds", OFFSETS)
async def test_a_participant_has_the_whole_time_to_answer(
    start: Start, database_url: str, seconds: int
) -> None:
    start, clock = await off_by(start, database_url, seconds, "database")
    async with start(rules(), clock=clock) as world:
        submission = world.completed(code="N0THANKS")
        assert (await world.reviewed(submission))["outcome"] == "request_return"
        decision = await Asked(world, submission, clock).after(days=6, hours=23, minutes=55)
        assert (decision["outcome"], decision["guard"]) == ("hold", "already_asked")


# Pure


def answer_until(shown: datetime | None, one: ReturnAsked | None) -> datetime | None:
    return known(submission(return_requested_at=shown), asked=one).answer_until


def replies_since(shown: datetime | None, one: ReturnAsked | None) -> datetime | None:
    return known(submission(return_requested_at=shown), asked=one).replies_since


def test_the_time_to_answer_is_that_of_the_decision_from_when_it_was_sent() -> None:
    sent = ago(hours=1)
    assert answer_until(None, None) is None
    assert answer_until(None, asked(sent, time=3 * DAY)) == sent + 3 * DAY
    assert answer_until(sent + SECOND, asked(sent, time=3 * DAY)) == sent + 3 * DAY
    assert answer_until(None, ReturnAsked(sent, ago(hours=2), None)) == sent + ANSWER_TIME
    decided_before = ReturnAsked(sent, ago(hours=5), ago(hours=5) + 3 * DAY)
    assert answer_until(None, decided_before) == sent + 3 * DAY


def test_the_time_to_answer_another_request_is_longer_by_the_margin() -> None:
    shown = ago(hours=1)
    assert answer_until(shown, None) == shown + ANSWER_TIME + CLOCK_MARGIN
    assert answer_until(shown, asked(ago(days=2), time=3 * DAY)) == shown + 3 * DAY + CLOCK_MARGIN


def test_a_request_is_another_only_if_it_is_later_by_more_than_the_margin() -> None:
    sent = ago(days=1)
    same, another = sent + CLOCK_MARGIN, sent + CLOCK_MARGIN + SECOND
    assert answer_until(same, asked(sent)) == sent + ANSWER_TIME
    assert answer_until(another, asked(sent)) == another + ANSWER_TIME + CLOCK_MARGIN
    assert replies_since(same, asked(sent)) == same
    assert replies_since(another, asked(sent)) == sent - CLOCK_MARGIN


def test_replies_count_from_prolifics_time_or_a_margin_before_ours() -> None:
    sent = ago(days=1)
    assert replies_since(None, None) is None
    assert replies_since(sent + SECOND, None) == sent + SECOND
    assert replies_since(sent - SECOND, asked(sent)) == sent - SECOND
    assert replies_since(None, asked(sent)) == sent - CLOCK_MARGIN


offsets = st.timedeltas(-DAY, DAY)
near = st.timedeltas(-CLOCK_MARGIN, CLOCK_MARGIN)


@given(offsets, st.timedeltas(timedelta(0), 30 * DAY))
def test_no_reply_is_missed_where_prolific_shows_the_request(off: timedelta, later: timedelta) -> None:
    """However far the database's clock is off."""
    requested = ago(days=1)
    since = replies_since(requested, asked(requested + off))
    assert since
    assert requested + later >= since


@given(near, st.timedeltas(timedelta(0), 30 * DAY))
def test_no_reply_is_missed_within_the_margin_where_prolific_does_not(
    off: timedelta, later: timedelta
) -> None:
    requested = ago(days=1)
    since = replies_since(None, asked(requested + off))
    assert since
    assert requested + later >= since


@given(offsets, st.booleans(), st.timedeltas(timedelta(hours=1), 30 * DAY))
def test_the_time_to_answer_is_never_shorter_by_the_databases_clock(
    off: timedelta, is_shown: bool, time: timedelta
) -> None:
    requested = ago(days=1)
    until = answer_until(requested if is_shown else None, asked(requested + off, time=time))
    assert until
    assert until >= requested + off + time


@given(near, st.timedeltas(timedelta(0), DAY))
def test_evidence_received_after_completion_is_compared_within_the_margin(
    off: timedelta, later: timedelta
) -> None:
    completed = ago(days=2)
    received = version(completed + later + off)
    found = known(submission(completed_at=completed), evidence=(received,))
    assert found.versions("survey") == [received]


def test_versions_are_those_of_the_source_after_completion_newest_first() -> None:
    completed = ago(hours=1)
    newest, older = version(NOW), version(completed - CLOCK_MARGIN)
    before, other = version(completed - CLOCK_MARGIN - SECOND), version(NOW, "lab")
    about = submission(completed_at=completed)
    found = known(about, evidence=(newest, other, older, before))
    assert found.versions("survey") == [newest, older]
    assert found.versions("lab") == [other]
    unfinished = known(submission(completed_at=None), evidence=(newest, older, before))
    assert unfinished.versions("survey") == [newest, older, before]


def test_a_request_is_unconfirmed_for_ten_minutes_by_the_databases_clock() -> None:
    assert known(unconfirmed=unconfirmed(Outcome.REJECT, sent_at=NOW - SETTLED_AFTER + SECOND)).unconfirmed
    assert known(unconfirmed=unconfirmed(Outcome.REJECT, sent_at=NOW - SETTLED_AFTER)).unconfirmed is None
