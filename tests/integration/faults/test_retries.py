"""The retry policy for one submission: refused, not awaiting review yet, reviewed too often, an internal error."""

import json
from pathlib import Path

import pytest

from service.domain.submission import Status
from service.ops.gauges import Gauges
from service.sandbox.faults import Fault
from service.sandbox.model import By
from tests.conftest import Start
from tests.integration.faults.failing import ASK_OR_REJECT, failed, retry
from tests.integration.faults.stored import SOON, jobs, next_try, query, waits_until
from tests.jobs import make_due
from tests.world import World, rules_text, until

OF_A_REFUSAL = [2, 8, 30, 120, 300, 300]  # seconds between its seven tries


async def test_forbidden_request_fails_alone_after_seven_tries(start: Start, database_url: str) -> None:
    async with start(
        rules_text(ASK_OR_REJECT.replace("evidence.survey.attention_failed >= 2", "false"))
    ) as world:
        world.prolific.add(Fault("request-return", status=403, count=None))
        forbidden = world.completed(code=None)
        await world.tell(forbidden.id)
        await next_try(database_url, forbidden.id)
        assert (await world.reviewed(world.completed()))["status"] == "applied", "the token is good"
        waits = await waits_until(database_url, forbidden.id, lambda: failed(world, forbidden.id))
        assert waits == pytest.approx(OF_A_REFUSAL, abs=1.5)
        (decision,) = await world.decisions(forbidden.id)
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [403] * 7
        assert (await world.http.get("/readyz")).status_code == 200


async def test_request_that_is_not_found_is_never_tried_again(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async with start() as world:
        for endpoint in ("transition", "submission"):
            with subtests.test(endpoint):
                world.prolific.add(Fault(endpoint, status=404))
                submission = world.completed()
                assert (await world.reviewed(submission))["status"] == "failed"
                assert await jobs(database_url) == []
                assert world.calls(submission.id) == []


async def test_refusal_while_it_awaits_review_is_tried_seven_times_over_ten_minutes(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async with start() as world:
        for status in (400, 402, 409, 422):
            with subtests.test(str(status)):
                await refused_seven_times(world, database_url, status)


async def refused_seven_times(world: World, database_url: str, status: int) -> None:
    before = world.prolific.seen.count("submission")
    world.prolific.clear()
    world.prolific.add(Fault("transition", status=status, count=None))
    submission = world.completed()
    await world.tell(submission.id)
    waits = await waits_until(database_url, submission.id, lambda: failed(world, submission.id))
    assert waits == pytest.approx(OF_A_REFUSAL, abs=1.5)
    (decision,) = await world.decisions(submission.id)
    assert [attempt["status_code"] for attempt in decision["attempts"]] == [status] * 7
    fetched = world.prolific.seen.count("submission") - before
    assert fetched == 14, "fetched before each and after each"


@pytest.mark.parametrize("poor", [True, False], ids=["no money", "no rejections left"])
async def test_lack_of_money_or_rejections_fails_the_decision_and_retry_sends_it(
    start: Start, database_url: str, tmp_path: Path, poor: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start(rules_text(ASK_OR_REJECT)) as world:
        if poor:
            world.sandbox.balance = 0
        else:
            world.sandbox.rejection_limit = 0
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 0 if poor else 2})
        await waits_until(database_url, submission.id, lambda: failed(world, submission.id))
        assert submission.status is Status.AWAITING_REVIEW
        gauges = Gauges(world.service.database, world.service.metrics)
        await gauges.look()
        assert "autoreview_failed 1.0" in (await world.http.get("/metrics")).text
        assert "decision.failed" in capsys.readouterr().out

        world.sandbox.balance = world.sandbox.rejection_limit = None
        await retry(world, database_url, tmp_path, "--all")
        decision = await world.settled(submission.id)
        assert decision["status"] == "applied"
        assert submission.status is (Status.APPROVED if poor else Status.REJECTED)
        assert len({json.dumps(body, sort_keys=True) for body in world.calls(submission.id)}) == 1
        await gauges.look()
        assert "autoreview_failed 0.0" in (await world.http.get("/metrics")).text


async def test_submission_that_does_not_await_review_yet_is_fetched_four_times(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async def handled() -> bool:
        return await jobs(database_url) == []

    async with start() as world:
        for status in (Status.RESERVED, Status.ACTIVE, Status.PROCESSING):
            with subtests.test(status.value):
                submission = world.completed()
                world.sandbox.change(submission, status, By.SOMEBODY, notify=False)
                await world.tell(submission.id)
                waits = await waits_until(database_url, submission.id, handled)
                assert waits == pytest.approx([2, 8, 30], abs=1.5)
                assert await world.decisions(submission.id) == []


async def test_submission_that_awaits_review_at_a_later_fetch_is_decided(
    start: Start, database_url: str
) -> None:
    async with start() as world:
        submission = world.completed()
        world.sandbox.change(submission, Status.ACTIVE, By.SOMEBODY, notify=False)
        await world.tell(submission.id)
        assert await next_try(database_url, submission.id) < SOON
        world.sandbox.change(submission, Status.AWAITING_REVIEW, By.PARTICIPANT, notify=False)
        assert (await world.settled(submission.id))["status"] == "applied"


async def test_submission_is_reviewed_at_most_sixty_times_an_hour(start: Start, database_url: str) -> None:
    async with start(rules_text(otherwise="hold")) as world:
        submission = world.completed()

        async def push(number: int) -> None:
            await world.push(submission.id, {"attention_failed": number})

        await push(1)
        await world.at_rest()
        assert await query(database_url, "SELECT in_hour FROM reviews") == [{"in_hour": 1}]
        await query(database_url, "UPDATE reviews SET in_hour = 59")
        await push(60)
        await world.at_rest()
        assert world.prolific.seen.count("submission") == 2
        await push(61)
        assert 3000 < await next_try(database_url, submission.id) <= 3600
        assert world.prolific.seen.count("submission") == 2
        assert (await world.reviewed(world.completed()))["status"] == "held", "others are reviewed as ever"

        await query(database_url, "UPDATE reviews SET hour_began = hour_began - interval '1 hour'")
        await make_due(database_url)
        decision = await world.settled(submission.id, decisions=3)
        assert decision["facts"]["evidence"]["survey"]["attention_failed"] == 61


async def test_internal_error_is_retried_for_a_day_then_fails_and_retry_sends_it(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    """An unexpected error, here of a trigger on a table."""
    await query(
        database_url,
        "CREATE FUNCTION unthought_of() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'unthought of'; END $$",
    )
    await query(
        database_url,
        "CREATE TRIGGER unthought_of BEFORE INSERT ON submissions EXECUTE FUNCTION unthought_of()",
    )
    async with start() as world:
        submission = world.completed()
        await world.tell(submission.id)
        for longest in (2, 4, 8):
            assert longest / 2 < await next_try(database_url, submission.id) <= longest
            await query(database_url, "UPDATE reviews SET hour_began = now()")
            await make_due(database_url)
            await _under_way(database_url)
        await query(database_url, "UPDATE reviews SET troubled_since = troubled_since - interval '24 hours'")
        await make_due(database_url)
        await until(lambda: failed(world, submission.id), "it to be given up")
        (decision,) = await world.decisions(submission.id)
        assert "unthought of" in decision["reason"]
        await query(database_url, "DROP TRIGGER unthought_of ON submissions")
        await retry(world, database_url, tmp_path, submission.id)
        assert (await world.settled(submission.id, decisions=2))["status"] == "applied"


async def _under_way(url: str) -> None:
    async def look() -> bool:
        return all(job["wait"] is not None and job["wait"] > 0 for job in await jobs(url))

    await until(look, "the try to end")
