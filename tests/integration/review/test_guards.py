"""Whatever is in doubt is held, and a request to return is never sent twice."""

from datetime import UTC, datetime, timedelta

from service.domain.submission import Status
from service.sandbox.model import By
from service.sandbox.studies import TWO_PARTS
from tests.conftest import Start
from tests.integration.review.limiting import Ahead, make_due
from tests.world import MESSAGE, rules_text, until

REJECT_TWO = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""
ASK = """
  - name: no code
    when: submission.code_type == "NONE"
    request_return: {reasons: ["You entered no code."]}
"""


async def test_a_missing_value_before_the_deciding_rule_holds(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        decision = await world.reviewed(world.completed())
        assert (decision["outcome"], decision["proposed"], decision["guard"]) == (
            "hold",
            "approve",
            "undecidable",
        )
        assert decision["rule"] is None
        assert "can't rule out" in decision["reason"]
        assert decision["trace"][0]["result"] == "unknown"
        assert decision["trace"][0]["values"] == {"evidence.survey.attention_failed": None}


async def test_evidence_that_comes_later_decides_what_was_held(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = world.completed()
        await world.reviewed(submission)
        assert (await world.push(submission.id, {"attention_failed": 0})).status_code == 202
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["outcome"], decision["trigger"], decision["status"]) == (
            "approve",
            "evidence",
            "applied",
        )


async def test_with_evidence_still_to_come_it_waits(start: Start) -> None:
    rules = rules_text(REJECT_TWO).replace("from: push", "from: push\n    wait: 30m")
    async with start(rules) as world:
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"]) == ("hold", "waiting")
        assert submission.completed_at is not None
        until = datetime.fromisoformat(decision["recheck_at"])
        assert until == submission.completed_at + timedelta(minutes=30)
        assert "received" not in decision["facts"]["evidence"]["survey"]
        await world.push(submission.id, {"attention_failed": 0})
        assert (await world.settled(submission.id, decisions=2))["outcome"] == "approve"


async def test_evidence_that_no_rule_uses_is_not_awaited(start: Start) -> None:
    async with start(rules_text(ASK).replace("from: push", "from: push\n    wait: 30m")) as world:
        assert (await world.reviewed(world.completed()))["status"] == "applied"


async def test_evidence_timeout_fires_and_missing_evidence_holds(start: Start, database_url: str) -> None:
    clock = Ahead()
    rules = rules_text(REJECT_TWO).replace("from: push", "from: push\n    wait: 30m")
    async with start(rules, clock=clock) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["guard"] == "waiting"
        clock.pass_(minutes=31)
        make_due(database_url, submission)
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["guard"], decision["trigger"]) == ("undecidable", "recheck")
        assert decision["facts"]["evidence"]["survey"]["received"] is False


async def test_while_a_request_to_return_is_pending_the_same_proposal_adds_nothing(start: Start) -> None:
    async with start(rules_text(ASK)) as world:
        submission = world.completed(code=None)
        await world.reviewed(submission)
        await world.tell(submission.id)
        await world.at_rest()
        await world.push(submission.id, {"attention_failed": 1})
        await world.at_rest()
        (decision,) = await world.decisions(submission.id)
        assert (decision["outcome"], decision["status"]) == ("request_return", "applied")
        assert len(world.calls(submission.id)) == 1
        assert (await world.api("holds"))["results"] == []


async def test_return_request_of_another_person_counts(start: Start) -> None:
    async with start(rules_text(ASK)) as world:
        submission = world.completed(code=None)
        submission.return_requested = datetime.now(UTC)
        decision = await world.reviewed(submission)
        assert (decision["guard"], decision["proposed"]) == ("already_asked", "request_return")
        assert world.calls(submission.id) == []


async def test_an_approval_may_follow_a_request_to_return(start: Start) -> None:
    async with start(rules_text()) as world:
        submission = world.completed()
        submission.return_requested = datetime.now(UTC)
        assert (await world.reviewed(submission))["status"] == "applied"


async def test_a_rejection_may_follow_only_when_the_time_to_answer_is_over(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        for asked_ago, expected in ((timedelta(days=6), "already_asked"), (timedelta(days=8), None)):
            submission = world.completed()
            submission.return_requested = datetime.now(UTC) - asked_ago
            await world.push(submission.id, {"attention_failed": 2})
            decision = await world.settled(submission.id)
            assert (decision["proposed"], decision["guard"]) == ("reject", expected)


async def test_reopened_submission_of_another_decider_is_never_decided(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        world.sandbox.change(submission, Status.REJECTED, By.SOMEBODY, notify=False)
        await world.tell(submission.id, "REJECTED")
        world.sandbox.change(submission, Status.AWAITING_REVIEW, By.SOMEBODY, notify=False)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"]) == ("hold", "reopened")
        assert world.calls(submission.id) == []


async def test_reopened_submission_is_held(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        await world.reviewed(submission)
        submission.last_request = None
        world.sandbox.change(submission, Status.AWAITING_REVIEW, By.SOMEBODY, notify=False)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"]) == ("hold", "reopened")
        assert len(world.calls(submission.id)) == 1


async def test_a_submission_that_ran_over_time_and_came_in_late_is_decided(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        await world.tell(submission.id, "TIMED-OUT")
        assert (await world.reviewed(submission))["status"] == "applied"


async def test_a_code_the_study_lacks_is_held(start: Start) -> None:
    rules = rules_text("""
  - name: half done
    when: submission.code_type == "HALF_DONE"
    complete: {code_type: NO_SUCH_PAYMENT, percentage_of_reward: 50}
""").replace("60aca280709ee40ec37d4885", TWO_PARTS)
    async with start(rules) as world:
        decision = await world.reviewed(world.completed(study=TWO_PARTS, code="0NEPART1"))
        assert (decision["outcome"], decision["guard"], decision["proposed"]) == (
            "hold",
            "no_such_code",
            "complete",
        )


async def test_a_dynamic_payment_without_a_percentage_is_held(start: Start) -> None:
    rules = rules_text("""
  - name: half done
    when: submission.code_type == "HALF_DONE"
    complete: {code_type: PARTIAL_PAYMENT}
""").replace("60aca280709ee40ec37d4885", TWO_PARTS)
    async with start(rules) as world:
        decision = await world.reviewed(world.completed(study=TWO_PARTS, code="0NEPART1"))
        assert decision["guard"] == "no_such_code"


async def test_a_message_that_lacks_a_fact_is_held(start: Start) -> None:
    rules = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE} {{evidence.survey.comment}}"}}
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2})
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["guard"], decision["proposed"]) == ("hold", "message", "reject")


async def test_a_submission_no_file_claims_gets_no_decision_only_a_count(start: Start) -> None:
    async with start() as world:
        submission = world.completed(study=TWO_PARTS, code=None)
        await world.tell(submission.id)
        await world.at_rest()
        assert await world.decisions(submission.id) == []
        assert (await world.api("status"))["inbox"]["unclaimed"] == 1


async def test_webhook_that_precedes_its_status_is_retried(start: Start) -> None:
    async with start() as world:
        submission = world.sandbox.reserve("60aca280709ee40ec37d4885", notify=False)
        await world.tell(submission.id)

        async def looked() -> bool:
            return "submission" in world.prolific.seen

        await until(looked, "the first look")
        world.sandbox.complete(submission, "C0L0UR12", time_taken=700, notify=False)
        assert (await world.settled(submission.id))["status"] == "applied"


async def test_what_does_not_await_review_is_left_alone(start: Start) -> None:
    async with start() as world:
        submission = world.sandbox.reserve("60aca280709ee40ec37d4885", notify=False)
        world.sandbox.give_back(submission)
        await world.tell(submission.id)
        await world.at_rest()
        assert await world.decisions(submission.id) == []
        heard = await world.api(f"submissions/{submission.id}")
        assert heard["submission"]["status"] == "RETURNED"
        assert [event["handled"] for event in heard["events"]] == [True]


async def test_a_review_that_comes_to_the_same_adds_nothing(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = world.completed()
        await world.reviewed(submission)
        for _ in range(3):
            await world.tell(submission.id)
            await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1


async def test_one_review_serves_all_the_hints_that_came_before_it(start: Start) -> None:
    """Events that arrive while no worker runs are many jobs and one fetch."""
    from service.app import Parts

    async with start(parts=Parts(web=True, worker=False)) as world:
        submission = world.completed()
        for _ in range(5):
            await world.tell(submission.id)
        heard = await world.api(f"submissions/{submission.id}")
        assert [event["handled"] for event in heard["events"]] == [False] * 5
        rest = world.sandbox
    async with start(sandbox=rest) as world:
        await world.settled(submission.id)
        heard = await world.api(f"submissions/{submission.id}")
        assert [event["handled"] for event in heard["events"]] == [True] * 5
        assert len(heard["decisions"]) == 1
