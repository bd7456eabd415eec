"""The other commands, in a terminal and for scripts."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service import __version__
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.process import autoreview, complete_settings
from tests.world import TOKEN, rules_text, write_rules


def test_version_is_printed() -> None:
    assert autoreview("--version").stdout.strip() == __version__


def test_check_says_ok_of_good_rules_and_needs_no_settings(tmp_path: Path) -> None:
    ended = autoreview("check", str(write_rules(tmp_path, rules_text())))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_check_prints_every_error_with_position_and_exits_1(tmp_path: Path) -> None:
    write_rules(tmp_path / "rules", "version: 2\nname: [x]\n")
    ended = autoreview("check", "rules", cwd=tmp_path)
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert any(line.startswith("rules/rules.yaml:1:10: RUL") for line in lines)
    assert len(lines) >= 3
    as_json = json.loads(autoreview("check", "rules", "--json", cwd=tmp_path).stdout)
    assert as_json["ok"] is False
    assert {"file", "line", "column", "code", "path", "message", "severity"} <= set(as_json["findings"][0])


def test_wrong_usage_exits_2() -> None:
    assert autoreview("serve", "--only", "nothing").returncode == 2
    assert autoreview("no-such-command").returncode == 2


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("mode", "loud", "AUTOREVIEW_MODE"),
        ("port", "x", "AUTOREVIEW_PORT"),
        ("sweep_every", "soon", "AUTOREVIEW_SWEEP_EVERY"),
        ("database_url", "sqlite:///x", "AUTOREVIEW_DATABASE_URL"),
        ("limit_reject_per_day", "-1", "AUTOREVIEW_LIMIT_REJECT_PER_DAY"),
        ("prolific_url", "http://x:abc", "AUTOREVIEW_PROLIFIC_URL"),
        ("public_url", "review.example.org", "AUTOREVIEW_PUBLIC_URL"),
        ("prolific_concurrency", "0", "AUTOREVIEW_PROLIFIC_CONCURRENCY"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_exits_2(variable: str, value: str, named: str) -> None:
    ended = autoreview("serve", settings={variable: value})
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hun@ter2@127.0.0.1/x",
        "postgresql://me:hunter2@127.0.0.1:abc/x",
        "postgresql://me:hunter2@[::1/x",
        "postgresql://me:hunter2@127.0.0.1/x?sslmod=require",
    ],
)
@pytest.mark.parametrize("command", ["migrate", "holds"])
def test_unreadable_database_url_is_reported_without_password(command: str, url: str) -> None:
    ended = autoreview(command, settings={"database_url": url})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("AUTOREVIEW_DATABASE_URL ")
    assert "ter2" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_secrets_that_are_nothing_but_commas_are_none(tmp_path: Path) -> None:
    settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), tmp_path / "data")
    ended = autoreview("serve", settings=settings | {"webhook_secrets": " , "})
    assert (ended.returncode, "AUTOREVIEW_WEBHOOK_SECRETS" in ended.stderr) == (2, True)


def test_what_kubernetes_injects_for_a_service_of_that_name_is_ignored(tmp_path: Path) -> None:
    injected = {
        "service_host": "10.0.0.1",
        "service_port": "8080",
        "service_port_http": "8080",
        "port": "tcp://10.0.0.1:8080",
        "port_8080_tcp": "tcp://10.0.0.1:8080",
        "port_8080_tcp_addr": "10.0.0.1",
    }
    ended = autoreview("serve", cwd=tmp_path, settings=injected)
    assert "Unknown setting" not in ended.stderr
    assert "tcp://" not in ended.stderr


async def test_decisions_are_listed_and_shown(start: Start, database_url: str) -> None:
    async with start() as world:
        decision = await world.reviewed(world.completed())
        settings = {"database_url": database_url}
        table = await asyncio.to_thread(autoreview, "decisions", "list", settings=settings)
        assert (table.returncode, "approve" in table.stdout) == (0, True)
        listed = await asyncio.to_thread(autoreview, "decisions", "list", "--json", settings=settings)
        assert [row["id"] for row in json.loads(listed.stdout)] == [decision["id"]]
        none = await asyncio.to_thread(
            autoreview, "decisions", "list", "--outcome", "reject", "--json", settings=settings
        )
        assert json.loads(none.stdout) == []
        shown = await asyncio.to_thread(
            autoreview, "decisions", "show", str(decision["id"]), settings=settings
        )
        assert decision["reason"] in shown.stdout
        assert "submission.code_type" in shown.stdout
        missing = await asyncio.to_thread(autoreview, "decisions", "show", "4711", settings=settings)
        assert missing.returncode == 1


def test_schema_mismatch_names_the_command_to_run(empty_database_url: str) -> None:
    ended = autoreview("decisions", "list", settings={"database_url": empty_database_url})
    assert ended.returncode == 2
    assert "autoreview migrate" in ended.stderr


@pytest.fixture
async def prolific() -> AsyncIterator[str]:
    state = shipped_state(seed=5)
    for number in range(45):
        submission = state.reserve(STROOP, notify=False)
        if number % 3:
            state.complete(submission, "=cmd()" if number == 1 else "C0L0UR12", time_taken=700, notify=False)
    async with sandbox_running(create_app(state, token=TOKEN)) as url:
        yield url


async def test_submissions_are_listed_with_filters_as_table_json_and_csv(prolific: str) -> None:
    settings = {"prolific_url": prolific, "prolific_token": TOKEN}

    async def listed(*options: str) -> str:
        ended = await asyncio.to_thread(
            autoreview, "submissions", "list", "--study", STROOP, *options, settings=settings
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    everything = json.loads(await listed("--json", "--page-size", "20"))
    assert len({row["id"] for row in everything}) == 45
    waiting = json.loads(await listed("--json", "--status", "AWAITING_REVIEW"))
    assert len(waiting) == 30
    assert waiting == json.loads(await listed("--json", "--awaiting-review"))
    assert json.loads(await listed("--json", "--submitted-before", "2001-01-01")) == []
    assert len(json.loads(await listed("--json", "--page", "2", "--page-size", "10"))) == 10
    rows = list(csv.DictReader(io.StringIO(await listed("--csv"))))
    assert len(rows) == 45
    assert "'=cmd()" in {row["study_code"] for row in rows}, "no spreadsheet is to run what somebody entered"
    assert "AWAITING REVIEW" in await listed()


async def test_a_list_with_rows_missing_is_printed_and_said_to_be_incomplete_with_exit_1() -> None:
    state = shipped_state(seed=5)
    row = {"participant_id": "p", "status": "AWAITING REVIEW"}
    rows = [row | {"id": "a"}, "nonsense", row | {"id": "b", "status": "ACTIVE"}]
    body = {"results": rows, "_links": {"next": {"href": None}}, "meta": {"count": 4}}
    state.faults.add(Fault("submissions", body=json.dumps(body).encode(), count=None))
    async with sandbox_running(create_app(state, token=TOKEN)) as url:
        ended = await asyncio.to_thread(
            autoreview, "submissions", "list", "--study", STROOP, "--status", "AWAITING_REVIEW", "--json",
            settings={"prolific_url": url, "prolific_token": TOKEN},
        )  # fmt: skip
    assert ended.returncode == 1
    assert [one["id"] for one in json.loads(ended.stdout)] == ["a"], "Prolific may ignore the status"
    assert ended.stderr.strip() == "Prolific's list is incomplete: 2 of 4 submissions could be read"


async def test_a_refusal_of_prolific_is_a_sentence_and_exits_1(prolific: str) -> None:
    ended = await asyncio.to_thread(
        autoreview, "submissions", "list", "--study", STROOP,
        settings={"prolific_url": prolific, "prolific_token": "a-wrong-one"},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "401" in ended.stderr
    assert "a-wrong-one" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
