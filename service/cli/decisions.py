"""``autoreview decisions``: lists and shows recorded decisions."""

from datetime import datetime
from typing import Annotated, Any

import typer

from service.cli.help import group
from service.console.decision import print_decision
from service.console.output import Json, Wide, echo, plain, print_json, print_table
from service.domain import moment
from service.domain.decision import DecisionStatus, Guard, Outcome, Trigger
from service.errors import ConfigurationError

app = group("List and show recorded decisions.")

COLUMNS = ("id", "submission_id", "decided_at", "outcome", "status", "guard", "rule", "trigger")


def _of(what: str) -> Any:
    return typer.Option(metavar="ID", help=f"Of this {what}.")


def _one_of(metavar: str, names: str) -> Any:
    return typer.Option(metavar=metavar, help=names)


def _time(bound: str) -> Any:
    return typer.Option(metavar="TIME", help=f"Decided {bound}, ISO 8601.")


STATUSES = "pending, applied, already, observed, held, superseded, failed."


@app.command("list")
def list_(
    submission: Annotated[str | None, _of("submission")] = None,
    study: Annotated[str | None, _of("study")] = None,
    participant: Annotated[str | None, _of("participant")] = None,
    outcome: Annotated[
        Outcome | None, _one_of("OUTCOME", "approve, reject, request_return, complete or hold.")
    ] = None,
    rule: Annotated[str | None, _one_of("NAME", "Decided by the rule of this name.")] = None,
    status: Annotated[DecisionStatus | None, _one_of("STATUS", STATUSES)] = None,
    trigger: Annotated[
        Trigger | None, _one_of("TRIGGER", "webhook, sweep, evidence, recheck, rules or person.")
    ] = None,
    guard: Annotated[Guard | None, _one_of("GUARD", "Changed by this guard.")] = None,
    since: Annotated[str | None, _time("at this time or later")] = None,
    until: Annotated[str | None, _time("before this time")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of decisions.")] = 100,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List decisions, newest first."""
    from service.cli.database import ask
    from service.store.audit import DecisionFilter, list_decisions

    begin, end = _moment("since", since), _moment("until", until)
    wanted = DecisionFilter(
        submission, study, participant, outcome, rule, guard, status, trigger, since=begin, until=end
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
