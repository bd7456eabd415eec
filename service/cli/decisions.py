"""``autoreview decisions``: the audit trail in a terminal."""

import json
from typing import Annotated, Any

import typer

from service.console import Json, console, echo, plain, print_json, print_table, text
from service.errors import ConfigurationError

app = typer.Typer(help="What was decided, and why.", no_args_is_help=True)

COLUMNS = ("id", "decided_at", "submission_id", "outcome", "rule", "guard", "status", "trigger")


@app.command("list")
def list_(
    submission: Annotated[str | None, typer.Option(help="Of this submission.")] = None,
    study: Annotated[str | None, typer.Option(help="Of this study.")] = None,
    participant: Annotated[str | None, typer.Option(help="Of this participant.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="approve, reject, request_return, complete or hold.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Decided by the rule of this name.")] = None,
    status: Annotated[
        str | None, typer.Option(help="pending, applied, already, observed, held, superseded, failed.")
    ] = None,
    trigger: Annotated[
        str | None, typer.Option(help="webhook, sweep, evidence, recheck, rules or person.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Decided at this time or later, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Decided before this time, ISO 8601.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List decisions, newest first."""
    from starlette.datastructures import QueryParams

    from service.api.queries import BadQuery, decision_query
    from service.cli.database import ask
    from service.store.audit import list_decisions

    asked = {
        "submission": submission,
        "study": study,
        "participant": participant,
        "outcome": outcome,
        "rule": rule,
        "status": status,
        "trigger": trigger,
        "since": since,
        "until": until,
    }
    try:
        wanted, size, _ = decision_query(
            QueryParams({name: text for name, text in asked.items() if text} | {"limit": str(limit)})
        )
    except BadQuery as error:
        raise ConfigurationError(str(error)) from None
    rows = ask(lambda connection: list_decisions(connection, wanted, limit=size))
    if as_json:
        print_json(rows)
        return
    print_table(COLUMNS, ({**row, "decided_at": f"{row['decided_at']:%Y-%m-%d %H:%M:%S}"} for row in rows))


@app.command()
def show(
    decision: Annotated[int, typer.Argument(help="The decision's id.")],
    as_json: Json = False,
) -> None:
    """Show one decision whole: its facts, the trace of its rules, its attempts."""
    from service.cli.database import ask
    from service.store.audit import show_decision

    row = ask(lambda connection: show_decision(connection, decision))
    if row is None:
        echo(f"There is no decision {decision}.", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json(row)
    else:
        print_decision(plain(row))


def print_decision(row: dict[str, Any]) -> None:
    """A decision as people read it: the sentence first, then what it rests on."""
    out = console()
    guard = f" (the rules said {row['proposed']}, held by {row['guard']})" if row["guard"] else ""
    out.print(text(f"Decision {row['id']}: {row['outcome']}, {row['status']}{guard}", style="bold"))
    out.print(text(f"  {row['reason']}"))
    for name in (
        "submission_id",
        "study_id",
        "participant_id",
        "decided_at",
        "trigger",
        "mode",
        "rule",
        "rule_file",
        "rules_hash",
        "tag",
        "recheck_at",
    ):
        if row[name] is not None:
            out.print(text(f"  {name:15} {row[name]}"))
    if row["trace"]:
        out.print("  rules")
    for entry in row["trace"]:
        out.print(text(f"    {entry['result']:12} {entry['rule']}: {entry['why']}"))
    out.print("  facts")
    for name, value in _flat(row["facts"]):
        out.print(text(f"    {name:40} {json.dumps(value, ensure_ascii=False)}"))
    for attempt in row["attempts"]:
        out.print(text(f"  sent at {attempt['at']}: {json.dumps(attempt['request'], ensure_ascii=False)}"))
        out.print(
            text(f"    answer {attempt['status_code']}: {json.dumps(attempt['answer'], ensure_ascii=False)}")
        )


def _flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in facts.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found
