"""The page that shows what an edited rule file would have done."""

from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.backtest.test_backtest import RULES, STRICTER, decided
from tests.integration.pages.browsing import person
from tests.world import in_force


async def test_edited_rules_show_their_difference_and_are_not_saved(start: Start) -> None:
    async with start(RULES) as world, person(world) as ada:
        changed = await decided(world, attention_failed=1)
        form = await ada.page("/backtest", study=STROOP)
        answer = await ada.send("/backtest", study=STROOP, rules=STRICTER)
        wrong = await ada.send("/backtest", study=STROOP, rules="version: 1\n<b>")
        unseen = await ada.send("/backtest", study="another", rules=STRICTER)
        shadow = await ada.page("/backtest", study=STROOP, against="shadow")
        await in_force(world, RULES)
        assert len(await world.decisions(changed["submission_id"])) == 1
    assert "attention_failed &gt;= 2" in form
    assert answer.status_code == 200
    assert f'id="s-{changed["submission_id"]}"' in answer.text
    assert "approve becomes reject: 1" in answer.text
    assert "<style" not in answer.text
    assert "edited.yaml:" in wrong.text
    assert "<b>" not in wrong.text.partition("<main")[2]
    assert "ever seen here" in unseen.text
    assert "SHADOW_RULES_DIR" in shadow
