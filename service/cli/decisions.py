"""``autoreview decisions``: lists and shows recorded decisions."""

from datetime import datetime
from typing import Annotated

import typer

from service.cli.help import group
from service.console.decision import print_decision
from service.console.output import Json, Wide, echo, plain, print_json, print_table
from service.domain import moment
from service.domain.decision import DecisionStatus, Guard, Outcome, Trigger
from service.errors import ConfigurationError

app = group("List and show recorded decisions.")

COLUMNS = ("id", "submission_id", "decided_at", "outcome", "status", "guard", "rule", "trigger")


@app.command("list")
def list_(
    submission: Annotated[str | None, typer.Option(metavar="ID", help="Of this submission.")] = None,
    study: Annotated[str | None, typer.Option(metavar="ID", help="Of this study.")] = None,
    participant: Annotated[str | None, typer.Option(metavar="ID", help="Of this participant.")] = None,
    outcome: Annotated[
        Outcome | None,
        typer.Option(metavar="OUTCOME", help="approve, reject, request_return, complete or hold."),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", help="Decided by the rule of this name.")
    ] = None,
    status: Annotated[
        DecisionStatus | None,
        typer.Option(metavar="STATUS", help="pending, applied, already, observed, held, superseded, failed."),
    ] = None,
    trigger: Annotated[
        Trigger | None,
        typer.Option(metavar="TRIGGER", help="webhook, sweep, evidence, recheck, rules or person."),
    ] = None,
    guard: Annotated[Guard | None, typer.Option(metavar="GUARD", help="Changed by this guard.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Decided at this time or later, ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Decided before this time, ISO 8601.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of decisions.")] = 100,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List decisions, newest first."""
    from service.cli.database import ask
    from service.store.audit import DecisionFilter, list_decisions

    wanted = DecisionFilter(
        submission=submission,
        study=study,
        participant=participant,
        outcome=outcome,
        rule=rule,
        status=status,
        trigger=trigger,
        guard=guard,
        since=_moment("since", since),
        until=_moment("until", until),
    )
    rows = ask(lambda connection: list_decisions(connection, wanted, limit=limit))
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "decided_at": f"{row['decided_at']:%Y-%m-%d %H:%M:%S}"} for row in rows]
    print_table(COLUMNS, shown, wide=wide)


def _moment(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    found = moment.parse(text)
    if found is None:
        raise ConfigurationError(f"{name} must be a time such as 2026-01-31T12:00:00Z, not {text!r}.")
    return found


@app.command()
def show(
    decision: Annotated[int, typer.Argument(help="The decision's id.")],
    as_json: Json = False,
) -> None:
    """Show one decision with its facts, the trace of its rules and its attempts."""
    from service.cli.database import with_database
    from service.rulebook.recorded import explained_decision

    row = with_database(lambda database: explained_decision(database, decision))
    if row is None:
        echo(f"There is no decision {decision}.", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json(row)
    else:
        print_decision(plain(row))
