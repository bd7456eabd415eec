"""``autoreview evidence``: what surveys send, as it arrives, and how to have them send it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.help import group
from service.console.output import Json, echo, plain, print_json, print_table
from service.errors import ConfigurationError

app = group("What surveys send, as it arrives, and how to have them send it.")

EXAMPLE_URL = "https://review.example.org"
LOOK_EVERY = 0.5  # seconds


@app.command("list")
def list_(
    submission: Annotated[str, typer.Argument(help="The submission's id.")],
    as_json: Json = False,
) -> None:
    """List what was sent for a submission, and what of it was refused, newest first.

    Exit 1 if nothing was.
    """
    from service.cli.database import ask
    from service.store.evidence import evidence_of
    from service.store.refusals import refusals_of

    async def found(connection: Any) -> tuple[list[Any], list[Any]]:
        return await evidence_of(connection, submission), await refusals_of(connection, submission)

    accepted, refused = ask(found)
    if as_json:
        print_json({"evidence": accepted, "refused": [_as_json(row) for row in refused]})
    else:
        rows = [
            {
                "time": f"{row['received_at']:%Y-%m-%d %H:%M:%S}",
                "source": row["source"],
                "origin": row["origin"],
                "values": _values(row["payload"], row["remarks"])
                + (" (ignored: another participant)" if row["conflict"] else ""),
            }
            for row in accepted
        ]
        rows += [
            {
                "time": f"{row.at:%Y-%m-%d %H:%M:%S}",
                "source": row.source,
                "origin": "refused",
                "values": row.message,
            }
            for row in refused
        ]
        print_table(
            ("time", "source", "origin", "values"), sorted(rows, key=lambda row: row["time"], reverse=True)
        )
    if not accepted and not refused:
        echo(f"Nothing was sent for submission {submission}.", err=True)
        raise typer.Exit(1)


@app.command()
def tail(
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    last: Annotated[
        int, typer.Option(min=0, max=1000, help="How many earlier deliveries to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
    as_json: Json = False,
) -> None:
    """Show deliveries as they arrive: each field as understood, or why the delivery was refused.

    With --json each delivery is one line.
    """
    import asyncio

    from service.cli.database import with_database
    from service.postgres.database import Database
    from service.store.evidence import delivered_after, last_delivered
    from service.store.refusals import last_refused, refused_after

    async def watch(database: Database) -> None:
        async with database.connect() as connection:
            stored, refused = await last_delivered(connection, last), await last_refused(connection, last)
        is_first = True
        while is_first or follow:
            async with database.connect() as connection:
                accepted = await delivered_after(connection, stored, source=source)
                problems = await refused_after(connection, refused, source=source)
            stored = max([stored, *(row.id for row in accepted)])
            refused = max([refused, *(row.id for row in problems)])
            rows: list[Any] = sorted([*accepted, *problems], key=lambda row: row.at)
            # Each of the two lists begins ``last`` rows back, so that together they have up to twice as many.
            for row in rows[max(0, len(rows) - last) :] if is_first else rows:
                _show(row, as_json=as_json)
            is_first = False
            if follow:
                await asyncio.sleep(LOOK_EVERY)

    with_database(watch)


def _show(row: Any, *, as_json: bool) -> None:
    import json

    if as_json:
        echo(json.dumps(plain(_as_json(row)), ensure_ascii=False))
        return
    time = f"{row.at.astimezone():%H:%M:%S}"
    if hasattr(row, "reason"):
        more = f" ({row.number} like it)" if row.number > 1 else ""
        echo(f"{time}  {row.source}  {row.submission_id or '?'}  REFUSED {row.reason}: {row.message}{more}")
    else:
        by = "" if row.origin == "push" else f" [{row.origin}]"
        echo(f"{time}  {row.source}  {row.submission_id}{by}  {_values(row.payload, row.remarks)}")


def _as_json(row: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {"refused": hasattr(row, "reason")} | asdict(row)


def _values(payload: dict[str, Any], remarks: dict[str, str] | None) -> str:
    import json

    values = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in payload.items()]
    missing = [f"MISSING {sentence}" for sentence in (remarks or {}).values()]
    return "; ".join([", ".join(values) or "no value", *missing])


@app.command()
def push(
    source: Annotated[str, typer.Argument(help="The source, as the rule file names it.")],
    file: Annotated[Path, typer.Argument(help="A CSV file with a row for each submission.")],
    yes: Annotated[bool, typer.Option("--yes", help="Store it; without, it is only shown.")] = False,
    as_json: Json = False,
) -> None:
    """Push a CSV file as evidence, read by the source's key and map; without --yes show what would be stored.

    Exit 1 if a row is refused.
    """
    from rich.progress import Progress

    from service.cli.database import with_service
    from service.console.output import console
    from service.evidence.file_push import Pushed, push_rows, read_file
    from service.postgres.database import Database
    from service.rules import load
    from service.settings import Settings

    settings = Settings.from_environment()
    book = load(settings.rules_dir)
    if not book.files_receiving(source):
        known = ", ".join(sorted({name for one in book.files for name in one.evidence})) or "none"
        raise ConfigurationError(
            f"No rule file in {settings.rules_dir} declares a source {source} with `from: push`. Declared: {known}."
        )
    rows = read_file(file)

    async def work(database: Database) -> Pushed:
        with Progress(console=console(quiet=as_json or not yes)) as progress:
            task = progress.add_task("rows", total=len(rows))
            return await push_rows(
                database,
                book,
                source,
                rows,
                is_dry=not yes,
                advance=lambda number: progress.advance(task, number),
            )

    pushed = with_service(work)
    if as_json:
        print_json({"rows": len(rows), "dry_run": not yes} | pushed.as_dict())
    else:
        _report(pushed, len(rows), yes=yes)
    if pushed.refused:
        raise typer.Exit(1)


def _report(pushed: Any, number: int, *, yes: bool) -> None:
    would = "stored" if yes else "would be stored"
    echo(
        f"{number} rows: {pushed.stored} {would}, {pushed.repeated} say what was sent before, "
        f"{len(pushed.refused)} refused."
    )
    for row, sentence in [*pushed.refused[:20], *pushed.warnings[:20]]:
        echo(f"  row {row}: {sentence}")
    if not yes and pushed.stored:
        echo("Nothing was stored. Run it again with --yes.")


@app.command()
def recipe(
    platform: Annotated[
        str,
        typer.Argument(
            help="qualtrics, redcap, jspsych, jatos, otree, limesurvey, typeform, formr, gorilla or sosci."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Print how a survey platform sends evidence: the rule file's block, what to paste where, and the pitfalls."""
    import os

    from service.evidence.recipe import PLATFORMS
    from service.evidence.recipe import recipe as recipe_of

    name = platform.lower()
    if name not in PLATFORMS:
        raise ConfigurationError(f"There is no recipe for {platform}: choose one of {', '.join(PLATFORMS)}.")
    found, base = recipe_of(name), os.environ.get("AUTOREVIEW_PUBLIC_URL") or EXAMPLE_URL
    if as_json:
        print_json(found.as_dict(base))
    else:
        echo(*found.as_text(base).splitlines())
