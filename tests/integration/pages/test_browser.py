"""What people do in a browser: one service and one browser for all."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from service.sandbox.model import SimSubmission
from tests.databases import create, named
from tests.integration.manual.orders import Later, queue
from tests.integration.pages.browser import DESKTOP, PHONE, chromium, visit
from tests.world import MESSAGE, World, rules_text, until, world, write_rules

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWER = "a-viewer"
RULES = rules_text(
    """
  - name: consent withdrawn
    when: evidence.survey.consented == false
    request_return: {reasons: ["You told us to take back your consent."]}
  - name: attentive
    when: evidence.survey.attention_failed == 0
    approve:""",
    otherwise="hold",
)


@dataclass
class Stage:
    """The service with its browser. ``clock`` is put forward past the time to undo."""

    world: World
    browser: Browser
    clock: Later

    async def held(self) -> SimSubmission:
        submission = self.world.completed()
        assert (await self.decided(submission, attention_failed=1, consented=True))["outcome"] == "hold"
        return submission

    async def decided(self, submission: SimSubmission, **evidence: object) -> dict[str, Any]:
        """Send evidence, by which it is decided."""
        await self.world.push(submission.id, evidence)
        return await self.world.settled(submission.id)

    def let_time_pass(self) -> None:
        self.clock.shift += timedelta(seconds=11)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    name = f"browser_{uuid4().hex}"
    create(postgres, name, like="migrated")
    rules: Path = write_rules(tmp_path_factory.mktemp("browser") / "rules", RULES)
    clock = Later()
    async with (
        chromium() as browser,
        world(named(postgres, name), rules, viewer_token=VIEWER, clock=clock) as running,
    ):
        yield Stage(running, browser, clock)


async def test_why_a_participant_was_asked_to_return_and_what_would_have_changed_it(stage: Stage) -> None:
    submission = stage.world.completed()
    decision = await stage.decided(submission, attention_failed=0, consented=False)
    assert decision["outcome"] == "request_return"
    async with visit(stage.browser, stage.world.url) as tab:
        page = tab.page
        await page.get_by_role("link", name="Decisions").click()
        await page.get_by_label("Participant").fill(submission.participant_id)
        await page.get_by_role("button", name="filter").click()
        await page.get_by_role("link", name=submission.id, exact=True).click()
        answer = page.get_by_label("Where it stands")
        await expect(answer).to_contain_text("consent withdrawn")
        await expect(answer).to_contain_text(
            "If evidence.survey.consented had been true, the outcome would have been approve"
        )
        await expect(answer.locator("blockquote")).to_have_text("You told us to take back your consent.")
        story = page.locator(".story")
        await expect(story).to_contain_text("rules.yaml, line 11")
        await expect(story).to_contain_text("evidence.survey.consented = false from evidence survey")
        # Times are the viewer's, UTC shows on hover.
        shown = story.locator("time").first
        assert (await shown.get_attribute("title") or "").endswith("UTC")
        assert "UTC" not in await shown.inner_text()


async def test_keys_decide_undo_and_advance(stage: Stage) -> None:
    first, second = await stage.held(), await stage.held()
    async with visit(stage.browser, stage.world.url) as tab:
        page = await tab.go("/holds")
        await page.keyboard.press("j")
        await expect(page.locator(f"#row-{first.id}")).to_be_focused()
        await page.keyboard.press("a")
        await expect(page.locator(f"#row-{first.id}")).to_contain_text("takes effect in")
        await expect(page.locator(f"#row-{second.id}")).to_be_focused()
        await page.keyboard.press("u")
        await expect(page.locator(f"#row-{first.id}").get_by_role("button", name="approve")).to_be_visible()
        stage.let_time_pass()
        # What is decided after the undo leaves, so what was undone would have left by then.
        await page.locator(f"#row-{second.id}").get_by_role("button", name="approve").click()
        await expect(page.locator(f"#row-{second.id}").get_by_role("button", name="undo")).to_be_visible()
        stage.let_time_pass()
        await expect(page.locator(f"#row-{second.id}")).to_contain_text("is no longer held")
        assert (await stage.world.settled(second.id, decisions=2))["by"] == "Ada"
        assert [one["outcome"] for one in await stage.world.decisions(first.id)] == ["hold"]
        # Typing is never taken for a key, and slash searches.
        await page.keyboard.press("/")
        await page.keyboard.type("aru?x")
        await expect(page.get_by_label("Submission", exact=True)).to_have_value("aru?x")


async def test_the_exact_message_is_shown_before_a_rejection_is_sent(stage: Stage) -> None:
    submission = await stage.held()
    async with visit(stage.browser, stage.world.url) as tab:
        page = await tab.go(f"/holds?submission={submission.id}")
        await page.keyboard.press("r")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Category").select_option("OTHER")
        await dialog.get_by_label("Message to the participant").fill("Too short.")
        await expect(dialog.locator("#preview")).to_contain_text("100 characters")
        await dialog.get_by_label("Message to the participant").fill(f"  {MESSAGE}  ")
        await expect(dialog.locator("#preview blockquote")).to_have_text(MESSAGE)
        await expect(dialog).to_contain_text("rewards of 1.80 in all")
        assert await tab.violations() == []
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#planned")).to_contain_text(submission.id)
        stage.let_time_pass()
        decision = await stage.world.settled(submission.id, decisions=2)
        assert decision["action"]["body"] == {
            "action": "REJECT",
            "rejection_category": "OTHER",
            "message": MESSAGE,
        }


async def test_several_are_decided_at_once_and_undone_at_once(stage: Stage) -> None:
    submissions = [await stage.held() for _ in range(2)]
    async with visit(stage.browser, stage.world.url) as tab:
        page = await tab.go("/holds")
        held = await queue(stage.world)
        await page.get_by_label("All that match, on every page").check()
        late = await stage.held()
        await page.get_by_role("button", name="approve selected").click()
        dialog = page.get_by_role("dialog")
        # The list is frozen when the dialog opens, and says how many and how much.
        await expect(dialog).to_contain_text(f"{len(held) + 1} submissions, rewards of")
        later = await stage.held()
        await dialog.get_by_role("button", name="approve").click()
        await expect(page.locator("#planned")).to_contain_text(f"{len(held) + 1} submissions")
        await page.locator("#planned").get_by_role("button", name="undo all").click()
        await expect(page.locator("#planned .notice")).to_have_count(0)
        for submission in submissions:
            await page.get_by_label(f"select {submission.id}").check()
        await expect(page.locator("#selected")).to_have_text("2 selected")
        await page.get_by_role("button", name="approve selected").click()
        await expect(dialog).to_contain_text("2 submissions, rewards of 3.60 in all")
        await dialog.get_by_role("button", name="approve").click()
        await expect(page.locator("#planned")).to_contain_text("2 submissions")
        stage.let_time_pass()
        for submission in submissions:
            assert (await stage.world.settled(submission.id, decisions=2))["outcome"] == "approve"
        assert {late.id, later.id} <= set(await queue(stage.world))


async def test_what_somebody_types_and_the_focus_outlive_live_updates(stage: Stage) -> None:
    async with visit(stage.browser, stage.world.url) as tab:
        page = tab.page
        await page.get_by_label("Reason").last.fill("The survey is broken")
        await page.get_by_role("button", name="pause", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("The survey is broken")
        await expect(page.locator("#live")).to_have_text("Live")
        holds = page.locator(".cards div", has_text="Holds")
        reason, link = page.get_by_label("Reason").first, holds.get_by_role("link")
        for field in (reason, link):
            await reason.fill("It is mended")
            await field.focus()
            number = int(await holds.locator("dd").first.inner_text())
            await stage.held()
            await expect(holds.locator("dd").first).to_have_text(str(number + 1))
            await expect(reason).to_have_value("It is mended")
            await expect(field).to_be_focused()
        await page.get_by_role("button", name="resume", exact=True).first.click()
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_each_listed_key_works_and_none_while_typing_or_when_off(stage: Stage) -> None:
    first, second = await stage.held(), await stage.held()
    async with visit(stage.browser, stage.world.url) as tab:
        page = await tab.go("/holds")
        await page.keyboard.press("?")
        keys = page.get_by_role("dialog")
        assert await keys.locator("dt").all_inner_texts() == ["j", "k", "Enter", "x", "a", "r", "u", "/", "?"]
        await expect(keys.get_by_role("button", name="close")).to_be_focused()
        await page.keyboard.press("Escape")
        rows = [page.locator(f"#row-{one.id}") for one in (first, second)]
        await rows[0].focus()
        await page.keyboard.press("j")
        await expect(rows[1]).to_be_focused()
        await page.keyboard.press("k")
        await expect(rows[0]).to_be_focused()
        box = page.get_by_label(f"select {first.id}")
        await page.keyboard.press("x")
        await expect(box).to_be_checked()
        await page.keyboard.press("x")
        await expect(box).not_to_be_checked()
        await page.keyboard.press("r")
        message = page.get_by_label("Message to the participant")
        await expect(message).to_be_focused()
        await page.keyboard.type("jkaxru/?")
        await expect(message).to_have_value("jkaxru/?")
        await page.keyboard.press("Escape")
        await expect(rows[0]).to_be_focused()
        await expect(page.locator("#planned .notice")).to_have_count(0)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/submissions/{first.id}")
        await page.keyboard.press("/")
        await expect(page.get_by_label("Find by id")).to_be_focused()
        page = await tab.go("/holds")
        await page.keyboard.press("?")
        await page.get_by_label("Turn the keys off in this browser").check()
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("a")
        await expect(rows[0]).not_to_be_focused()
        await expect(page.locator("tr.planned")).to_have_count(0)


async def test_a_decision_in_the_dialog_leads_to_the_next_submission_and_shows_why_it_is_refused(
    stage: Stage,
) -> None:
    first, second = await stage.held(), await stage.held()
    async with visit(stage.browser, stage.world.url) as tab:
        page = await tab.go("/holds")
        await page.locator(f"#row-{first.id}").focus()
        await page.keyboard.press("r")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("approve", exact=True).check()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(f"#row-{second.id}")).to_be_focused()
        await page.locator(f"#row-{first.id}").get_by_role("button", name="undo").press("Enter")
        # The button is gone; the focus stays in its row.
        await expect(page.locator(f"#row-{first.id}")).to_be_focused()
        await page.locator(f"#row-{second.id}").focus()
        await page.keyboard.press("r")
        await dialog.get_by_label("Category").select_option("OTHER")
        await dialog.get_by_label("Message to the participant").fill("Too short.")
        await page.keyboard.press("Control+Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("100 characters")
        tab.wrong = [one for one in tab.wrong if "422" not in one]


async def test_numbers_change_live_and_a_pause_shows_and_ends(stage: Stage) -> None:
    async with visit(stage.browser, stage.world.url) as tab:
        page = tab.page
        holds = page.locator(".cards div", has_text="Holds").locator("dd").first
        await expect(page.locator("#live")).to_have_text("Live")
        number = int(await holds.inner_text())
        await stage.held()
        await expect(holds).to_have_text(str(number + 1))
        await page.get_by_label("Reason").last.fill("The survey is broken")
        await page.get_by_role("button", name="pause", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("The survey is broken")
        assert (await stage.world.api("status"))["pauses"][0]["by"] == "Ada"
        await page.get_by_label("Reason").first.fill("It is mended")
        await page.get_by_role("button", name="resume", exact=True).first.click()
        await expect(page.get_by_role("alert")).to_have_count(0)

        async def resumed() -> bool:
            return not (await stage.world.api("status"))["paused"]

        await until(resumed, "the resume")


async def test_a_viewer_has_nothing_to_press_and_is_refused(stage: Stage) -> None:
    submission = await stage.held()
    async with visit(stage.browser, stage.world.url, token=VIEWER, name="Eve") as tab:
        page = await tab.go("/holds")
        await expect(page.locator(f"#row-{submission.id}")).to_be_visible()
        assert await page.locator("#queue button").count() == 0
        csrf = await page.locator("input[name=csrf]").first.get_attribute("value")
        form: dict[str, str | float | bool] = {
            "csrf": csrf or "",
            "submission": submission.id,
            "action": "approve",
        }
        answer = await page.request.post(f"{stage.world.url}/holds/decide", form=form)
        assert answer.status == 403
    async with visit(stage.browser, stage.world.url) as tab:
        forged: dict[str, str | float | bool] = {
            "csrf": "forged",
            "submission": submission.id,
            "action": "approve",
        }
        answer = await tab.page.request.post(f"{stage.world.url}/holds/decide", form=forged)
        assert answer.status == 403
    assert submission.id in await queue(stage.world)


async def test_a_rule_file_is_chosen_and_its_difference_shown(stage: Stage, tmp_path: Path) -> None:
    submission = await stage.held()
    file = write_rules(tmp_path, RULES.replace("otherwise: hold", "otherwise: approve")) / "rules.yaml"
    for size in (DESKTOP, PHONE):
        async with visit(stage.browser, stage.world.url, size=size) as tab:
            page = await tab.go(f"/backtest?study={submission.study_id}")
            await page.get_by_label("Or a rule file from this computer").set_input_files(file)
            await page.get_by_role("button", name="run the backtest").click()
            await expect(page.locator(f"#s-{submission.id}")).to_contain_text("hold becomes approve")
            await expect(page.get_by_role("textbox", name="Rules")).to_have_value(file.read_text())
            assert (await tab.violations(), await tab.is_wider_than_the_screen()) == ([], False)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_every_page_is_accessible(stage: Stage, size: tuple[int, int]) -> None:
    submission = await stage.held()
    async with visit(stage.browser, stage.world.url, size=size) as tab:
        for path in (
            *("/", "/holds", "/decisions", "/rules?within=all", f"/submissions/{submission.id}"),
            *(f"/studies/{submission.study_id}", "/submissions/unheard-of"),
            *("/backtest", f"/backtest?study={submission.study_id}"),
        ):
            tab.wrong = [one for one in tab.wrong if "404" not in one]
            page = await tab.go(path)
            assert (path, await tab.violations(), await tab.is_wider_than_the_screen()) == (path, [], False)
            # Another colour scheme changes colours alone.
            await page.emulate_media(color_scheme="dark")
            assert (path, await tab.violations(["color-contrast"])) == (path, [])
            await page.emulate_media(color_scheme="light")
        tab.wrong = [one for one in tab.wrong if "404" not in one]
