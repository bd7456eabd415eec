"""The limit on rejections: on by default, exact, also when many are reviewed at once."""

import asyncio
from math import floor

from service.sandbox.studies import TWO_PARTS
from tests.conftest import Start
from tests.world import rules_text

REJECT_ALL = """
  - name: everybody
    when: "true"
    reject:
      category: OTHER
      message: >-
        We write this sentence because a rejection has to carry one hundred characters of evidence and of
        advice for the person who reads it.
"""
REJECT_WITHOUT_CODE = REJECT_ALL.replace('"true"', 'submission.code_type == "NONE"')


def allowed(number: int, share: float = 0.1) -> int:
    return max(3, floor(share * number))


async def test_rules_that_reject_everybody_reject_three_and_hold_the_rest(start: Start) -> None:
    async with start(rules_text(REJECT_ALL, otherwise="hold")) as world:
        submissions = [world.completed() for _ in range(12)]
        for submission in submissions:
            await world.reviewed(submission)
        decisions = [(await world.decisions(one.id))[0] for one in submissions]
        assert [decision["outcome"] for decision in decisions] == ["reject"] * 3 + ["hold"] * 9
        assert {decision["guard"] for decision in decisions[3:]} == {"limit.reject"}
        assert {decision["proposed"] for decision in decisions} == {"reject"}


async def test_the_limit_is_exact_with_many_reviews_at_once(start: Start) -> None:
    async with start(rules_text(REJECT_ALL, otherwise="hold"), prolific_concurrency=8) as world:
        submissions = [world.completed() for _ in range(40)]
        await asyncio.gather(*(world.tell(one.id) for one in submissions))
        await world.at_rest()
        outcomes = [(await world.decisions(one.id))[0]["outcome"] for one in submissions]
        # Forty decisions allow four, but only once so many are on record: the fourth may be the fortieth.
        assert outcomes.count("reject") in {3, 4}
        assert outcomes.count("hold") == 40 - outcomes.count("reject")


async def test_a_share_of_the_last_decisions_may_be_rejections(start: Start) -> None:
    rules = rules_text(REJECT_WITHOUT_CODE, more="limits: {reject: {share: 50%, of_last: 10, per_day: 100}}")
    async with start(rules) as world:
        kinds = [None, None, None, None, "C0L0UR12", "C0L0UR12", "C0L0UR12", None, None, None]
        expected, recorded = [], list[str]()
        for code in kinds:
            window = recorded[-9:]
            if code is None and window.count("reject") + 1 > max(3, floor(0.5 * (len(window) + 1))):
                recorded.append("hold")
            else:
                recorded.append("approve" if code else "reject")
            expected.append(recorded[-1])
        found = [(await world.reviewed(world.completed(code=code)))["outcome"] for code in kinds]
        assert found == expected
        assert "hold" in found


async def test_so_many_in_a_day_and_no_more(start: Start) -> None:
    rules = rules_text(REJECT_ALL, more="limits: {reject: {share: 100%, of_last: 50, per_day: 2}}")
    async with start(rules) as world:
        outcomes = [(await world.reviewed(world.completed()))["outcome"] for _ in range(4)]
        assert outcomes == ["reject", "reject", "hold", "hold"]


async def test_each_study_has_its_own_window(start: Start) -> None:
    both = rules_text(REJECT_ALL).replace(
        "60aca280709ee40ec37d4885", f"60aca280709ee40ec37d4885, {TWO_PARTS}"
    )
    async with start(both) as world:
        for study in ("60aca280709ee40ec37d4885", TWO_PARTS):
            outcomes = [(await world.reviewed(world.completed(study=study)))["outcome"] for _ in range(4)]
            assert outcomes == ["reject", "reject", "reject", "hold"]


async def test_observed_rejections_do_not_count(start: Start) -> None:
    async with start(rules_text(REJECT_ALL), mode="observe") as world:
        outcomes = [(await world.reviewed(world.completed()))["outcome"] for _ in range(6)]
        assert outcomes == ["reject"] * 6
