"""``autoreview holds``: lists the submissions that are held for manual review."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.console.output import Json, Wide, echo, print_json, print_table
from service.domain.decision import Guard

if TYPE_CHECKING:
    from service.store.holds import HeldSubmission

NEAR = timedelta(days=3)
COLUMNS = ("submission", "age", "deadline", "guard", "study", "proposed", "rule", "reason")
HOW = (
    "Decide one:  autoreview resolve SUBMISSION approve --by NAME",
    "Decide many: autoreview holds --csv > held.csv, then autoreview resolve --from held.csv --by NAME",
)


def holds(
    study: Annotated[str | None, typer.Option(help="Of this study.")] = None,
    rule: Annotated[str | None, typer.Option(help="Held by the rule of this name.")] = None,
    guard: Annotated[Guard | None, typer.Option(metavar="GUARD", help="Held by this guard.")] = None,
    wide: Wide = False,
    as_json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, to fill in and give to `resolve --from`.")
    ] = False,
) -> None:
    """List the submissions that wait for a person, the longest held first. Prolific approves each at its deadline."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    from service.cli.database import ask
    from service.store.holds import list_holds

    now, held_by = datetime.now(UTC), guard.value if guard else None
    rows = ask(
        lambda connection: list_holds(connection, now, study=study, rule=rule, guard=held_by, limit=None)
    )[::-1]
    if as_json:
        print_json([asdict(row) for row in rows])
    elif as_csv:
        from service.manual.sheet import write_sheet

        write_sheet(rows, sys.stdout)
    else:
        _print(rows, now, wide=wide)


def _print(rows: Sequence["HeldSubmission"], now: datetime, *, wide: bool = False) -> None:
    if not rows:
        echo("Nothing is held.")
        return
    print_table(COLUMNS, [_row(row, now) for row in rows], wide=wide)
    guards = Counter(row.guard or ("a person" if row.by else "a rule") for row in rows)
    numbers = ", ".join(f"{number} by {guard}" for guard, number in guards.most_common())
    echo(f"{len(rows)} held: {numbers}", *HOW)


def _row(row: "HeldSubmission", now: datetime) -> dict[str, str | None]:
    return {
        "submission": row.submission_id,
        "age": length(row.age_s),
        "deadline": _deadline(row.deadline - now),
        "guard": row.guard,
        "study": row.study_id,
        "proposed": row.proposed,
        "rule": row.rule,
        "reason": row.reason,
    }


def _deadline(left: timedelta) -> str:
    """Return when Prolific approves by itself, with a mark when that is near."""
    remaining = f"in {length(int(left.total_seconds()))}" if left > timedelta(0) else "over"
    return f"{remaining} !" if left <= NEAR else remaining


def length(seconds: int) -> str:
    """Return a length in whole days, hours or minutes: ``3 d``, ``5 h``, ``12 min``."""
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds // 60} min"
