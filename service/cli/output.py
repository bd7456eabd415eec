"""How commands print: JSON for scripts, tables for people."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.domain.plain import plain

__all__ = ["Json", "console", "plain", "print_json", "print_table"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(value: Any) -> None:
    """One JSON value; flushed, so that a pipe that ends early is no error of ours."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def console(*, quiet: bool = False) -> Console:
    """Standard output; wide enough for ids where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, quiet=quiet)


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, title: str | None = None
) -> None:
    """Rows of text; whatever is in a cell is shown as it is, not read as markup."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text("" if row.get(name) is None else str(row.get(name))) for name in columns))
    console().print(table)
