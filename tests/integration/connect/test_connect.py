"""``autoreview connect`` as a process, against the sandbox."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from subprocess import CompletedProcess
from typing import Any

import pytest

from service.connect.execute import carry_out, choose_workspace, look
from service.connect.plan import plan
from service.prolific import Prolific
from service.prolific.errors import ServerError
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.hooks import STATUS_CHANGE, Subscription
from service.sandbox.server import running, shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from tests.process import autoreview
from tests.world import TOKEN

BASE = "https://review.example.org"
TARGET = f"{BASE}/webhooks/prolific"
OTHER = "5f0c3a1be7d94c0d87654321"


@dataclass
class Desk:
    """The setup of Prolific's side."""

    state: SandboxState
    url: str
    folder: Path

    async def run(self, *arguments: str, **settings: object) -> CompletedProcess[str]:
        given = {"prolific_url": self.url, "prolific_token": TOKEN, "public_url": BASE, **settings}
        ended = await asyncio.to_thread(
            autoreview, "connect", *arguments, cwd=self.folder, settings={k: v for k, v in given.items() if v}
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        for secret in self.state.hooks.secrets.values():
            assert secret.value not in ended.stdout + ended.stderr
        return ended

    async def done(self, *arguments: str, **settings: object) -> dict[str, Any]:
        ended = await self.run(*arguments, "--json", **settings)
        assert ended.returncode == 0, ended.stderr
        report: dict[str, Any] = json.loads(ended.stdout)
        return report

    @property
    def secret(self) -> str:
        return self.state.hooks.secrets[WORKSPACE].value

    @property
    def file(self) -> Path:
        return self.folder / "webhook-secret"

    @property
    def subscriptions(self) -> list[Subscription]:
        return list(self.state.hooks.subscriptions.values())

    @property
    def changes(self) -> list[str]:
        """What Prolific was asked to change."""
        return [f"{call.method} {call.path}" for call in self.state.calls]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    state = shipped_state(seed=3)
    async with running(create_app(state, token=TOKEN)) as url:
        yield Desk(state, url, tmp_path)


async def test_everything_is_set_up_from_nothing(desk: Desk) -> None:
    ended = await desk.run("--url", BASE, public_url=None)
    assert ended.returncode == 0, ended.stderr
    (made,) = desk.subscriptions
    assert (made.event_type, made.target_url) == (STATUS_CHANGE, TARGET)
    assert made.confirmed
    assert made.is_enabled
    assert desk.file.read_text().strip() == desk.secret
    assert S_IMODE(desk.file.stat().st_mode) == 0o600
    assert f"AUTOREVIEW_PUBLIC_URL={BASE}\n" in ended.stdout
    assert f"AUTOREVIEW_WEBHOOK_SECRETS_FILE={desk.file}\n" in ended.stdout


async def test_a_second_run_changes_nothing(desk: Desk) -> None:
    first = await desk.done()
    assert (first["secret"], first["subscription"]) == ("create", "create")
    before, secret = desk.changes, desk.secret
    again = await desk.done()
    assert (again["secret"], again["subscription"]) == ("reuse", "keep")
    assert again["subscription_id"] == first["subscription_id"]
    assert (desk.changes, desk.secret) == (before, secret)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(desk: Desk) -> None:
    report = await desk.done("--dry-run")
    assert (report["dry_run"], report["secret"], report["subscription"]) == (True, "create", "create")
    assert "Would" in (await desk.run("--dry-run")).stdout
    assert "Would" in (await desk.run("--dry-run", "--new-secret")).stdout
    assert desk.changes == []
    assert not desk.file.exists()


async def test_a_secret_that_is_there_is_used_and_not_replaced(desk: Desk) -> None:
    theirs = desk.state.hooks.new_secret(WORKSPACE)
    report = await desk.done("--out", "another-file")
    assert report["secret"] == "reuse"
    assert desk.secret == theirs.value == (desk.folder / "another-file").read_text().strip()


async def test_new_secret_needs_confirmation(desk: Desk) -> None:
    await desk.done()
    first = desk.secret
    asked = await desk.run("--new-secret")
    assert asked.returncode == 1, "nobody is there to answer"
    assert "refuses them" in " ".join(asked.stderr.split())
    assert (desk.secret, desk.file.read_text().strip()) == (first, first)
    report = await desk.done("--new-secret", "--yes")
    assert report["secret"] == "replace"
    assert desk.secret != first
    assert desk.file.read_text().strip() == desk.secret


async def test_a_disabled_subscription_is_enabled_again(desk: Desk) -> None:
    made = (await desk.done())["subscription_id"]
    desk.subscriptions[0].is_enabled = False
    report = await desk.done()
    assert (report["subscription"], report["subscription_id"]) == ("enable", made)
    assert [one.is_enabled for one in desk.subscriptions] == [True]


async def test_a_subscription_that_was_never_confirmed_is_made_anew(desk: Desk) -> None:
    desk.state.hooks.new_secret(WORKSPACE)
    half = desk.state.hooks.subscribe(WORKSPACE, STATUS_CHANGE, TARGET)
    report = await desk.done()
    (made,) = desk.subscriptions
    assert report["subscription"] == "recreate"
    assert made.id == report["subscription_id"] != half.id
    assert made.is_enabled


async def test_further_subscriptions_of_the_same_address_are_deleted(desk: Desk) -> None:
    made = (await desk.done())["subscription_id"]
    twin = desk.state.hooks.subscribe(WORKSPACE, STATUS_CHANGE, TARGET)
    report = await desk.done()
    assert (report["subscription_id"], report["deleted"]) == (made, [twin.id])
    assert [one.id for one in desk.subscriptions] == [made]


async def test_others_subscriptions_are_listed_and_left_as_they_are(desk: Desk) -> None:
    hooks = desk.state.hooks
    elsewhere = hooks.point_at(WORKSPACE, "https://elsewhere.example.org/webhooks/prolific", "theirs")
    of_studies = hooks.subscribe(WORKSPACE, "study.status.change", TARGET)
    report = await desk.done()
    assert {one["id"] for one in report["others"]} == {elsewhere.id, of_studies.id}
    gone = await desk.done("--disconnect")
    assert gone["deleted"] == [report["subscription_id"]]
    assert hooks.subscriptions == {elsewhere.id: elsewhere, of_studies.id: of_studies}
    assert elsewhere.is_enabled


async def test_disconnecting_deletes_the_subscription_and_keeps_the_secret(desk: Desk) -> None:
    await desk.done()
    before, secret = desk.changes, desk.secret
    assert len((await desk.done("--disconnect", "--dry-run"))["deleted"]) == 1
    assert desk.changes == before
    assert (await desk.run("--disconnect")).returncode == 0
    assert desk.subscriptions == []
    assert desk.secret == secret
    again = await desk.run("--disconnect")
    assert (again.returncode, "Nothing to delete" in again.stdout) == (0, True)


async def test_of_several_workspaces_one_has_to_be_chosen(desk: Desk) -> None:
    desk.state.workspaces[OTHER] = "The other lab"
    ended = await desk.run()
    assert ended.returncode == 2
    assert all(word in ended.stderr for word in (WORKSPACE, OTHER, "The other lab", "--workspace"))
    assert desk.changes == []
    report = await desk.done("--workspace", OTHER)
    assert report["workspace"]["id"] == OTHER
    assert [one.workspace_id for one in desk.subscriptions] == [OTHER]
    assert list(desk.state.hooks.secrets) == [OTHER]


async def test_foreign_workspace_is_reported(desk: Desk) -> None:
    ended = await desk.run("--workspace", "nowhere")
    assert ended.returncode == 1
    assert "no member of such a workspace" in ended.stderr


async def test_without_any_workspace_it_says_so(desk: Desk) -> None:
    desk.state.workspaces.clear()
    ended = await desk.run()
    assert ended.returncode == 1
    assert "member of no workspace" in ended.stderr


async def test_a_refused_token_and_a_missing_permission_say_what_to_do(desk: Desk) -> None:
    refused = await desk.run(prolific_token="a-wrong-one")
    assert refused.returncode == 1
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in refused.stderr
    assert "a-wrong-one" not in refused.stderr + refused.stdout
    for status in (401, 403, 404):
        desk.state.faults.add(Fault("hooks", status))
        ended = await desk.run()
        assert ended.returncode == 1
        assert str(status) in ended.stderr
        assert "--workspace" in ended.stderr
    assert desk.changes == []


async def test_an_unreachable_prolific_says_what_to_do(desk: Desk) -> None:
    ended = await desk.run(prolific_url="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "could not be reached" in ended.stderr
    assert "AUTOREVIEW_PROLIFIC_URL" in ended.stderr


async def set_up(desk: Desk) -> None:
    """What the command does, in this process."""
    async with Prolific(desk.url, lambda: TOKEN) as prolific:
        found = await look(prolific, await choose_workspace(prolific, None))
        await carry_out(prolific, plan(found, TARGET), desk.file)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("place", range(8))
async def test_wherever_a_run_is_cut_off_the_next_one_completes_it(
    desk: Desk, place: int, took_effect: bool
) -> None:
    """Each of the eight calls about webhooks fails once, before or after it took effect."""
    faults = desk.state.faults
    faults.add(*[Fault("hooks", latency=0.001) for _ in range(place)])  # the calls before it go well
    faults.add(Fault("hooks", 500, took_effect=took_effect))
    with pytest.raises(ServerError):
        await set_up(desk)
    await set_up(desk)
    (made,) = desk.subscriptions
    assert (made.is_enabled, made.confirmed) == (True, True)
    assert desk.file.read_text().strip() == desk.secret


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--url", "http://review.example.org"), "https"),
        (("--url", "nonsense"), "nonsense"),
        (("--out", "no/such/folder"), "--out"),
        (("--disconnect", "--new-secret"), "--disconnect"),
    ],
)
async def test_what_cannot_be_meant_is_said_before_anything_is_asked(
    desk: Desk, arguments: tuple[str, ...], named: str
) -> None:
    ended = await desk.run(*arguments)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert desk.state.faults.seen == []


async def test_the_address_and_the_token_are_needed(desk: Desk) -> None:
    nowhere = await desk.run(public_url=None)
    assert (nowhere.returncode, "AUTOREVIEW_PUBLIC_URL" in nowhere.stderr) == (2, True)
    nobody = await desk.run(prolific_token=None)
    assert (nobody.returncode, "AUTOREVIEW_PROLIFIC_TOKEN" in nobody.stderr) == (2, True)


async def test_an_address_that_prolific_cannot_reach_is_refused_before_anything_is_asked(desk: Desk) -> None:
    ended = await desk.run("--url", "https://10.0.0.3", prolific_url="https://prolific.invalid")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "public addresses only, and 10.0.0.3 is not public" in ended.stderr
