"""``autoreview demo``, with fewer people than usual."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx

from service.postgres.embedded import delete_database
from service.sandbox.studies import STROOP, TWO_PARTS
from tests import warm
from tests.process import autoreview, environment
from tests.world import until


def test_rehearsal_decides_each_participant_correctly(tmp_path: Path) -> None:
    ended = autoreview("demo", "--participants", "66", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["ok"] is True
    assert figures["submissions"] == sum(figures["outcomes"].values()) == 66
    assert all(count > 0 for count in figures["outcomes"].values()), "all five outcomes are seen"
    assert figures["transitions"] == 66 - figures["outcomes"]["hold"]
    assert figures["webhooks_failed"] == 0
    assert figures["webhooks_delivered"] >= 3 * 66
    folder = tmp_path / ".autoreview" / "demo"
    for study in (STROOP, TWO_PARTS):
        assert_same_rules_make_no_difference(folder, study)
    delete_database(tmp_path / ".autoreview" / "demo")


def assert_same_rules_make_no_difference(folder: Path, study: str) -> None:
    """A backtest with the same rules, over evidence that was pushed, fetched or sent by browsers, finds no difference."""
    words = ("backtest", "--study", study, "--rules", str(folder / "rules"), "--json")
    ended = autoreview(*words, "--fail-if", "changed > 0", settings={"data_dir": folder})
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert (found["submissions"], found["changed"], found["as_of_now"]) == (33, [], 0)
    assert sorted(found["matrix"]) == sorted(new for row in found["matrix"].values() for new in row)
    assert len(found["matrix"]) == 4


async def test_kept_demo_runs_until_interrupted_and_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        words = ("demo", "--participants", "4", "--keep")
        variables = environment({}) | {"PYTHONUNBUFFERED": "1"}
        process = await asyncio.to_thread(warm.start, words, env=variables, log=output, cwd=tmp_path)

    async def kept() -> bool:
        assert process.poll() is None, log.read_text()
        return "Stop with Ctrl-C." in log.read_text()

    await until(kept, "the demo to stay")
    shown = log.read_text()
    (look,) = (line for line in shown.splitlines() if "all decisions" in line)
    command = look.partition("all decisions")[2].strip()
    bare = {"PATH": os.defpath, "HOME": str(tmp_path)}  # as typed: without the environment of this process
    typed = await asyncio.create_subprocess_shell(
        command, cwd=tmp_path, env=bare, stdout=asyncio.subprocess.PIPE
    )
    listed, _ = await typed.communicate()
    assert (typed.returncode, b"approve" in listed or b"hold" in listed) == (0, True), command
    url = next(word for word in shown.split() if word.endswith("/readyz?verbose"))
    assert httpx.get(url).status_code == 200
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        await process.wait()
    process.close()
    try:
        httpx.get(url)
    except httpx.TransportError:
        pass
    else:
        raise AssertionError("the service is still up")
    delete_database(tmp_path / ".autoreview" / "demo")
