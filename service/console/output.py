"""How commands print: JSON for scripts, tables for people.

Every text goes through here, so that none of a participant's acts on the terminal.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.domain.plain import plain
from service.domain.printable import printable, printable_json

__all__ = ["Json", "console", "echo", "plain", "print_json", "print_table", "printable", "text", "width"]

UNBOUNDED = 10_000  # columns
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


def width() -> int:
    """Return the columns of the terminal. A pipe or file has no bound: its lines are for other programs."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def console(*, quiet: bool = False, err: bool = False) -> Console:
    """Return standard output or standard error."""
    return Console(width=width(), highlight=False, quiet=quiet, stderr=err)


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, title: str | None = None
) -> None:
    """Rows of text; whatever is in a cell is shown as it is, not read as markup."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(text("" if row.get(name) is None else row.get(name)) for name in columns))
    console().print(table)
