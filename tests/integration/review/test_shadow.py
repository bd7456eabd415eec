"""``observe: true``: a rule that is tried out decides nothing, and what it would do is counted."""

from typing import Any

import pytest

from service.domain.submission import Status
from tests.conftest import Start
from tests.world import MESSAGE, World, rules_text

REJECT = f'reject: {{category: OTHER, message: "{MESSAGE}"}}'


def tried(action: str = REJECT, when: str = "evidence.survey.attention_failed >= 2") -> str:
    return f"""
  - name: trial
    when: {when}
    {action}
    observe: true
"""


async def observed(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.api("status"))["observed_rules"]
    return found


def counted(submissions: int, would: str = "reject") -> dict[str, Any]:
    return {"rule_file": "rules.yaml", "rule": "trial", "would": would, "submissions": submissions}


@pytest.mark.parametrize(
    ("action", "would"),
    [
        (REJECT, "reject"),
        ("request_return: {reasons: [Please.]}", "request_return"),
        ("hold: Look.", "hold"),
        ("approve:", "approve"),
    ],
)
async def test_it_never_decides_and_the_trace_says_what_it_would(
    start: Start, action: str, would: str
) -> None:
    deciding = """
  - name: last
    when: submission.pace > 0.0
    approve:
"""
    async with start(rules_text(tried(action) + deciding, otherwise="hold")) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2})
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["rule"], decision["status"]) == ("approve", "last", "applied")
        assert (decision["proposed"], decision["guard"]) == ("approve", None)
        assert [entry["rule"] for entry in decision["trace"]] == ["trial", "last"]
        entry = decision["trace"][0]
        assert (entry["result"], entry["observe"], entry["would"]) == ("matched", True, would)
        assert entry["values"] == {"evidence.survey.attention_failed": 2}
        assert submission.status is Status.APPROVED
        assert await observed(world) == [counted(1, would)]


async def test_what_it_can_not_know_holds_nothing_and_waits_for_nothing(start: Start) -> None:
    rules = rules_text(tried()).replace("from: push", "from: push\n    wait: 30m")
    async with start(rules) as world:
        decision = await world.reviewed(world.completed())
        assert (decision["outcome"], decision["guard"], decision["status"]) == ("approve", None, "applied")
        entry = decision["trace"][0]
        assert (entry["result"], entry["observe"], entry["would"]) == ("unknown", True, None)
        assert await observed(world) == []


async def test_it_counts_submissions_not_decisions(start: Start) -> None:
    async with start(rules_text(tried(), otherwise="hold")) as world:
        twice, once, never = (world.completed() for _ in range(3))
        for number, failed in enumerate((2, 3)):
            await world.push(twice.id, {"attention_failed": failed})
            await world.settled(twice.id, decisions=number + 1)
        await world.push(once.id, {"attention_failed": 2})
        await world.settled(once.id)
        await world.push(never.id, {"attention_failed": 0})
        await world.settled(never.id)
        assert len(await world.decisions(twice.id)) == 2
        assert await observed(world) == [counted(2)]


async def test_it_counts_in_any_mode(start: Start) -> None:
    rules = rules_text(tried(when='submission.code_type == "COMPLETED"'))
    async with start(rules, mode="observe") as world:
        await world.reviewed(world.completed())
        assert await observed(world) == [counted(1)]
        sandbox = world.sandbox
    async with start(rules, sandbox=sandbox) as world:
        await world.reviewed(world.completed())
        await world.at_rest()
        assert await observed(world) == [counted(2)], "the first was decided again, and counts once"


async def test_it_reaches_no_limit(start: Start) -> None:
    limits = "limits: {reject: {per_day: 1}}"
    rules = rules_text(tried(when="submission.pace > 0.0"), more=limits, otherwise="hold")
    async with start(rules) as world:
        for _ in range(4):
            decision = await world.reviewed(world.completed())
            assert (decision["outcome"], decision["guard"]) == ("hold", None)
        assert (await world.api("status"))["breakers"] == []
        assert await observed(world) == [counted(4)]


async def test_rules_after_the_deciding_one_are_not_asked_and_not_counted(start: Start) -> None:
    deciding = """
  - name: first
    when: submission.code_type == "COMPLETED"
    approve:
"""
    async with start(rules_text(deciding + tried(when="submission.pace > 0.0"))) as world:
        decision = await world.reviewed(world.completed())
        assert [entry["rule"] for entry in decision["trace"]] == ["first"]
        assert await observed(world) == []
