"""The three modes, and that the lesser of the service's and the file's counts."""

import pytest

from tests.conftest import Start
from tests.world import MESSAGE, rules_text

NO_CODE_REJECTED = f"""
  - name: careless
    when: submission.code_type == "NONE"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
"""


async def test_observe_records_everything_and_applies_nothing(start: Start) -> None:
    async with start(rules_text(NO_CODE_REJECTED), mode="observe") as world:
        for code, outcome in (("C0L0UR12", "approve"), (None, "reject")):
            submission = world.completed(code=code)
            decision = await world.reviewed(submission)
            assert (decision["outcome"], decision["status"]) == (outcome, "observed")
            assert decision["action"]["endpoint"] == "transition"
            assert decision["attempts"] == []
            assert world.calls(submission.id) == []


async def test_approve_only_applies_approvals_and_holds_the_rest(start: Start) -> None:
    async with start(rules_text(NO_CODE_REJECTED), mode="approve-only") as world:
        good, bad = world.completed(), world.completed(code=None)
        assert (await world.reviewed(good))["status"] == "applied"
        decision = await world.reviewed(bad)
        assert (decision["outcome"], decision["proposed"]) == ("hold", "reject")
        assert (decision["guard"], decision["status"]) == ("mode", "held")
        assert decision["rule"] == "careless"
        assert world.calls(bad.id) == []


@pytest.mark.parametrize(
    ("service", "file", "counts"),
    [
        ("live", "observe", "observe"),
        ("approve-only", "live", "approve-only"),
        ("observe", "live", "observe"),
    ],
)
async def test_the_lesser_of_the_two_modes_counts(start: Start, service: str, file: str, counts: str) -> None:
    async with start(rules_text(more=f"mode: {file}"), mode=service) as world:
        assert (await world.reviewed(world.completed()))["mode"] == counts
