"""Backups of the embedded database: whole or refused, and restored with every decision, pause, breaker and hold."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.errors import SchemaMismatch
from service.postgres.backup import RESTORING, BadBackup, back_up, restore
from service.postgres.embedded import delete_database
from service.postgres.migrate import head
from service.sandbox.app import create_app
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.process import Running, autoreview, complete_settings, serving
from tests.world import ADMIN, EVIDENCE, MESSAGE, SECRET, bearer, rules_text, until, write_rules

RULES = rules_text(
    f"""
  - name: failed the checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
  - name: no code
    when: submission.code_type == "NONE"
    hold: No code.
""",
    more="limits: {reject: {per_day: 1}}",
)


@pytest.fixture
def backup(database_url: str, tmp_path: Path) -> Path:
    file = tmp_path / "autoreview.dump"
    assert back_up(database_url, file)["schema"] == head()
    return file


@pytest.fixture
def new_data_dir(tmp_path: Path) -> Iterator[Path]:
    """One that isn't there yet."""
    yield tmp_path / "data"
    delete_database(tmp_path / "data")


def test_a_backup_is_private_and_overwrites_nothing(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    ended = autoreview("backup", str(backup), settings={"data_dir": backup.parent / "data"})
    assert ended.returncode == 2


def test_a_truncated_or_changed_backup_is_refused_before_anything_is_created(
    backup: Path, new_data_dir: Path
) -> None:
    whole = backup.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    shares = (0.0, 0.001, 0.3, 0.6, 0.9, 0.999)
    cut = [whole[: int(len(whole) * share)] for share in shares] + [whole[:-1], whole[:-10]]
    for content in (*cut, bytes(changed)):
        backup.write_bytes(content)
        with pytest.raises(BadBackup, match="no complete backup"):
            restore(backup, new_data_dir)
        assert not new_data_dir.exists()


def test_no_backup_is_made_of_a_database_without_the_schema(empty_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch):
        back_up(empty_database_url, tmp_path / "other.dump")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_server_of_ones_own_has_its_own_backup(database_url: str, command: str, tmp_path: Path) -> None:
    ended = autoreview(command, str(tmp_path / "x"), settings={"database_url": database_url})
    assert (ended.returncode, "AUTOREVIEW_DATABASE_URL" in ended.stderr) == (2, True)


def test_a_schema_of_a_later_version_is_refused_in_a_sentence(
    database_url: str, tmp_path: Path, new_data_dir: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("DELETE FROM schema_heads")
    back_up(database_url, tmp_path / "later.dump")
    ended = autoreview("restore", str(tmp_path / "later.dump"), settings={"data_dir": new_data_dir})
    assert (ended.returncode, "9999" in ended.stderr) == (2, True)
    assert not (new_data_dir / "postgres").exists()
    assert not (new_data_dir / RESTORING).exists()


async def test_restored_decisions_pauses_breakers_and_holds_are_kept_and_nothing_is_decided_twice(
    tmp_path: Path, data_dir: Path
) -> None:
    state = shipped_state(time_scale=1000.0, seed=3)
    new, file = tmp_path / "new", tmp_path / "autoreview.dump"
    async with sandbox_running(create_app(state, token="sandbox-token")) as prolific_url:
        settings = complete_settings(write_rules(tmp_path / "rules", RULES), data_dir, prolific_url)
        state.hooks.point_at(WORKSPACE, f"http://127.0.0.1:{settings['port']}/webhooks/prolific", SECRET)
        async with serving(settings, tmp_path / "log") as service:
            await _decide_some(state, service)
            await _autoreview(
                "pause", "--study", TWO_PARTS, "--by", "Ada", "--reason", "x", settings=settings
            )
            written = await _autoreview("backup", str(file), "--json", settings=settings)
            assert json.loads(written.stdout)["schema"] == head()
            before = await _recorded(service)
            refused = await _autoreview("restore", str(file), settings=settings, code=2)
            assert str(data_dir) in refused.stderr
            await service.stop()
        calls = len(state.calls)
        try:
            restored = await _autoreview("restore", str(file), settings=settings | {"data_dir": new})
            assert "Nothing was started" in restored.stdout
            assert sorted(path.name for path in new.iterdir()) == ["postgres"]
            async with serving(
                settings | {"data_dir": new, "sweep_every": "1s"}, tmp_path / "log"
            ) as service:
                await until(lambda: _swept(service), "a sweep")
                after = await _recorded(service)
        finally:
            delete_database(new)
    assert after == before
    assert [pause["study"] for pause in after["pauses"]] == [TWO_PARTS]
    assert [breaker["limit"] for breaker in after["breakers"]] == ["limit.reject"]
    assert len(state.calls) == calls


async def _decide_some(state: SandboxState, service: Running) -> None:
    """One approval, one rejection, one that the limit holds, one that a rule holds, one that a person holds."""
    for code, failed in (("C0L0UR12", 0), ("C0L0UR12", 2), ("C0L0UR12", 3), (None, 0), ("N0THANKS", 4)):
        submission = state.reserve(STROOP, notify=False)
        said = {"attention_failed": failed, "consented": True}
        address = f"/evidence/survey/{submission.id}"
        (await service.http.put(address, json=said, headers=bearer(EVIDENCE))).raise_for_status()
        state.complete(submission, code, time_taken=700)
        await until(partial(_decided, service, submission.id), "a decision")
    order = {"action": {"hold": "I ask a colleague."}, "by": "Ada"}
    path = f"/api/submissions/{submission.id}/resolve"
    (await service.http.post(path, json=order, headers=bearer(ADMIN))).raise_for_status()


async def _get(service: Running, path: str) -> Any:
    return (await service.http.get(f"/api/{path}", headers=bearer(ADMIN))).raise_for_status().json()


async def _decided(service: Running, submission: str) -> bool:
    found = (await _get(service, f"decisions?submission={submission}"))["results"]
    return bool(found) and found[0]["status"] != "pending"


async def _swept(service: Running) -> bool:
    swept = (await _get(service, "status"))["sweep"] or {}
    return swept.get("ended_at") is not None


async def _recorded(service: Running) -> dict[str, Any]:
    status = await _get(service, "status")
    return {
        "decisions": (await _get(service, "decisions"))["results"],
        "holds": [(row["submission_id"], row["guard"]) for row in (await _get(service, "holds"))["results"]],
        "pauses": status["pauses"],
        "breakers": status["breakers"],
    }


async def _autoreview(*arguments: str, settings: dict[str, object], code: int = 0) -> Any:
    ended = await asyncio.to_thread(autoreview, *arguments, settings=settings)
    assert ended.returncode == code, ended.stderr
    return ended
