"""``autoreview backtest``: what rules would have done to past submissions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.console.output import Json, console, echo, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from service.backtest.comparison import Comparison
    from service.backtest.run import Progress

DECIDED = "decided"
SHOWN = 20  # changed submissions that people see in the terminal


def backtest(
    study: Annotated[str, typer.Option(help="The study's id.")],
    rules: Annotated[
        Path | None, typer.Option(help="The rules that judge; AUTOREVIEW_RULES_DIR if left out.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="Compare with what was decided here (decided), or with another rule folder.")
    ] = DECIDED,
    since: Annotated[str | None, typer.Option(help="Completed or decided on this day or later.")] = None,
    as_json: Json = False,
) -> None:
    """Decide past submissions with given rules and show the difference; nothing is sent or recorded."""
    found = _ask(study, rules, against, _moment(since))
    if as_json:
        print_json(found.as_json())
    else:
        print_comparison(found)


def _moment(text: str | None) -> datetime | None:
    """Read a day, or a time with an offset."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since {text!r} is no day; write 2026-01-31") from None
    return found if found.tzinfo else datetime.combine(found, time(), UTC)


def _ask(study: str, rules: Path | None, against: str, since: datetime | None) -> "Comparison":
    from service.backtest.run import backtest as run
    from service.cli.database import ask
    from service.rules import load
    from service.settings import Settings

    book = load(rules or Settings.from_environment().rules_dir)
    other = None if against == DECIDED else load(Path(against))

    async def question(connection: "AsyncConnection") -> "Comparison":
        with _progress() as progress:
            return await run(connection, study, book, against=other, since=since, progress=progress)

    return ask(question)


@contextmanager
def _progress() -> "Iterator[Progress]":
    """Show a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(err=True), transient=True) as bar:
        task = bar.add_task("judging", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def print_comparison(found: "Comparison") -> None:
    """Print the matrix, what changed, and how each rule fared."""
    said = found.as_json()
    echo(f"{said['submissions']} submissions of study {said['study']}, {len(said['changed'])} changed")
    outcomes = sorted({new for row in said["matrix"].values() for new in row})
    rows = ({"old": old, **{new: row.get(new, 0) for new in outcomes}} for old, row in said["matrix"].items())
    print_table(("old", *outcomes), rows, title="old outcome (rows) by new outcome")
    changed = said["changed"]
    columns = ("submission_id", "old", "new", "old_rule", "new_rule", "manual", "reason")
    if changed:
        print_table(columns, changed[:SHOWN], title="changed")
    if len(changed) > SHOWN:
        echo(f"… and {len(changed) - SHOWN} more: --json lists all")
    counts = ("rule", "reached", "matched", "unknown", "because")
    print_table(counts, ({**rule, "because": _because(rule["unknown_because"])} for rule in said["rules"]))
    if said["as_of_now"]:
        echo(f"{said['as_of_now']} submissions were judged by facts that are known only as of now.")


def _because(fields: dict[str, int]) -> str:
    return ", ".join(f"{field} ({number})" for field, number in fields.items())
