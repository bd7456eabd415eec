"""The first hour: what the sandbox prints works as typed, from its start to an approved submission."""

import asyncio
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from service.postgres.embedded import delete_database
from service.rules import check
from tests import warm
from tests.process import autoreview, environment, free_port
from tests.world import until


@asynccontextmanager
async def typed(line: str, folder: Path) -> AsyncIterator[Process]:
    """A line that a person typed in a shell; interrupted at the end of the block."""
    shell = environment({}) | {"PYTHONUNBUFFERED": "1"}
    shell["PATH"] = f"{folder / 'bin'}:{shell['PATH']}"
    with (folder / "typed.log").open("ab") as log:
        process = await asyncio.create_subprocess_shell(
            f"exec {line}", cwd=folder, env=shell, stdout=PIPE, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


async def output(line: str, folder: Path) -> str:
    async with typed(line, folder) as process:
        assert process.stdout
        said = await process.stdout.read()
        assert await process.wait() == 0, line
    return said.decode()


async def printed(process: Process) -> list[str]:
    """The lines that the sandbox prints at its start."""
    assert process.stdout
    lines = list[str]()
    while not lines or "Ctrl-C" not in lines[-1]:
        line = await process.stdout.readline()
        assert line, "the sandbox ended"
        lines.append(line.decode().strip())
    return lines


async def test_from_the_sandbox_to_an_approved_submission_by_what_it_prints(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "sandbox.env"
    start = f"autoreview sandbox --port 0 --write-env {file} --webhook-url http://127.0.0.1:{port}/webhooks/prolific"
    warm.write_command(tmp_path / "bin")
    try:
        async with typed(start, tmp_path) as sandbox:
            lines = await printed(sandbox)
            assert file.stat().st_mode & 0o777 == 0o600
            rules = tmp_path / "sandbox-rules"
            assert [finding.severity for finding in check(rules)] == []
            (serve,) = [line for line in lines if line.startswith("autoreview serve")]
            (finish,) = [line for line in lines if "/sandbox/submissions/ -d" in line]
            (push,) = [line for line in lines if line.startswith("curl") and "SUBMISSION" in line]
            (ask,) = [line for line in lines if line.startswith("autoreview decisions list")]
            async with typed(serve, tmp_path), httpx.AsyncClient() as http:
                await until(lambda: ready(http, port), "the service")
                found = re.search(r'"id": ?"(\w+)"', await output(finish, tmp_path))
                assert found
                await output(f"{push.replace('SUBMISSION', found[1])} --fail", tmp_path)

                async def approved() -> bool:
                    said = await output(ask, tmp_path)
                    return found[1] in said and "approve" in said and "applied" in said

                await until(approved, "the approval")
    finally:
        delete_database(tmp_path / ".autoreview" / "sandbox")


async def ready(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AUTOREVIEW_MODE=loud\n", "AUTOREVIEW_MODE"),
        ("AUTOREVIEW_MODDE=live\n", "AUTOREVIEW_MODE?"),
        ("AUTOREVIEW_MODE\n", ":1: write NAME=value"),
        ("# a comment\nexport AUTOREVIEW_DATABASE_URL='sqlite:///x'\n", "must start with postgresql://"),
    ],
)
def test_invalid_settings_file_is_reported(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.env").write_text(text)
    ended = autoreview("holds", "--env-file", str(tmp_path / "x.env"), settings={"mode": "live"})
    assert ended.returncode == 2
    assert said in ended.stderr


def test_missing_settings_file_is_reported(tmp_path: Path) -> None:
    ended = autoreview("holds", "--env-file", str(tmp_path / "none.env"))
    assert (ended.returncode, "none.env" in ended.stderr) == (2, True)


def test_the_sandbox_replaces_no_file_of_another(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=1\n")
    ended = autoreview("sandbox", "--port", "0", "--write-env", str(tmp_path / ".env"))
    assert ended.returncode == 2
    assert (tmp_path / ".env").read_text() == "SECRET=1\n"
