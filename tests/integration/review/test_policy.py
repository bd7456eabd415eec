"""Prolific's policy on rejections holds at run time too."""

from tests.conftest import Start
from tests.world import MESSAGE, rules_text


async def test_a_rejection_for_a_missing_code_alone_is_held(start: Start) -> None:
    rules = f"""
  - name: no code
    when: submission.code_type == "NONE"
    reject: {{category: NO_CODE, message: "{MESSAGE}"}}
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed(code=None)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"], decision["proposed"]) == ("hold", "policy", "reject")
        assert world.calls(submission.id) == []


async def test_a_rule_may_allow_it_knowingly(start: Start) -> None:
    rules = f"""
  - name: no code
    when: submission.code_type == "NONE"
    reject: {{category: NO_CODE, message: "{MESSAGE}"}}
    allow: [POL003]
    because: Prolific's support told us to, in this study.
"""
    async with start(rules_text(rules)) as world:
        assert (await world.reviewed(world.completed(code=None)))["status"] == "applied"
