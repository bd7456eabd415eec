"""How commands print: JSON for scripts, tables for people.

Every text goes through here, so that none of a participant's acts on the terminal.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.domain.plain import plain
from service.domain.printable import printable, printable_json

__all__ = ["Json", "console", "echo", "plain", "print_json", "print_table", "text"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(value: Any) -> None:
    """One JSON value; flushed, so that a pipe that ends early is no error of ours."""
    typer.echo(printable_json(json.dumps(plain(value), indent=2, ensure_ascii=False)))


def echo(*lines: str, err: bool = False) -> None:
    """Print each text on a line of its own."""
    for line in lines:
        typer.echo(printable(line), err=err)


def text(value: object, style: str = "") -> Text:
    """Return a value on one line for ``console``; it is not read as markup."""
    return Text(printable(str(value)), style=style)


def console(*, quiet: bool = False) -> Console:
    """Standard output; wide enough for ids where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, quiet=quiet)


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, title: str | None = None
) -> None:
    """Rows of text; whatever is in a cell is shown as it is, not read as markup."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(text("" if row.get(name) is None else row.get(name)) for name in columns))
    console().print(table)
