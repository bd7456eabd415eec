"""Evidence for submissions that Prolific does not know, as previews of a survey send it."""

from service.notify.alerts import ALERTS
from service.sandbox.faults import Fault
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.world import rules_text, until

FAILED = """
  - name: failed a check
    when: evidence.survey.attention_failed >= 2
    hold: look
"""
PREVIEWS = [f"preview-{number}" for number in range(20)]
METRIC = "autoreview_evidence_unknown_total"


async def test_evidence_for_unknown_submissions_is_kept_and_counted_without_a_decision(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(FAILED), sweep_every="1s") as world:
        for preview in PREVIEWS:
            assert (await world.push(preview, {"attention_failed": 0})).status_code == 202

        async def counted() -> bool:
            return f"{METRIC} {len(PREVIEWS)}.0" in (await world.http.get("/metrics")).text

        await until(counted, "all to be counted")
        await world.at_rest()
        assert (await world.api("decisions"))["results"] == []
        async with world.service.database.begin() as connection:
            for look in ALERTS:
                await look(connection)
        assert await query(database_url, "SELECT * FROM notices") == []
        # A sweep does not ask for them again: nothing of them is unread.
        assert await query(database_url, "SELECT * FROM evidence WHERE handled_at IS NULL") == []
        assert len(await query(database_url, "SELECT * FROM evidence")) == len(PREVIEWS)


async def test_evidence_counts_after_a_webhook_of_its_submission(start: Start) -> None:
    async with start(rules_text(FAILED)) as world:
        submission = world.completed()
        world.prolific.add(Fault("submission", status=404))
        await world.push(submission.id, {"attention_failed": 2})
        await until(lambda: has_asked(world.prolific.seen), "the submission to be asked for")
        await world.at_rest()
        assert await world.decisions(submission.id) == []
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["rule"]) == ("hold", "failed a check")


async def has_asked(seen: list[str]) -> bool:
    return "submission" in seen


async def test_hidden_submission_of_a_webhook_is_failed(start: Start, database_url: str) -> None:
    """And what was sent for it is not looked at again at each sweep."""
    async with start(rules_text(FAILED)) as world:
        await world.tell("told-of")
        await world.push("told-of", {"attention_failed": 0})
        decision = await world.settled("told-of")
        assert decision["status"] == "failed"
        await world.at_rest()
        unread = "SELECT * FROM evidence WHERE handled_at IS NULL"
        assert await query(database_url, unread) == []


async def test_a_submission_seen_before_that_prolific_no_longer_shows_is_failed(start: Start) -> None:
    async with start(rules_text(FAILED)) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2})
        assert (await world.settled(submission.id))["outcome"] == "hold"
        world.prolific.add(Fault("submission", status=404, count=None))
        await world.push(submission.id, {"attention_failed": 0})
        assert (await world.settled(submission.id, decisions=2))["status"] == "failed"
