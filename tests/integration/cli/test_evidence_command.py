"""``autoreview evidence``: deliveries on screen as they arrive, a submission's evidence, and files."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from service.sandbox.studies import STROOP
from tests import warm
from tests.conftest import Start
from tests.process import autoreview, environment
from tests.world import ADMIN, EVIDENCE, World, bearer, until, write_rules

RULES = f"""
version: 1
name: A survey
studies: [{STROOP}]
evidence:
  survey:
    from: push
    fields: {{failed: int, comment: string}}
    key: SESSION_ID
    map: {{failed: checks_failed}}
rules: []
otherwise: approve
"""


def settings(database_url: str, tmp_path: Path) -> dict[str, object]:
    return {"database_url": database_url, "rules_dir": write_rules(tmp_path / "rules", RULES)}


async def post(world: World, **row: object) -> None:
    await world.http.post("/evidence/survey", json=row, headers=bearer(EVIDENCE))


async def test_deliveries_are_listed_with_each_field_as_understood_and_refusals_with_the_reason(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start(RULES) as world:
        await post(world, SESSION_ID="abc", check_failed="2", comment="ü\x1b")
        await post(world, SESSION_ID="abc", checks_failed="two")
        await post(world, SESSION_ID="${e://Field/SESSION_ID}", checks_failed="2")
        chosen = settings(database_url, tmp_path)
        ended = await asyncio.to_thread(autoreview, "evidence", "tail", "--no-follow", settings=chosen)
        first, second, third = ended.stdout.splitlines()
        assert (
            'survey  abc  comment="ü\\u001b"; MISSING failed: nothing at checks_failed; did you mean `check_failed`?'
            in first
        )
        assert "REFUSED evidence: Source survey, submission abc: failed (at checks_failed): 'two'" in second
        assert "REFUSED no_key" in third
        assert "declare SESSION_ID as embedded data" in third

        ended = await asyncio.to_thread(
            autoreview, "evidence", "tail", "--no-follow", "--json", "--last", "1", settings=chosen
        )
        assert [json.loads(line)["reason"] for line in ended.stdout.splitlines()] == ["no_key"]

        ended = await asyncio.to_thread(autoreview, "evidence", "list", "abc", "--json", settings=chosen)
        found = json.loads(ended.stdout)
        assert (ended.returncode, len(found["evidence"]), len(found["refused"])) == (0, 1, 1)
        ended = await asyncio.to_thread(autoreview, "evidence", "list", "nobody", settings=chosen)
        assert ended.returncode == 1


async def test_a_delivery_is_on_screen_while_tail_runs(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start(RULES) as world:
        given = settings(database_url, tmp_path)
        shown = tmp_path / "shown"
        with shown.open("wb") as output:
            process = await asyncio.to_thread(
                warm.start, ["evidence", "tail", "--last", "1"], env=environment(given), log=output
            )
        with process:
            try:
                for name in ("first", "second"):
                    await post(world, SESSION_ID=name, checks_failed="1")
                    await until(lambda name=name: has(shown, f"{name}  failed=1"), name)  # type: ignore[misc]
            finally:
                process.send_signal(signal.SIGTERM)
                await process.wait()


async def has(file: Path, text: str) -> bool:
    return text in file.read_text()


FILE = """SESSION_ID;checks_failed;comment
one;2;a
two;zwei;b
three;;c
;1;d
four;1
"""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_a_file_is_shown_first_and_stored_with_yes(
    start: Start, database_url: str, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "data.csv"
    file.write_text(FILE, encoding=encoding)
    async with start(RULES) as world:
        chosen = settings(database_url, tmp_path)
        ended = await asyncio.to_thread(
            autoreview, "evidence", "push", "survey", str(file), "--json", settings=chosen
        )
        told = json.loads(ended.stdout)
        assert (ended.returncode, told["rows"], told["dry_run"], told["stored"]) == (1, 5, True, 2)
        assert [row["row"] for row in told["refused"]] == [3, 5, 6]
        assert "'zwei' is not a whole number" in told["refused"][0]["error"]
        assert (await world.http.get("/api/submissions/one", headers=bearer(ADMIN))).status_code == 404

        ended = await asyncio.to_thread(
            autoreview, "evidence", "push", "survey", str(file), "--yes", settings=chosen
        )
        assert "5 rows: 2 stored, 0 say what was sent before, 3 refused." in ended.stdout
        (stored,) = (await world.api("submissions/one"))["evidence"]
        assert (stored["payload"], stored["origin"]) == ({"failed": 2, "comment": "a"}, "file")
        ended = await asyncio.to_thread(
            autoreview, "evidence", "push", "survey", str(file), "--yes", settings=chosen
        )
        assert "0 stored, 2 say what was sent before" in ended.stdout

        async def reviewed() -> bool:
            return bool((await world.api("status"))["jobs"]["queued"] == 0)

        await until(reviewed)


def test_a_file_for_an_undeclared_source_and_an_unknown_platform_are_exit_2(tmp_path: Path) -> None:
    chosen = settings("postgresql://127.0.0.1:1/none", tmp_path)
    ended = autoreview("evidence", "push", "srvey", "x.csv", settings=chosen)
    assert (ended.returncode, "Declared: survey" in ended.stderr) == (2, True)
    ended = autoreview("evidence", "recipe", "surveymonkey")
    assert (ended.returncode, "choose one of qualtrics" in ended.stderr) == (2, True)
    ended = autoreview(
        "evidence", "recipe", "Qualtrics", "--json", settings={"public_url": "https://review.lab.org"}
    )
    assert "https://review.lab.org/evidence/qualtrics" in json.loads(ended.stdout)["steps"][1]
