"""The sweep and the study lists read Prolific's list with every defect seen in live use."""

from typing import Any

import pytest

from service.domain.submission import Status
from service.sandbox.quirks import Quirks
from service.sandbox.studies import STROOP
from service.store.statistics import times_of_study
from service.sweep.sweeper import Sweeper
from tests.conftest import Start
from tests.integration.sandbox.live_quirks import SURVIVED
from tests.world import World

WAITING, APPROVED = 30, 10


def crowd(world: World) -> None:
    for number in range(WAITING + APPROVED):
        submission = world.completed(seconds=600 + number)
        if number < APPROVED:
            submission.status = Status.APPROVED


async def listed_times(world: World) -> int | None:
    """Read the study's list as a review does; return how many times it gives, None if they are unknown."""
    reviewer = world.service.reviewer
    assert reviewer
    await reviewer.decider.gatherer.studies.get(STROOP, reviewer.prolific)
    await reviewer.decider.gatherer.lists.refresh(STROOP, reviewer.prolific)
    async with world.service.database.connect() as connection:
        times = await times_of_study(connection, STROOP, without="")
    return times.count if times else None


def sweeper(world: World) -> Sweeper:
    reviewer = world.service.reviewer
    assert reviewer
    return Sweeper(reviewer.prolific, reviewer.database, reviewer.decider.rules)


@pytest.mark.parametrize("quirks", SURVIVED, ids=lambda one: "+".join(one) or "none")
async def test_a_whole_list_is_read_through_each_quirk(quirks: dict[str, Any], start: Start) -> None:
    async with start(mode="observe") as world:
        crowd(world)
        world.sandbox.quirks = Quirks(**quirks)
        assert await listed_times(world) == WAITING + APPROVED
        world.sandbox.quirks = Quirks(**quirks)
        swept = await sweeper(world).sweep()
        assert (swept.listed, swept.found, swept.problems) == (WAITING, {"webhook_missed": WAITING}, [])


async def test_a_list_that_stays_short_gives_no_statistics_and_is_a_problem_of_the_sweep(
    start: Start,
) -> None:
    async with start(mode="observe") as world:
        crowd(world)
        world.sandbox.quirks = Quirks(short_pages=1000)
        assert await listed_times(world) is None
        swept = await sweeper(world).sweep()
        assert (swept.listed, swept.found) == (WAITING - 1, {"webhook_missed": WAITING - 1})
        assert swept.problems == [
            f"study {STROOP}: Prolific's list is incomplete: {WAITING - 1} of {WAITING} submissions could be read"
        ]
