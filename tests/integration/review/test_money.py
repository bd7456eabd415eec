"""The limit on what approvals and completions pay in 24 hours."""

import pytest

from service.domain.decision import Guard, Outcome
from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.review.limiting import (
    Ahead,
    decide,
    each,
    newest,
    of_both_studies,
    open_breakers,
    outcome,
    pause_rows,
    pause_study,
    race,
    resume_study,
)
from tests.world import rules_text

R, A, C, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.COMPLETE, Outcome.REQUEST_RETURN, Outcome.HOLD
REWARD = 180  # of the sandbox's first study, in minor units


def at_most(reward: int) -> str:
    return f"limits: {{approve: {{reward_per_day: {reward}}}}}"


def in_parts(reward: int, percentage: str = "50") -> str:
    """The second study, of which 375 is paid: what is half done in part, a wrong code as a screen-out."""
    return rules_text(
        f"""
  - name: half done
    when: submission.code_type == "HALF_DONE"
    complete: {{code_type: PARTIAL_PAYMENT, percentage_of_reward: {percentage}}}
  - name: screened out
    when: submission.code_type == "UNKNOWN"
    complete: {{code_type: SCREENED_OUT_PAYMENT}}
""",
        more=at_most(reward),
    ).replace(STROOP, TWO_PARTS)


async def test_what_would_pay_more_than_the_limit_is_held(start: Start) -> None:
    async with start(each(at_most(3 * REWARD))) as world:
        submissions = [world.completed() for _ in range(5)]
        decided = [await decide(world, one) for one in submissions]
        assert [one.decision.outcome for one in decided] == [A, A, A, H, H]
        assert {one.decision.guard for one in decided[3:]} == {Guard.LIMIT_REWARD}
        assert [one.status for one in submissions[3:]] == [Status.AWAITING_REVIEW] * 2
        assert decided[3].decision.reason == (
            "540 minor units in 24 hours are the limit for this study: 540 were paid, this is 180."
        )
        assert await open_breakers(world) == [(STROOP, "limit.reward")]
        assert [await outcome(world, wanted) for wanted in (R, Q)] == [R, Q], "these pay nothing"


async def test_large_amounts_are_printed_exactly(start: Start) -> None:
    async with start(each(at_most(2_000_000))) as world:
        world.sandbox.studies[STROOP].body["reward"] = 1_234_567
        assert await outcome(world, A) is A
        recorded = await decide(world, world.completed())
        assert recorded.decision.outcome is H
        assert "1234567 were paid, this is 1234567." in recorded.decision.reason


async def test_the_money_of_more_than_24_hours_ago_does_not_count(start: Start) -> None:
    clock = Ahead()
    async with start(each(at_most(2 * REWARD)), clock=clock) as world:
        assert await outcome(world, A) is A
        clock.pass_(hours=13)
        assert await outcome(world, A) is A
        clock.pass_(hours=12)
        assert await outcome(world, A) is A
        assert await outcome(world, A) is H


async def test_parts_count_by_their_percentage(start: Start) -> None:
    """375 and twice half of it are 750."""
    async with start(in_parts(750)) as world:
        codes = ("B0THPART", "0NEPART1", "0NEPART1", "0NEPART1")
        decided = [await decide(world, world.completed(study=TWO_PARTS, code=code)) for code in codes]
        assert [one.decision.outcome for one in decided] == [A, C, C, H]


async def test_a_penny_less_and_the_part_is_held(start: Start) -> None:
    async with start(in_parts(749)) as world:
        codes = ("B0THPART", "0NEPART1", "0NEPART1")
        decided = [await decide(world, world.completed(study=TWO_PARTS, code=code)) for code in codes]
        assert [one.decision.outcome for one in decided] == [A, C, H]
        assert "562.5 were paid, this is 187.5" in decided[2].decision.reason


async def test_fractions_of_a_penny_add_up_exactly(start: Start) -> None:
    """Ten times 8.8 per cent of 375 are 330, and not a hair more."""
    async with start(in_parts(330, "8.8")) as world:
        decided = [await decide(world, world.completed(study=TWO_PARTS, code="0NEPART1")) for _ in range(11)]
        assert [one.decision.outcome for one in decided] == [C] * 10 + [H]


async def test_a_completion_without_a_percentage_counts_as_a_whole(start: Start) -> None:
    """The study does not show the reward of a screen-out: it is below the whole reward."""
    async with start(in_parts(2 * 375)) as world:
        decided = [await decide(world, world.completed(study=TWO_PARTS, code="WHAT")) for _ in range(3)]
        assert [one.decision.outcome for one in decided] == [C, C, H]


async def test_where_the_reward_is_not_known_it_is_held(start: Start) -> None:
    async with start(each(at_most(100_000))) as world:
        world.sandbox.studies[STROOP].body["reward"] = None
        recorded = await decide(world, world.completed())
        assert (recorded.decision.outcome, recorded.decision.guard) == (H, Guard.LIMIT_REWARD)
        assert "is not known" in recorded.decision.reason


async def test_all_studies_together_pay_no_more_than_the_services_limit(start: Start) -> None:
    async with start(of_both_studies(each()), limit_reward_per_day=180 + 375) as world:
        assert await outcome(world, A) is A
        second = world.completed(study=TWO_PARTS, code="B0THPART")
        assert (await decide(world, second)).decision.outcome is A
        recorded = await decide(world, world.completed())
        assert (recorded.decision.outcome, recorded.decision.guard) == (H, Guard.LIMIT_REWARD)
        assert "for all studies: 555 were paid" in recorded.decision.reason
        assert await open_breakers(world) == [(None, "limit.reward")]


async def test_eight_replicas_together_pay_no_more_than_the_limit(start: Start, database_url: str) -> None:
    async with start(each(at_most(7 * REWARD + REWARD - 1))) as world:
        submissions = [world.completed() for _ in range(40)]
        decided = await race(world, submissions)
        assert [one.decision.outcome for one in decided] == [A] * 7 + [H] * 33
        assert sum(one.status is Status.APPROVED for one in submissions) == 7
    assert pause_rows(database_url) == [(STROOP, "open", "limit.reward")]


async def test_eight_replicas_pay_no_more_than_the_limit_over_all_studies(
    start: Start, database_url: str
) -> None:
    """Whatever the order of 180 and 375, the sum stays within."""
    async with start(of_both_studies(each()), limit_reward_per_day=2000) as world:
        submissions = [
            world.completed() if number % 2 else world.completed(study=TWO_PARTS, code="B0THPART")
            for number in range(40)
        ]
        decided = await race(world, submissions)
        paid = sum(
            180 if one.study_id == STROOP else 375 for one in submissions if one.status is Status.APPROVED
        )
        assert 2000 - 375 < paid <= 2000
        first = next(place for place, one in enumerate(decided) if one.decision.outcome is H)
        assert {one.decision.outcome for one in decided[first:]} == {H}, "all of its kind, from the first on"
    assert pause_rows(database_url) == [(None, "open", "limit.reward")]


async def test_closing_it_lets_as_much_again_be_paid(start: Start) -> None:
    async with start(each(at_most(2 * REWARD))) as world:
        submissions = [world.completed() for _ in range(6)]
        for one in submissions:
            await decide(world, one)
        for approved in (4, 6):
            await resume_study(world)
            assert sum(one.status is Status.APPROVED for one in submissions) == approved
        assert await open_breakers(world) == []


async def test_closing_another_limits_breaker_lets_no_more_be_paid(start: Start) -> None:
    async with start(each(at_most(2 * REWARD))) as world:
        assert [await outcome(world, wanted) for wanted in (A, A, R, R, R, R)] == [A, A, R, R, R, H]
        await resume_study(world)
        assert await outcome(world, A) is H


async def test_a_pause_that_ends_lets_no_more_be_paid(start: Start) -> None:
    async with start(each(at_most(2 * REWARD))) as world:
        assert [await outcome(world, A) for _ in range(2)] == [A, A]
        await pause_study(world)
        await resume_study(world)
        assert await outcome(world, A) is H


@pytest.mark.parametrize("kind", [R, Q])
async def test_no_money_is_needed_for_what_pays_nothing(start: Start, kind: Outcome) -> None:
    async with start(each(at_most(0))) as world:
        assert await outcome(world, kind) is kind


async def test_an_approval_that_was_refused_at_first_counts_once(start: Start) -> None:
    async with start(each(at_most(REWARD))) as world:
        world.prolific.add(Fault("transition", 400))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("approve", "applied")
        assert [one["outcome"] for one in await newest(world, [submission])] == ["approve"]
        assert await open_breakers(world) == []
