"""``autoreview export``: what was decided, as files for the analysis."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.help import group
from service.console.output import Json, echo, print_json
from service.errors import ConfigurationError

app = group("Write what was decided into files for the analysis.")

TAG_COLUMNS = ("submission_id", "participant_id", "outcome", "tag", "decided_at")


@app.callback()
def export() -> None:
    """Write what was decided into files for the analysis."""


@app.command()
def tags(
    study: Annotated[str, typer.Option(help="The study's id.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; absent: standard output.")] = None,
    as_json: Json = False,
) -> None:
    """Write a CSV with the newest decision of each submission and its tag."""
    from service.cli.database import ask
    from service.domain.printable import csv_cell
    from service.store.audit import tags_of_study

    rows = ask(lambda connection: tags_of_study(connection, study))
    if as_json:
        print_json(rows)
        return
    cells = [TAG_COLUMNS]
    for row in rows:
        values = {**row, "decided_at": row["decided_at"].isoformat()}
        cells.append(tuple(csv_cell(values[column]) for column in TAG_COLUMNS))
    # No message on standard output: it would become a line of the file.
    if out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows(cells)
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(cells)
    except OSError as error:
        raise ConfigurationError(f"{out} can't be written: {error.strerror}.") from None
    echo(f"{len(rows)} submissions in {out}.")
