"""``stats.`` and ``participant.`` at work: over data of webhooks, Prolific's list and reviews."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

from service.domain.submission import Status
from service.sandbox import bodies
from service.sandbox.faults import Fault
from service.sandbox.model import By
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.submissions import study_and_parent
from tests.conftest import Start
from tests.world import World, rules_text, until

HOLD_FAST = """
  - name: too fast
    when: stats.z < -2.0
    hold: "Look: {stats.count} others took {stats.median} s."
  - name: took part before
    when: participant.submissions > 0
    hold: "Their number {participant.submissions}."
"""


def lists_read(world: World) -> int:
    return world.prolific.seen.count("submissions")


async def test_submissions_without_a_webhook_count(start: Start) -> None:
    async with start(rules_text(HOLD_FAST)) as world:
        for seconds in range(600, 640, 2):
            world.completed(seconds=seconds)
        returned = world.completed(seconds=10)
        world.sandbox.change(returned, Status.RETURNED, By.PARTICIPANT, notify=False)
        decision = await world.reviewed(world.completed(seconds=100))
        assert (decision["outcome"], decision["rule"]) == ("hold", "too fast")
        assert decision["reason"].endswith("Look: 20 others took 619 s.")
        stats = decision["facts"]["stats"]
        assert (stats["count"], stats["mean"], stats["median"]) == (20, 619.0, 619.0)
        assert decision["facts"]["participant"]["submissions"] == 0
        assert lists_read(world) == 1


async def test_a_participants_past_is_of_all_studies_and_of_webhooks_too(start: Start) -> None:
    rules = rules_text(HOLD_FAST).replace("stats.z < -2.0", "stats.count < 0")
    async with start(rules) as world:
        elsewhere, approved, this = world.completed(study=TWO_PARTS), world.completed(), world.completed()
        for one in (elsewhere, approved, this):
            one.participant_id = "65f0000000000000000000bb"  # whose the webhooks are
        await world.tell(elsewhere.id, "RETURNED")
        first = await world.reviewed(approved)
        assert first["facts"]["participant"] == past(submissions=2, returned=1), "one came with the list"
        assert first["rule"] == "took part before"
        world.sandbox.meddle(approved, Status.APPROVED, notify=False)
        await world.tell(approved.id, "approved")
        decision = await world.reviewed(this)
        assert decision["facts"]["participant"] == past(submissions=2, returned=1, approved=1)


def past(**counts: int) -> dict[str, int]:
    return {"submissions": 0, "approved": 0, "rejected": 0, "returned": 0} | counts


async def test_what_we_approved_counts_though_no_webhook_says_so(start: Start) -> None:
    rules = rules_text(HOLD_FAST).replace("stats.z < -2.0", "participant.rejected > 9").replace("> 0", "> 9")
    async with start(rules) as world:
        first, second = world.completed(), world.completed()
        second.participant_id = first.participant_id
        assert (await world.reviewed(first))["status"] == "applied"
        decision = await world.reviewed(second)
        assert decision["facts"]["participant"] == past(submissions=1, approved=1)


async def test_the_list_is_read_once_for_many_reviews(start: Start) -> None:
    async with start(rules_text(HOLD_FAST)) as world:
        submissions = [world.completed(seconds=600 + number) for number in range(130)]
        for one in submissions[:30]:
            await world.tell(one.id)
        await world.at_rest()
        assert lists_read(world) == 2, "two pages of a hundred, once"


async def test_rules_that_ask_for_none_carry_none_and_read_no_list(start: Start) -> None:
    async with start() as world:
        decision = await world.reviewed(world.completed())
        assert {"stats", "participant"}.isdisjoint(decision["facts"])
        assert lists_read(world) == 0


async def test_unread_list_holds_and_is_retried(start: Start) -> None:
    async with start(rules_text(HOLD_FAST)) as world:
        world.prolific.add(Fault("submissions", 500))
        decision = await world.reviewed(world.completed())
        assert (decision["outcome"], decision["guard"]) == ("hold", "undecidable")
        assert "stats" in decision["facts"]
        assert not decision["facts"]["stats"]
        assert decision["recheck_at"] is not None
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_prolific_errors_total{code="prolific_server_error"} 1.0' in metrics


async def test_while_the_list_is_incomplete_statistics_are_unknown(start: Start) -> None:
    """Six rows of seven: a part of the study does not define what is fast."""
    async with start(rules_text(HOLD_FAST)) as world:
        submissions = [world.completed(seconds=600 + number) for number in range(6)]
        rows = [bodies.short(one, world.sandbox) for one in submissions]
        body = {"results": rows, "_links": {"next": {"href": None}}, "meta": {"count": 7}}
        world.prolific.add(Fault("submissions", body=json.dumps(body).encode(), count=None))
        decision = await world.reviewed(submissions[0])
        assert (decision["outcome"], decision["guard"]) == ("hold", "undecidable")
        assert not decision["facts"]["stats"]
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_prolific_errors_total{code="prolific_incomplete_list"} 1.0' in metrics
        world.prolific.clear()
        assert world.service.reviewer is not None
        world.service.reviewer.decider.gatherer.lists.timer = count(1e9, 1000).__next__  # its minute is over
        decision = await world.reviewed(submissions[1])
        assert (decision["outcome"], decision["facts"]["stats"]["count"]) == ("approve", 5)


async def test_rows_of_a_list_are_kept_with_the_parent_that_only_a_detail_names(start: Start) -> None:
    async with start(rules_text(HOLD_FAST)) as world:
        part = world.sandbox.add_study({"name": "One quota", "parent_study_id": STROOP}).id
        first, second = (world.completed(study=part, code="C0MPL3TE") for _ in range(2))
        decision = await world.reviewed(first)
        assert decision["facts"]["stats"]["count"] == 1, "by the rules of the parent"
        async with world.service.database.connect() as connection:
            for listed in (first, second):
                assert await study_and_parent(connection, listed.id) == (part, STROOP)
        assert (await world.push(second.id, {"attention_failed": 0})).status_code == 202


async def test_a_list_that_fails_later_is_no_obstacle(start: Start) -> None:
    async with start(rules_text(HOLD_FAST)) as world:
        for seconds in (600, 700, 800):
            world.completed(seconds=seconds)
        assert (await world.reviewed(world.completed(seconds=650)))["outcome"] == "approve"
        sandbox = world.sandbox
    async with start(rules_text(HOLD_FAST), sandbox=sandbox) as world:
        world.prolific.add(Fault("submissions", 500))
        decision = await world.reviewed(world.completed(seconds=660))
        assert decision["outcome"] == "approve"
        assert decision["facts"]["stats"]["count"] == 4


async def test_once_the_list_can_be_read_what_was_held_for_it_is_decided(start: Start) -> None:
    """The timer of the hold rings at once for a clock that is ten minutes behind."""

    def behind() -> datetime:
        return datetime.now(UTC) - timedelta(minutes=10)

    async with start(rules_text(HOLD_FAST), clock=behind) as world:
        world.prolific.add(Fault("submissions", 500))
        for seconds in (600, 700, 800):
            world.completed(seconds=seconds)
        submission = world.completed(seconds=650)
        assert world.service.reviewer is not None
        world.service.reviewer.decider.gatherer.lists.timer = count(
            0, 1000
        ).__next__  # each look is a long time after the last
        await world.tell(submission.id)

        async def approved() -> bool:
            return [one["outcome"] for one in await world.decisions(submission.id)] == ["approve", "hold"]

        await until(approved, "the approval")
