"""``holds`` and ``resolve`` as commands beside a running service."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.domain.submission import Status
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.manual.conftest import Command
from tests.integration.manual.orders import (
    APPROVED,
    HOLD,
    Later,
    held,
    resolved,
)
from tests.world import MESSAGE, World, rules_text, until

BOTH = HOLD.replace(STROOP, f"{STROOP}, {TWO_PARTS}")


def all_rows(database_url: str) -> dict[str, int]:
    """How many rows each table has that a decision touches."""
    tables = ("decisions", "attempts", "answers", "procrastinate_jobs", "brakes", "submissions", "inbox")
    with psycopg.connect(database_url) as connection:
        counted = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]  # noqa: S608
    return {table: row[0] for table, row in zip(tables, counted, strict=True) if row}


async def test_the_queue_is_shown_oldest_first_with_how_to_resolve_it(start: Start, command: Command) -> None:
    rules = """
  - name: no code
    when: submission.code_type == "NONE"
    hold: Look at the data.
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    hold: Look.
"""
    later = Later()
    async with start(rules_text(rules), clock=later) as world:
        assert (await command("holds")).stdout == "Nothing is held.\n"
        submissions = [await held(world, code=None), await held(world), await held(world)]
        with_rule = await command("holds", "--rule", "no code", "--json")
        assert [row["submission_id"] for row in json.loads(with_rule.stdout)] == [submissions[0].id]
        guarded = await command("holds", "--guard", "undecidable", "--json")
        assert len(json.loads(guarded.stdout)) == 2
        assert json.loads((await command("holds", "--study", TWO_PARTS, "--json")).stdout) == []
        shown = (await command("holds")).stdout
        places = [shown.index(submission.id) for submission in submissions]
        assert places == sorted(places)
        assert "age" in shown.splitlines()[0].split()
        assert "3 held: 2 by undecidable, 1 by a rule" in shown
        assert "autoreview resolve SUBMISSION" in shown
        assert "20 d" in shown
        assert (await command("holds", "--guard", "colour")).returncode == 2
        assert (await command("holds", "--csv", "--json")).returncode == 2


async def test_a_near_deadline_is_marked(start: Start, command: Command, database_url: str) -> None:
    async with start(HOLD) as world:
        near, far = await held(world), await held(world)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "UPDATE submissions SET data = data || jsonb_build_object('completed_at', now() - interval '19 days')"
                " WHERE id = %s",
                (near.id,),
            )
        lines = (await command("holds")).stdout.splitlines()
        (marked,) = [line for line in lines if near.id in line]
        (unmarked,) = [line for line in lines if far.id in line]
        assert "!" in marked
        assert "!" not in unmarked


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["approve"], Status.APPROVED),
        (["reject", "--category", "OTHER", "--message", MESSAGE], Status.REJECTED),
        (["request-return", "--reason", "No code.", "--reason", "No data."], Status.AWAITING_REVIEW),
        (["complete", "--code-type", "PARTIAL_PAYMENT", "--percentage", "50"], Status.PARTIALLY_APPROVED),
        (
            ["complete", "--code", "PAYPART7", "--percentage", "50", "--message", "Ta."],
            Status.PARTIALLY_APPROVED,
        ),
    ],
)
async def test_a_decision_on_the_command_line_reaches_prolific(
    start: Start, command: Command, arguments: list[str], status: Status
) -> None:
    async with start(BOTH) as world:
        submission = await held(world, study=TWO_PARTS, code="0NEPART1")
        ended = await command("resolve", submission.id, *arguments, "--by", "Ada", "--note", "seen", "--json")
        assert ended.returncode == 0, ended.stderr
        decision = await world.settled(submission.id, decisions=2)
        assert decision["id"] == json.loads(ended.stdout)["id"]
        assert (decision["by"], decision["note"], decision["status"]) == ("Ada", "seen", "applied")
        assert submission.status is status
        assert len(world.calls(submission.id)) == 1


async def test_a_hold_on_the_command_line_stays(start: Start, command: Command) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        ended = await command("resolve", submission.id, "hold", "--reason", "I ask.", "--by", "Ada")
        assert (ended.returncode, "stays held" in ended.stdout) == (0, True)
        assert (await world.decisions(submission.id))[0]["by"] == "Ada"


async def test_what_is_decided_or_unknown_exits_1_with_the_sentence(start: Start, command: Command) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, APPROVED)
        decided = await command("resolve", submission.id, "approve", "--by", "Bob")
        assert (decided.returncode, "Ada decided it" in decided.stderr) == (1, True)
        unknown = await command("resolve", "abc", "approve", "--by", "Bob")
        assert (unknown.returncode, "The service does not know" in unknown.stderr) == (1, True)
        assert "Traceback" not in decided.stderr + unknown.stderr


async def test_wrong_usage_exits_2_and_names_what_is_wrong(start: Start, command: Command) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        wrong = [
            ([submission.id, "approve"], "--by"),
            ([submission.id, "--by", "Ada"], "approve"),
            ([submission.id, "aprove", "--by", "Ada"], "did you mean approve"),
            ([submission.id, "approve", "--by", " "], "by:"),
            ([submission.id, "approve", "--category", "OTHER", "--by", "Ada"], "category"),
            ([submission.id, "reject", "--category", "OTHER", "--message", "short", "--by", "Ada"], "100"),
            ([submission.id, "reject", "--category", "OTHER", "--by", "Ada"], "message"),
            ([submission.id, "hold", "--by", "Ada"], "--reason"),
            ([submission.id, "complete", "--code-type", "NONE_SUCH", "--by", "Ada"], "NONE_SUCH"),
            ([submission.id, "complete", "--code-type", "PART", "--percentage", "0", "--by", "Ada"], "percentage"),
            ([submission.id, "approve", "--percentage", "0", "--by", "Ada"], "approve does not take it"),
            (["--from", "-", "--percentage", "0", "--by", "Ada"], "--action"),
            ([submission.id, "approve", "--by", "\u200b"], "invisible"),
            ([submission.id, "approve", "--by", "Ada", "--yes"], "--from"),
            ([submission.id, "approve", "--by", "Ada", "--from", "x.csv"], "--from"),
            (["--from", "/no/such/file.csv", "--by", "Ada"], "No such file"),
        ]  # fmt: skip
        for arguments, named in wrong:
            ended = await command("resolve", *arguments)
            assert (ended.returncode, named in ended.stderr) == (2, True), (arguments, ended.stderr)
            assert "Traceback" not in ended.stderr
        assert len(await world.decisions(submission.id)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["holds", "--study", "x\udcff"],
        ["holds", "--rule", "x\udcff", "--json"],
        ["holds", "--guard", "x\udcff"],
        ["decisions", "list", "--study", "x\udcff"],
        ["decisions", "list", "--submission", "x\udcff"],
        ["decisions", "list", "--since", "x\udcff"],
        ["pause", "--study", "x\udcff", "--by", "Ada", "--reason", "x"],
        ["resolve", "abc", "approve", "--by", "x\udcff"],
        ["resolve", "--from", "x\udcff", "--by", "Ada"],
    ],
)
async def test_an_argument_of_bytes_that_are_no_text_is_wrong_usage(
    command: Command, arguments: list[str]
) -> None:
    ended = await command(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_dry_run_writes_nothing_and_counts_as_the_real_run_does(
    start: Start, command: Command, database_url: str, tmp_path: Path
) -> None:
    """Of each kind one: approved, rejected, held, decided already, never heard of, impossible; the rest left alone."""
    async with start(HOLD) as world:
        approve, reject, hold, decided, impossible, alone = [await held(world) for _ in range(6)]
        await resolved(world, decided, APPROVED, by="Bob")
        await world.settled(decided.id, decisions=2)
        said: list[dict[str, Any]] = [
            {"submission_id": approve.id, "action": "approve", "note": "fine"},
            {"submission_id": reject.id, "action": "reject", "category": "OTHER", "message": MESSAGE},
            {"submission_id": hold.id, "action": "hold", "reasons": "I ask."},
            {"submission_id": decided.id, "action": "approve"},
            {"submission_id": impossible.id, "action": "complete", "code_type": "NONE_SUCH"},
            {"submission_id": "abc", "action": "approve"},
            {"submission_id": alone.id},
        ]
        sheet = tmp_path / "held.csv"
        exported = (await command("holds", "--csv")).stdout
        columns = next(csv.reader(io.StringIO(exported)))
        with sheet.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(said)
        before = all_rows(database_url)
        tried = await command("resolve", "--from", str(sheet), "--by", "Ada", "--json")
        shown = await command("resolve", "--from", str(sheet), "--by", "Ada")
        assert all_rows(database_url) == before
        done = await command("resolve", "--from", str(sheet), "--by", "Ada", "--json", "--yes")
        assert (tried.returncode, shown.returncode, done.returncode) == (1, 1, 1)
        dry, real = json.loads(tried.stdout), json.loads(done.stdout)
        assert (dry["dry_run"], real["dry_run"]) == (True, False)
        assert dry["decided"] == real["decided"] == {"approve": 1, "reject": 1, "hold": 1}
        assert (
            dry["refused"]
            == real["refused"]
            == {"already_decided": 1, "invalid_action": 1, "never_heard_of": 1}
        )
        assert "Would be decided: 3 (1 approve, 1 reject, 1 hold)" in shown.stdout
        assert "Bob decided it" in shown.stdout
        assert "Decide with --yes" in shown.stdout
        for submission, outcome in ((approve, "approve"), (reject, "reject")):
            decision = await world.settled(submission.id, decisions=2)
            assert (decision["by"], decision["outcome"], decision["status"]) == ("Ada", outcome, "applied")
        assert (await world.decisions(approve.id))[0]["note"] == "fine"
        assert len(await world.decisions(alone.id)) == 1
        assert (await world.decisions(hold.id))[0]["status"] == "held"


async def test_sheet_with_mistakes_lists_all_and_does_nothing(
    start: Start, command: Command, database_url: str, tmp_path: Path
) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        sheet = tmp_path / "f.csv"
        sheet.write_text(
            f"submission_id,action,message\n{submission.id},approve,\nb,aprove,\nc,reject,short\n"
        )
        before = all_rows(database_url)
        ended = await command("resolve", "--from", str(sheet), "--by", "Ada", "--yes")
        assert ended.returncode == 2
        lines = ended.stderr.splitlines()
        assert [line.removeprefix(f"{sheet}:").split(" ")[0] for line in lines] == ["3:2:", "4:2:", "4:3:"]
        assert all_rows(database_url) == before


async def test_a_sheet_that_says_nothing_is_wrong_usage_and_an_empty_queue_is_fine(
    start: Start, command: Command
) -> None:
    async with start(HOLD):
        nothing = await command(
            "resolve", "--from", "-", "--by", "Ada", stdin=b"submission_id,action\nabc,\n"
        )
        assert (nothing.returncode, "--action" in nothing.stderr) == (2, True)
        empty = (await command("holds", "--csv")).stdout.encode()
        none = await command(
            "resolve", "--from", "-", "--by", "Ada", "--action", "approve", "--yes", stdin=empty
        )
        assert (none.returncode, "Decided: 0" in none.stdout) == (0, True)


async def test_the_queue_goes_through_a_pipe(start: Start, command: Command) -> None:
    async with start(HOLD) as world:
        submissions = [await held(world) for _ in range(3)]
        exported = (await command("holds", "--csv")).stdout.encode()
        options = ("--category", "OTHER", "--message", MESSAGE, "--by", "Ada", "--note", "all alike", "--yes")
        ended = await command("resolve", "--from", "-", "--action", "reject", *options, stdin=exported)
        assert (ended.returncode, "Decided: 3 (3 reject)" in ended.stdout) == (0, True), ended.stderr
        for submission in submissions:
            assert (await world.settled(submission.id, decisions=2))["note"] == "all alike"
            assert submission.status is Status.REJECTED


async def test_a_sheet_can_be_run_again_without_deciding_twice(
    start: Start, command: Command, database_url: str
) -> None:
    async with start(HOLD) as world:
        submissions = [await held(world) for _ in range(3)]
        sheet = "submission_id,action\n" + "".join(f"{one.id},approve\n" for one in submissions)
        first = await command("resolve", "--from", "-", "--by", "Ada", "--yes", stdin=sheet.encode())
        assert first.returncode == 0
        again = await command(
            "resolve", "--from", "-", "--by", "Ada", "--yes", "--json", stdin=sheet.encode()
        )
        assert (again.returncode, json.loads(again.stdout)["refused"]) == (1, {"already_decided": 3})
        await until(lambda: _all_approved(world), "the approvals")
        assert [len(world.calls(one.id)) for one in submissions] == [1, 1, 1]


async def _all_approved(world: World) -> bool:
    return all(one.status is Status.APPROVED for one in world.sandbox.submissions.values())
