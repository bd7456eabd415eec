"""Decide many submissions from a sheet. Without ``--yes`` it only shows what would be done."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.console.output import console, echo, print_json, print_table, text
from service.domain.decision import Action
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from service.manual.batch import Result
    from service.manual.sheet import Row
    from service.postgres.database import Database

SHOWN = 200  # rows of the list in a terminal
WHY = {
    "already_decided": "decided already, or not awaiting review",
    "invalid_action": "not possible for this study",
    "never_heard_of": "unknown submission",
}


def resolve_sheet(
    sheet: str, fill: Action | None, by: str, note: str | None, *, yes: bool, as_json: bool
) -> None:
    """Try all rows, or with ``yes`` decide them. Exit 1 if any is refused."""
    from service.manual.batch import counts

    by, note = _named(by, note)
    results = _run(_read(sheet, fill, note), by, dry_run=not yes)
    found = counts(results)
    if as_json:
        print_json({"dry_run": not yes, **found, "results": [result.as_dict() for result in results]})
    else:
        _print(results, dry_run=not yes)
    if found["refused"]:
        raise typer.Exit(1)


def _named(by: str, note: str | None) -> tuple[str, str | None]:
    from service.manual.texts import cleaned, name_of

    try:
        return name_of(by), cleaned(note) if note else None
    except ValueError as error:
        raise ConfigurationError(f"--by and --note: {error}") from None


def _read(sheet: str, fill: Action | None, note: str | None) -> "list[Row]":
    from service.manual.sheet import read_sheet

    name = "standard input" if sheet == "-" else sheet
    try:
        data = sys.stdin.buffer.read() if sheet == "-" else Path(sheet).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from None
    found = read_sheet(data, name, fill)
    if found.left_alone and not found.rows:
        raise ConfigurationError(
            f"{name}: no row has an action. Fill in that column, or name one with --action."
        )
    return [row if row.note else replace(row, note=note) for row in found.rows]


def _run(rows: "Sequence[Row]", by: str, *, dry_run: bool) -> "list[Result]":
    from rich.console import Console
    from rich.progress import Progress

    from service.cli.database import with_database, with_service
    from service.manual.batch import resolve_all

    results: list[Result] = []

    async def work(database: "Database") -> None:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Trying" if dry_run else "Deciding", total=len(rows))
            async for result in resolve_all(database, rows, by=by, dry_run=dry_run):
                results.append(result)
                progress.advance(task)

    try:
        # A dry run needs no worker: it rolls back.
        with_database(work) if dry_run else with_service(work)
    # Also on Ctrl-C: each row is committed by itself, so that those before it stay decided.
    except BaseException:
        if results and not dry_run:
            echo(f"Stopped after {len(results)} of {len(rows)} rows; these are decided.", err=True)
        raise
    return results


def _print(results: "Sequence[Result]", *, dry_run: bool) -> None:
    refused = [result for result in results if result.refusal]
    decided = [result for result in results if not result.refusal]
    if dry_run and decided:
        rows = [
            {"submission": result.row.submission_id, "action": result.row.action.outcome.value}
            for result in decided[:SHOWN]
        ]
        print_table(("submission", "action"), rows)
        if len(decided) > SHOWN:
            echo(f"… and {len(decided) - SHOWN} more; --json lists all.")
    out = console()
    for result in refused:
        out.print(text(f"Refused, line {result.row.line}, {result.row.submission_id}: {result.refusal}"))
    _print_counts(decided, refused, dry_run=dry_run)


def _print_counts(decided: "Sequence[Result]", refused: "Sequence[Result]", *, dry_run: bool) -> None:
    would = "Would be decided" if dry_run else "Decided"
    actions = Counter(result.row.action.outcome.value for result in decided)
    reasons = Counter(result.refusal.code for result in refused if result.refusal)
    echo(f"{would}: {len(decided)}{_listed(actions)}")
    echo(f"Refused: {len(refused)}{_listed({WHY[code]: number for code, number in reasons.items()})}")
    if dry_run and decided:
        echo("Nothing was done yet. Decide with --yes.")


def _listed(numbers: "dict[str, int] | Counter[str]") -> str:
    return f" ({', '.join(f'{number} {what}' for what, number in numbers.items())})" if numbers else ""
