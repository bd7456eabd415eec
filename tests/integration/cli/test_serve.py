"""``autoreview serve`` as a process: what stops it before it listens, and how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from service.postgres.embedded import delete_database
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests import warm
from tests.process import autoreview, complete_settings, environment, free_port, serving
from tests.world import (
    ADMIN,
    EVIDENCE,
    SECRET,
    TOKEN,
    bearer,
    rules_text,
    signed,
    status_change,
    until,
    write_rules,
)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write_rules(tmp_path / "rules", rules_text())


@pytest.fixture
def new_data_dir(tmp_path: Path) -> Iterator[Path]:
    """One that isn't there yet."""
    yield tmp_path / "data"
    delete_database(tmp_path / "data")


@pytest.fixture
async def prolific() -> AsyncIterator[tuple[SandboxState, str]]:
    state = shipped_state(time_scale=1000.0, seed=3)
    async with sandbox_running(create_app(state, token=TOKEN)) as url:
        yield state, url


def completed(state: SandboxState) -> str:
    submission = state.reserve(STROOP, notify=False)
    state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
    return submission.id


async def tell(http: httpx.AsyncClient, submission: str, event_id: str) -> int:
    body = status_change(submission)
    answer = await http.post("/webhooks/prolific", content=body, headers=signed(body, event_id=event_id))
    return answer.status_code


async def decided(http: httpx.AsyncClient, submission: str) -> list[dict[str, object]]:
    answer = await http.get("/api/decisions", params={"submission": submission}, headers=bearer(ADMIN))
    found: list[dict[str, object]] = answer.json()["results"]
    return found


def test_all_missing_settings_are_named_at_once(rules: Path, tmp_path: Path) -> None:
    ended = autoreview("serve", settings={"rules_dir": rules, "data_dir": tmp_path / "data"})
    assert ended.returncode == 2
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in ended.stderr
    assert "AUTOREVIEW_WEBHOOK_SECRETS" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists(), "nothing was started"


def test_rule_files_with_errors_stop_it_with_all_their_positions(tmp_path: Path) -> None:
    folder = write_rules(
        tmp_path / "rules",
        rules_text(
            "\n  - name: a\n    when: submission.pase < 1.0\n    approve:\n  - name: a\n    when: true\n    hold: b\n"
        ),
    )
    write_rules(folder, "version: 2\n", "other.yaml")
    ended = autoreview("serve", settings=complete_settings(folder, tmp_path / "data"))
    assert ended.returncode == 2
    assert f"{folder}/rules.yaml:12:11: " in ended.stderr
    assert "submission.pace" in ended.stderr
    assert f"{folder}/other.yaml:1:10: " in ended.stderr


@pytest.mark.parametrize("only", ["web", "worker"])
def test_web_or_worker_alone_needs_a_database_url(rules: Path, tmp_path: Path, only: str) -> None:
    ended = autoreview("serve", "--only", only, settings=complete_settings(rules, tmp_path / "data"))
    assert ended.returncode == 2
    assert "AUTOREVIEW_DATABASE_URL" in ended.stderr


def test_unknown_setting_is_an_error_that_names_the_nearest(rules: Path, tmp_path: Path) -> None:
    settings = complete_settings(rules, tmp_path / "data") | {"prolific_tokn": "secret-value"}
    ended = autoreview("serve", settings=settings)
    assert ended.returncode == 2
    assert "AUTOREVIEW_PROLIFIC_TOKN" in ended.stderr
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in ended.stderr
    assert "secret-value" not in ended.stderr


def test_setting_in_lower_case_is_refused(rules: Path, tmp_path: Path) -> None:
    env = environment(complete_settings(rules, tmp_path / "data")) | {"autoreview_mode": "live"}
    ended = warm.run(["serve"], env=env)
    assert ended.returncode == 2
    assert b"Unknown setting autoreview_mode: did you mean AUTOREVIEW_MODE?" in ended.stderr


def test_port_in_use_is_named(rules: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = complete_settings(rules, tmp_path / "data") | {"port": taken.getsockname()[1]}
        ended = autoreview("serve", settings=settings)
    assert ended.returncode == 2
    assert "AUTOREVIEW_PORT" in ended.stderr


async def test_sigterm_fails_readyz_first_then_ends_the_service_and_keeps_its_data(
    rules: Path, new_data_dir: Path, tmp_path: Path, prolific: tuple[SandboxState, str]
) -> None:
    state, prolific_url = prolific
    settings = complete_settings(rules, new_data_dir, prolific_url)
    log = tmp_path / "log"
    submission = completed(state)
    async with serving(settings, log) as service:
        assert await tell(service.http, submission, "e-1") == 202
        await until(lambda: _applied(service.http, submission), "the decision")
        service.process.send_signal(signal.SIGTERM)

        async def draining() -> bool:
            return (await service.http.get("/readyz")).status_code == 503

        await until(draining, "readyz to fail while requests are still answered")
        assert await tell(service.http, submission, "e-1") == 200
        assert await asyncio.wait_for(service.process.wait(), 30) == 0
    async with serving(settings, log) as service:
        assert [row["status"] for row in await decided(service.http, submission)] == ["applied"]
        assert await tell(service.http, submission, "e-1") == 200, "the inbox remembers"
        await service.stop()
    text = log.read_text()
    for secret in (SECRET, TOKEN, ADMIN, EVIDENCE):
        assert secret not in text
    assert f'"submission_id": "{submission}"' in text
    events = [json.loads(line)["event"] for line in text.splitlines() if line.startswith("{")]
    assert events[0] == "starting"
    assert events.index("database.creating") < events.index("serving"), (
        "the first start shows what it waits for"
    )
    assert events[-1] == "stopped"


async def _applied(http: httpx.AsyncClient, submission: str) -> bool:
    return [row["status"] for row in await decided(http, submission)] == ["applied"]


async def test_killed_while_prolific_is_asked_it_applies_the_decision_once(
    rules: Path, data_dir: Path, tmp_path: Path, prolific: tuple[SandboxState, str]
) -> None:
    state, prolific_url = prolific
    settings = complete_settings(rules, data_dir, prolific_url)
    submission = completed(state)
    state.faults.add(Fault("transition", took_effect=True, latency=30))
    async with serving(settings, tmp_path / "log") as service:
        await tell(service.http, submission, "e-1")

        async def asked() -> bool:
            return bool(state.calls_for(submission))

        await until(asked, "the transition")
        await service.stop(signal.SIGKILL)
    async with serving(settings, tmp_path / "log") as service:

        async def settled() -> list[object]:
            found = [row["status"] for row in await decided(service.http, submission)]
            return found if found != ["pending"] else []

        assert await until(settled, "the decision to be settled") == ["already"]
    assert len(state.calls_for(submission)) == 1


async def test_killed_embedded_postgresql_is_started_again(
    rules: Path, data_dir: Path, tmp_path: Path, prolific: tuple[SandboxState, str]
) -> None:
    state, prolific_url = prolific
    settings = complete_settings(rules, data_dir, prolific_url)
    async with serving(settings, tmp_path / "log") as service:
        for life in range(2):
            server = server_of(service.process.pid)
            os.kill(server, signal.SIGKILL)

            async def ready(old: int = server) -> bool:
                again = server_of(service.process.pid)
                return again not in (0, old) and (await service.http.get("/readyz")).status_code == 200

            await until(ready, "PostgreSQL to be back")
            submission = completed(state)
            assert await tell(service.http, submission, f"e-{life}") == 202
            await until(partial(_applied, service.http, submission), "the decision")
        last = server_of(service.process.pid)
        assert await service.stop() == 0
        assert not psutil.pid_exists(last), "it ends with its service"
    assert '"event": "postgres.ended"' in (tmp_path / "log").read_text()


def server_of(service: int) -> int:
    """The postmaster among the service's children; 0 while there is none."""
    found = [child for child in psutil.Process(service).children(recursive=True) if _is_postmaster(child)]
    return found[0].pid if found else 0


def _is_postmaster(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "-D" in process.cmdline() and "postgres" in process.name()
    return False


async def test_second_service_on_a_data_dir_names_its_owner(
    rules: Path, data_dir: Path, tmp_path: Path
) -> None:
    settings = complete_settings(rules, data_dir)
    async with serving(settings, tmp_path / "log") as service:
        ended = await asyncio.to_thread(autoreview, "serve", settings=settings | {"port": free_port()})
        assert ended.returncode == 2
        assert str(service.process.pid) in ended.stderr
        assert "AUTOREVIEW_DATA_DIR" in ended.stderr


async def test_web_and_worker_in_processes_of_their_own(
    rules: Path, database_url: str, tmp_path: Path, prolific: tuple[SandboxState, str]
) -> None:
    state, prolific_url = prolific
    common = complete_settings(rules, tmp_path / "data", prolific_url) | {"database_url": database_url}
    del common["prolific_token"]
    submission = completed(state)
    async with serving(common, tmp_path / "web", "--only", "web") as web:
        worker_settings = common | {"port": free_port(), "prolific_token": TOKEN}
        del worker_settings["webhook_secrets"]
        async with serving(worker_settings, tmp_path / "worker", "--only", "worker") as worker:
            assert await tell(web.http, submission, "e-1") == 202
            await until(lambda: _applied(web.http, submission), "the worker's work")
            assert await worker.stop() == 0
        assert (await web.http.get("/readyz")).status_code == 200
        assert await web.stop() == 0


async def test_a_database_without_a_schema_is_waited_for(
    rules: Path, empty_database_url: str, tmp_path: Path, prolific: tuple[SandboxState, str]
) -> None:
    state, prolific_url = prolific
    settings = complete_settings(rules, tmp_path / "data", prolific_url) | {
        "database_url": empty_database_url
    }
    submission = completed(state)
    migrated = asyncio.get_running_loop().run_in_executor(None, _migrate_later, settings)
    async with serving(settings, tmp_path / "log") as service:  # ready only once the schema is there
        assert (await migrated) == (1, 0)
        await tell(service.http, submission, "e-1")
        await until(lambda: _applied(service.http, submission), "the decision")


async def test_web_alone_without_a_schema_stops_cleanly_and_logs_nothing_of_a_worker(
    rules: Path, empty_database_url: str, tmp_path: Path
) -> None:
    settings = complete_settings(rules, tmp_path / "data") | {"database_url": empty_database_url}
    log = tmp_path / "log"
    with log.open("ab") as output:
        process = await asyncio.to_thread(
            warm.start, ["serve", "--only", "web"], env=environment(settings), log=output
        )
    try:
        await until(lambda: _logged(log, "schema.missing"), "the missing schema to be logged")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings['port']}", timeout=30) as http:
            assert await tell(http, "unknown", "e-1") == 503
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        process.kill()
        process.close()
    text = log.read_text()
    assert "Traceback" not in text
    assert "worker" not in text
    assert text.count("schema.missing") == 1


async def _logged(log: Path, event: str) -> bool:
    return event in log.read_text()


def _migrate_later(settings: dict[str, object]) -> tuple[int, int]:
    """A wrong address first, so that the mistake is reported; then the right one."""
    wrong = autoreview("migrate", settings={"database_url": "postgresql://nobody@127.0.0.1:1/none"})
    assert "can't be reached" in wrong.stderr
    return min(wrong.returncode, 1), autoreview(
        "migrate", settings={"database_url": settings["database_url"]}
    ).returncode
