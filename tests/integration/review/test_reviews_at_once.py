"""Two reviews of one submission at once, without the jobs that keep them apart, lead to one decision and request."""

import asyncio

import pytest

from service.domain.decision import Outcome, Trigger
from service.review.job import ReviewJob
from service.review.review import Reviewer
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.store.decisions import Recorded
from tests.conftest import Start
from tests.integration.review.limiting import CODES, decide, each, outcome, reviewers
from tests.world import World, until

R, A, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.REQUEST_RETURN, Outcome.HOLD


async def decided_during_a_fetch(world: World, slow: Reviewer, submission: SimSubmission) -> Recorded:
    """Have the submission reviewed from begin to end while the slow reviewer has fetched it and not yet decided."""
    await decide(world, world.completed())  # the world's own reviewer now has the study
    fetches = world.prolific.seen.count("submission")
    # The slow reviewer has the submission as it was, and waits for the study.
    world.prolific.add(Fault("study", latency=0.5))
    reviewing = asyncio.create_task(slow.review(ReviewJob(submission.id, Trigger.SWEEP)))

    async def is_fetched() -> bool:
        return world.prolific.seen.count("submission") > fetches and world.prolific.seen[-1] == "study"

    await until(is_fetched, "the submission to be fetched")
    decided = await decide(world, submission)
    await reviewing
    return decided


@pytest.mark.parametrize("wanted", [A, R, Q, H])
async def test_review_starts_over_when_another_one_decided_during_its_fetch(
    start: Start, wanted: Outcome
) -> None:
    async with start(each()) as world, reviewers(world, 1) as [slow]:
        submission = world.completed(code=CODES[wanted])
        decided = await decided_during_a_fetch(world, slow, submission)
        found = [(one["id"], one["outcome"]) for one in await world.decisions(submission.id)]
        assert found == [(decided.id, wanted)]
        assert len(world.calls(submission.id)) == (wanted is not H)


async def test_rejection_reached_by_two_reviews_at_once_counts_for_the_limit(start: Start) -> None:
    async with start(each()) as world, reviewers(world, 1) as [slow]:
        await decided_during_a_fetch(world, slow, world.completed(code=CODES[R]))
        assert [await outcome(world, R) for _ in range(3)] == [R, R, H]
