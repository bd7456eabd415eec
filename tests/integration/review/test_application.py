"""A decision is applied once for any answer of Prolific: the fetched status decides."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By
from tests.conftest import Start
from tests.integration.review.limiting import make_due
from tests.world import World, until


async def test_a_submission_prolific_does_not_know_is_a_recorded_failure(start: Start) -> None:
    async with start() as world:
        await world.tell("65f0000000000000000000aa")
        decision = await world.settled("65f0000000000000000000aa")
        assert (decision["outcome"], decision["status"]) == ("hold", "failed")
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [404]
        await world.tell("65f0000000000000000000aa")
        await world.at_rest()
        assert len(await world.decisions("65f0000000000000000000aa")) == 1
        assert world.prolific.seen.count("submission") == 2, "no endless retry"


async def test_a_server_error_is_tried_again_until_it_is_applied(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", status=502, body=b"<html>Bad Gateway</html>"))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert decision["status"] == "applied"
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [502, 200]
        assert "Bad Gateway" in decision["attempts"][0]["answer"]["body"]
        assert len(await world.decisions(submission.id)) == 1
        assert submission.status is Status.APPROVED


async def test_a_transition_whose_answer_was_lost_is_not_sent_again(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", status=500, took_effect=True))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert decision["status"] == "already"
        assert len(world.calls(submission.id)) == 1
        assert len(await world.decisions(submission.id)) == 1


async def test_a_request_to_return_whose_answer_was_lost_is_not_sent_again(start: Start) -> None:
    from tests.integration.review.test_guards import ASK
    from tests.world import rules_text

    async with start(rules_text(ASK)) as world:
        world.prolific.add(Fault("request-return", status=500, took_effect=True))
        submission = world.completed(code=None)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("request_return", "already")
        assert len(world.calls(submission.id)) == 1


async def test_too_many_requests_are_waited_out_as_prolific_says(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=429, retry_after=1))
        world.prolific.add(Fault("transition", status=429, retry_after=1))
        decision = await world.reviewed(world.completed())
        assert decision["status"] == "applied"
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [429, 200]


async def test_decision_of_another_person_supersedes_ours(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", then_status=Status.REJECTED))
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("approve", "superseded")
        assert submission.status is Status.REJECTED


async def test_same_transition_of_another_person_counts_as_already(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", then_status=Status.APPROVED))
        assert (await world.reviewed(submission))["status"] == "already"
        assert [change.by for change in submission.history][-1] is By.SOMEBODY


async def test_while_prolific_is_processing_it_is_waited_for(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", status=500))
        await world.tell(submission.id)
        await until(_count(world, "transition", 1), "the transition to be asked for")
        world.sandbox.change(submission, Status.PROCESSING, By.SOMEBODY, notify=False)
        looks = world.prolific.seen.count("submission")
        await until(_count(world, "submission", looks + 1), "another look")
        world.sandbox.change(submission, Status.APPROVED, By.SOMEBODY, notify=False)
        assert (await world.settled(submission.id))["status"] == "already"


def _count(world: World, kind: str, number: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return world.prolific.seen.count(kind) >= number

    return reached


async def test_a_refusal_while_it_still_awaits_review_is_tried_again(start: Start) -> None:
    """Prolific may not have moved it to AWAITING REVIEW everywhere yet (reference 0.5)."""
    async with start() as world:
        world.prolific.add(Fault("transition", status=400))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert decision["status"] == "applied"
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [400, 200]


async def test_a_transition_that_is_not_found_is_a_failure_on_record(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", status=404))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("approve", "failed")


async def test_a_rotated_token_is_read_again_from_its_file(start: Start, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("an-old-one")
    async with start(prolific_token=None, prolific_token_file=token) as world:
        submission = world.completed()
        await world.tell(submission.id)

        async def refused() -> bool:
            return "submission" in world.prolific.seen

        await until(refused, "the first try")
        token.write_text("sandbox-token\n")
        assert (await world.settled(submission.id))["status"] == "applied"


async def test_an_answer_that_is_no_json_is_tried_again(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=200, body=b"<html>"))
        assert (await world.reviewed(world.completed()))["status"] == "applied"


async def test_while_prolific_is_away_webhooks_are_taken_and_readyz_stays_ready(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=503))
        submission = world.completed()
        assert (await world.tell(submission.id)).status_code == 202
        await until(lambda: ready(world), "the service to be ready while Prolific is away")
        assert (await world.settled(submission.id))["status"] == "applied"


async def ready(world: World) -> bool:
    return (await world.http.get("/readyz")).status_code == 200


async def test_transition_with_an_unreadable_answer_is_not_changed(start: Start) -> None:
    """It may have arrived: another transition waits until Prolific shows what became of it."""
    from tests.world import rules_text

    reject = (
        "\n  - name: missed\n    when: evidence.survey.attention_failed >= 2\n    reject: {category: FAILED_CHECK, message: "
        + "x" * 120
        + "}\n    if_unknown: skip\n"
    )
    async with start(rules_text(reject)) as world:
        world.prolific.add(Fault("transition", status=200, body=b"<html>Maintenance</html>"))
        submission = world.completed()
        await world.tell(submission.id)
        await until(_count(world, "transition", 1), "the transition to be asked for")
        await world.push(submission.id, {"attention_failed": 2})
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["outcome"], decision["proposed"], decision["guard"]) == (
            "hold",
            "reject",
            "already_asked",
        )
        assert world.calls(submission.id) == []
        world.sandbox.change(submission, Status.APPROVED, By.API, notify=False)
        make_due(world.service.database.url, submission)

        async def shown() -> bool:
            return [one["status"] for one in await world.decisions(submission.id)] == ["held", "already"]

        await until(shown, "the approval to be recorded as done")
        assert submission.status is Status.APPROVED
