"""``autoreview doctor``: every check, well and unwell, and what it says to do."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from service.doctor.check import SET_RIGHT, Check
from service.doctor.examination import NAMES, examination
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.server import running, shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from tests.conftest import Start
from tests.process import autoreview, environment
from tests.world import EVIDENCE, SECRET, TOKEN, World, rules_text, write_rules

ALL = ("configuration", *NAMES)
OTHER = "5f0c3a1be7d94c0d87654321"


@contextmanager
def environ(settings: dict[str, object]) -> Iterator[None]:
    """This process with these settings and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment({name: value for name, value in settings.items() if value is not None}))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Practice:
    """A Prolific that is set up, and the settings of a service that goes with it."""

    state: SandboxState
    settings: dict[str, object]

    async def examine(self, workspace: str | None = None, **settings: object) -> dict[str, Check]:
        with environ({**self.settings, **settings}):
            checks = await examination(workspace)
        assert tuple(check.name for check in checks) == ALL, "one of the checks was not made"
        for check in checks:
            assert "\n" not in check.detail
            assert check.ok == (check.fix is None), "nothing says what to do"
            assert not any(secret in f"{check}" for secret in (SECRET, TOKEN, "pa55word"))
        return {check.name: check for check in checks}


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    state = shipped_state(seed=3)
    async with running(create_app(state, token=TOKEN)) as url:
        yield Practice(
            state,
            {
                "prolific_url": url,
                "prolific_token": TOKEN,
                "webhook_secrets": f"an-older-one,{SECRET}",
                "evidence_token": EVIDENCE,
                "rules_dir": write_rules(tmp_path / "rules", rules_text()),
                "data_dir": tmp_path / "data",
            },
        )


def connected(state: SandboxState, base: str) -> None:
    state.hooks.point_at(WORKSPACE, f"{base}/webhooks/prolific", SECRET)


def settings_of(world: World, database_url: str, rules: Path) -> dict[str, object]:
    return {
        "prolific_url": world.prolific_url,
        "prolific_token": TOKEN,
        "webhook_secrets": SECRET,
        "evidence_token": EVIDENCE,
        "rules_dir": rules,
        "public_url": world.url,
        "database_url": database_url,
    }


async def test_a_service_in_good_health_passes_every_check(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start() as world:
        await world.reviewed(world.completed())
        connected(world.sandbox, world.url)
        settings = settings_of(world, database_url, tmp_path / "rules")
        ended = await asyncio.to_thread(autoreview, "doctor", "--json", settings=settings)
        report = json.loads(ended.stdout)
        assert [check for check in report["checks"] if not check["ok"]] == []
        assert (ended.returncode, report["ok"]) == (0, True)
        assert report["checks"][0]["detail"].startswith("of the service at work: mode live: ")
        assert [check["name"] for check in report["checks"]] == list(ALL)
        assert all(set(check) == {"name", "ok", "detail", "fix"} for check in report["checks"])
        lines = (await asyncio.to_thread(autoreview, "doctor", settings=settings)).stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [["✓", name] for name in ALL]


async def test_anything_wrong_exits_1_with_a_line_that_says_what_to_do(practice: Practice) -> None:
    ended = await asyncio.to_thread(autoreview, "doctor", settings=practice.settings)
    assert ended.returncode == 1
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    assert len(lines) == len(ALL)
    (database,) = (line for line in lines if line.split()[1] == "database")
    assert database.startswith("✗")
    assert "autoreview serve" in database


async def test_source_without_credential_is_reported(practice: Practice) -> None:
    found = (await practice.examine(evidence_token=None))["evidence"]
    assert not found.ok
    assert "AUTOREVIEW_EVIDENCE_TOKEN" in found.detail


async def test_each_study_that_prolific_does_not_show_and_each_missing_code_is_a_line(
    practice: Practice, tmp_path: Path
) -> None:
    unknown = ["5f0c3a1be7d94c0d00000001", "5f0c3a1be7d94c0d00000002"]
    partial = """
  - name: half done
    when: submission.pace < 0.1
    complete: {code_type: PARTIAL_WORK}
"""
    text = rules_text(partial).replace("studies: [", f"studies: [{', '.join(unknown)}, ")
    rules = write_rules(tmp_path / "others", text)
    report = json.loads(
        (
            await asyncio.to_thread(
                autoreview, "doctor", "--json", settings=practice.settings | {"rules_dir": rules}
            )
        ).stdout
    )
    lines = [check for check in report["checks"] if check["name"] == "studies"]
    assert [check["ok"] for check in lines] == [False] * 3
    for study, check in zip([*unknown, "PARTIAL_WORK"], lines, strict=True):
        assert study in check["detail"]
        assert check["fix"]


async def test_without_a_running_service_no_database_is_started(practice: Practice, tmp_path: Path) -> None:
    found = await practice.examine()
    assert not found["database"].ok
    assert "none runs" in found["database"].detail
    assert found["schema"].detail == "not checked, because of database"
    assert not (tmp_path / "data").exists()


async def test_all_checks_run_after_a_failed_one(practice: Practice) -> None:
    found = await practice.examine(prolific_url="http://127.0.0.1:9")
    assert "could not be reached" in found["token"].detail
    assert "AUTOREVIEW_PROLIFIC_URL" in (found["token"].fix or "")
    for name in ("workspace", "balance", "secret", "subscription", "clock"):
        assert not found[name].ok
        assert "not checked" in found[name].detail
    assert found["rules"].ok


async def test_a_refused_or_missing_token_says_where_to_set_another(practice: Practice) -> None:
    refused = (await practice.examine(prolific_token="a-wrong-one"))["token"]
    assert not refused.ok
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in (refused.fix or "")
    missing = (await practice.examine(prolific_token=None))["token"]
    assert not missing.ok
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in missing.detail


async def test_wrong_setting_is_reported_and_other_checks_run(practice: Practice) -> None:
    unknown = await practice.examine(prolific_tokn="x")
    assert not unknown["configuration"].ok
    assert "AUTOREVIEW_PROLIFIC_TOKN" in unknown["configuration"].detail
    assert unknown["token"].ok
    unreadable = await practice.examine(port="x")
    assert "AUTOREVIEW_PORT" in unreadable["configuration"].detail
    assert "configuration" in unreadable["rules"].detail
    assert not any(check.ok for check in unreadable.values())
    twice = await practice.examine(prolific_token_file="/nowhere")
    assert "keep one of them" in twice["configuration"].detail


@pytest.mark.parametrize(
    "settings",
    [
        {"prolific_token": None},
        {"webhook_secrets": None, "webhook_secrets_file": "/nonexistent"},
        {"webhook_secrets_file": "/nonexistent"},
        {"public_url": "http://review.example.org"},
        {"database_url": "postgresql://me:pa55word@127.0.0.1:abc/x"},
    ],
)
async def test_of_every_wrong_setting_it_says_what_to_do(
    practice: Practice, settings: dict[str, object]
) -> None:
    checks = await practice.examine(None, **settings)
    assert any(not check.ok and check.fix == SET_RIGHT for check in checks.values())


@pytest.mark.parametrize("mode", ["observe", "approve-only", "live"])
async def test_each_mode_is_ok_and_shown(practice: Practice, mode: str) -> None:
    configuration = (await practice.examine(mode=mode))["configuration"]
    assert configuration.ok
    assert f"mode {mode}: " in configuration.detail


async def test_of_several_workspaces_it_takes_the_one_that_sends_here_or_that_is_named(
    practice: Practice,
) -> None:
    practice.state.workspaces[OTHER] = "The other lab"
    unclear = await practice.examine()
    assert not unclear["workspace"].ok
    assert "--workspace" in (unclear["workspace"].fix or "")
    assert "not checked" in unclear["secret"].detail
    assert OTHER in (await practice.examine(OTHER))["workspace"].detail
    assert not (await practice.examine("nowhere"))["workspace"].ok
    connected(practice.state, "http://127.0.0.1:1")
    assert WORKSPACE in (await practice.examine(public_url="http://127.0.0.1:1"))["workspace"].detail
    practice.state.workspaces.clear()
    assert "member of none" in (await practice.examine())["workspace"].detail


async def test_empty_wallet_is_notified(practice: Practice) -> None:
    practice.state.balance = 12_345
    assert "123.45 GBP" in (await practice.examine())["balance"].detail
    practice.state.balance = 0
    empty = (await practice.examine())["balance"]
    assert not empty.ok
    assert "Top the workspace up" in (empty.fix or "")


async def test_the_secret_has_to_be_the_workspaces(practice: Practice) -> None:
    none_there = (await practice.examine())["secret"]
    assert (none_there.ok, none_there.detail) == (False, "the workspace has none")
    connected(practice.state, "http://127.0.0.1:1")
    assert (await practice.examine())["secret"].ok
    none_here = (await practice.examine(webhook_secrets=None))["secret"]
    assert not none_here.ok
    assert "AUTOREVIEW_WEBHOOK_SECRETS_FILE" in (none_here.fix or "")
    practice.state.hooks.new_secret(WORKSPACE)
    replaced = (await practice.examine())["secret"]
    assert not replaced.ok
    assert "autoreview connect" in (replaced.fix or "")


async def test_the_subscription_has_to_be_enabled_and_to_send_here(practice: Practice) -> None:
    here = "http://127.0.0.1:1"
    assert not (await practice.examine())["subscription"].ok
    none = (await practice.examine(public_url=here))["subscription"]
    assert (none.ok, none.detail) == (False, f"none sends to {here}/webhooks/prolific")
    connected(practice.state, "http://127.0.0.1:2")
    elsewhere = (await practice.examine(public_url=here))["subscription"]
    assert not elsewhere.ok
    assert "http://127.0.0.1:2/webhooks/prolific" in elsewhere.detail
    unset = (await practice.examine())["subscription"]
    assert unset.ok, "without AUTOREVIEW_PUBLIC_URL nobody can say where here is"
    connected(practice.state, here)
    assert (await practice.examine(public_url=here))["subscription"].ok
    for known in practice.state.hooks.subscriptions.values():
        known.is_enabled = False
    disabled = (await practice.examine(public_url=here))["subscription"]
    assert (disabled.ok, disabled.fix) == (False, "Run `autoreview connect`.")
    assert "disabled" in disabled.detail


async def test_a_permission_that_is_missing_says_so(practice: Practice) -> None:
    practice.state.faults.add(Fault("hooks", 403, count=None))
    found = await practice.examine()
    assert found["token"].ok
    assert not found["subscription"].ok
    assert "403" in found["subscription"].detail
    assert "member" in (found["subscription"].fix or "")


@asynccontextmanager
async def prolific_at(date: str | None) -> AsyncIterator[str]:
    """A Prolific with a clock of its own, by hand: other servers set the header themselves."""
    told = f"Date: {date}\r\n" if date else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n{told}"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f'{head}\r\n{{"id":"me"}}'.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("date", "direction"),
    [("Sat, 01 Jan 2000 00:00:00 GMT", "ahead of"), ("Fri, 01 Jan 2100 00:00:00 GMT", "behind")],
)
async def test_clock_offset_is_reported(practice: Practice, date: str, direction: str) -> None:
    async with prolific_at(date) as url:
        clock = (await practice.examine(prolific_url=url))["clock"]
    assert not clock.ok
    assert direction in clock.detail
    assert "NTP" in (clock.fix or "")


@pytest.mark.parametrize("date", [None, "today"])
async def test_a_clock_that_cannot_be_compared_is_fine(practice: Practice, date: str | None) -> None:
    async with prolific_at(date) as url:
        assert (await practice.examine(prolific_url=url))["clock"].ok
    assert "off Prolific's" in (await practice.examine())["clock"].detail


async def test_unreachable_database_is_reported_without_password(practice: Practice) -> None:
    database = (await practice.examine(database_url="postgresql://me:pa55word@127.0.0.1:9/x"))["database"]
    assert not database.ok
    assert "can't be reached" in database.detail


async def test_another_versions_schema_says_what_to_run(practice: Practice, empty_database_url: str) -> None:
    found = await practice.examine(database_url=empty_database_url)
    assert found["database"].ok
    assert (found["schema"].ok, found["schema"].fix) == (False, "Run `autoreview migrate`.")
    assert found["worker"].detail == "not checked, because of schema"


async def test_silent_worker_is_reported(practice: Practice, database_url: str) -> None:
    none = (await practice.examine(database_url=database_url))["worker"]
    assert (none.ok, none.detail) == (False, "none is at work")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
        )
    silent = (await practice.examine(database_url=database_url))["worker"]
    assert not silent.ok
    assert "the last heartbeat was 360" in silent.detail


async def test_rules_with_errors_are_reported(practice: Practice, tmp_path: Path) -> None:
    write_rules(tmp_path / "rules", "version: 2\nname: [x]\n")
    rules = (await practice.examine())["rules"]
    assert not rules.ok
    assert "rules.yaml:1:" in rules.detail
    assert "autoreview check" in (rules.fix or "")
    assert not (await practice.examine(rules_dir=tmp_path / "nowhere"))["rules"].ok


async def test_a_public_address_that_is_not_set_is_fine(practice: Practice) -> None:
    assert (await practice.examine())["public_url"].ok


async def test_public_url_of_another_service_is_reported(practice: Practice) -> None:
    async def found(_: Request) -> Response:
        return JSONResponse({"hello": "world"})

    async def moved(_: Request) -> Response:
        return RedirectResponse("/elsewhere")

    for endpoint, told in ((found, "200"), (moved, "307")):
        async with running(Starlette(routes=[Route("/webhooks/prolific", endpoint)])) as url:
            elsewhere = (await practice.examine(public_url=url))["public_url"]
        assert not elsewhere.ok
        assert told in elsewhere.detail
    unreachable = (await practice.examine(public_url="http://127.0.0.1:9"))["public_url"]
    assert not unreachable.ok
    assert "can't be reached" in unreachable.detail
    assert not (await practice.examine(public_url="http://review.example.org"))["public_url"].ok


def test_it_uses_the_embedded_database_of_a_running_service(data_dir: Path) -> None:
    from service.postgres.embedded import embedded_postgres

    with embedded_postgres(data_dir):
        ended = autoreview("doctor", "--json", settings={"data_dir": data_dir})
    checks: dict[str, Any] = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert "embedded" in checks["database"]["detail"]
    assert checks["schema"]["ok"]
