"""The page that shows what an edited rule file would have done."""

import httpx

from service.rules.files import LARGEST
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.backtest.test_backtest import RULES, STRICTER, decided
from tests.integration.pages.browsing import Person, person
from tests.world import in_force


async def upload(ada: Person, content: bytes, head: bytes = b"", csrf: str | None = None) -> httpx.Response:
    """Send the form with a file beside a text that has other rules."""
    fields = {"csrf": csrf or await ada.csrf(), "study": STROOP, "rules": RULES}
    return await ada.http.post("/backtest", data=fields, files={"file": ("mine.yaml", head + content)})


async def test_edited_rules_show_their_difference_and_are_not_saved(start: Start) -> None:
    async with start(RULES) as world, person(world) as ada:
        changed = await decided(world, attention_failed=1)
        form = await ada.page("/backtest", study=STROOP)
        answer = await ada.send("/backtest", study=STROOP, rules=STRICTER)
        chosen = await upload(ada, STRICTER.encode(), "\ufeff".encode())
        unreadable = await upload(ada, b"\xff\xfe")
        huge = await upload(ada, b"#" * (LARGEST + 1))
        forged = await upload(ada, STRICTER.encode(), csrf="forged")
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
    assert "approve becomes reject: 1" in chosen.text
    assert (unreadable.status_code, huge.status_code, forged.status_code) == (422, 200, 403)
    assert f"at most {LARGEST} bytes" in huge.text
    assert "edited.yaml:" in wrong.text
    assert "<b>" not in wrong.text.partition("<main")[2]
    assert "ever seen here" in unseen.text
    assert "SHADOW_RULES_DIR" in shadow
