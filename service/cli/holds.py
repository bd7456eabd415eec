"""``autoreview holds``: what waits for a person."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from service.console.output import Json, console, echo, print_json, text
from service.domain.decision import Guard

if TYPE_CHECKING:
    from service.store.holds import HeldSubmission

NEAR = timedelta(days=3)


def holds(
    study: Annotated[str | None, typer.Option(help="Of this study.")] = None,
    rule: Annotated[str | None, typer.Option(help="Held by the rule of this name.")] = None,
    guard: Annotated[Guard | None, typer.Option(metavar="GUARD", help="Held by this guard.")] = None,
    as_json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, to fill in and give to `resolve --from`.")
    ] = False,
) -> None:
    """What is held for a person, the longest held first; Prolific itself approves it at its deadline."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    now = datetime.now(UTC)
    rows = _holds(now, study, rule, guard)
    if as_json:
        print_json([asdict(row) for row in rows])
    elif as_csv:
        from service.manual.sheet import write_sheet

        write_sheet(rows, sys.stdout)
    else:
        _print(rows, now)


def _holds(
    now: datetime, study: str | None, rule: str | None, guard: Guard | None
) -> Sequence["HeldSubmission"]:
    from service.cli.database import ask
    from service.store.holds import list_holds

    rows = ask(
        lambda connection: list_holds(
            connection, now, study=study, rule=rule, guard=guard.value if guard else None, limit=None
        )
    )
    return rows[::-1]


def _print(rows: Sequence["HeldSubmission"], now: datetime) -> None:
    if not rows:
        echo("Nothing is held.")
        return
    out = console()
    out.print(_table(rows, now))
    guards = Counter(row.guard or ("a person" if row.by else "a rule") for row in rows)
    numbers = ", ".join(f"{number} by {guard}" for guard, number in guards.most_common())
    out.print(text(f"{len(rows)} held: {numbers}", style="bold"))
    out.print(
        text(
            "Decide one: autoreview resolve SUBMISSION approve --by NAME · many: autoreview holds --csv > held.csv,"
            " then autoreview resolve --from held.csv --by NAME"
        )
    )


def _table(rows: Sequence["HeldSubmission"], now: datetime) -> Table:
    table = Table()
    table.add_column("age", no_wrap=True)
    table.add_column("submission", no_wrap=True)
    for name in ("study", "deadline", "guard", "rule", "proposed", "reason"):
        table.add_column(name)
    for row in rows:
        plain = (row.study_id, row.guard, row.rule, row.proposed, row.reason)
        study, guard, rule, proposed, reason = (text(str(value or "")) for value in plain)
        age = text(length(row.age_s))
        table.add_row(
            age,
            text(row.submission_id),
            study,
            _deadline(row.deadline - now),
            guard,
            rule,
            proposed,
            reason,
        )
    return table


def _deadline(left: timedelta) -> Text:
    """When Prolific will decide by itself, with a mark when it is near."""
    said = f"in {length(int(left.total_seconds()))}" if left > timedelta(0) else "over"
    return text(f"{said} !", style="bold red") if left <= NEAR else text(said)


def length(seconds: int) -> str:
    """``3 d``, ``5 h`` or ``12 min``: so many whole ones."""
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds // 60} min"
