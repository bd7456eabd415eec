"""Print JSON for scripts and tables for people.

Every output uses this module, so that a participant's text can't control the terminal.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from service.console.table import UNBOUNDED, table_lines
from service.domain.plain import plain
from service.domain.printable import printable, printable_json

__all__ = [
    "Json",
    "Wide",
    "console",
    "echo",
    "plain",
    "print_json",
    "print_table",
    "printable",
    "text",
    "width",
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Wide = Annotated[
    bool,
    typer.Option("--wide", help="One line a row with every column, also where the terminal is narrower."),
]


def print_json(value: Any) -> None:
    """Print one JSON value. Typer flushes it, so that a closed pipe raises no error here."""
    typer.echo(printable_json(json.dumps(plain(value), indent=2, ensure_ascii=False)))


def echo(*lines: str, err: bool = False) -> None:
    """Print each text on its own line."""
    for line in lines:
        typer.echo(printable(line), err=err)


def text(value: object, style: str = "") -> Text:
    """Return a value on one line for ``console``. It is not interpreted as markup."""
    return Text(printable(str(value)), style=style)


def width() -> int:
    """Return the width of the terminal. A pipe or file has no limit: its lines are for other programs."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def console(*, quiet: bool = False, err: bool = False) -> Console:
    """Return standard output or standard error."""
    # https://no-color.org: without it rich still writes escape sequences for bold.
    colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(width=width(), highlight=False, quiet=quiet, stderr=err, color_system=colors)


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, title: str | None = None, wide: bool = False
) -> None:
    """Print rows of text. What does not fit stands below its row; ``wide`` prints each row on one line."""
    cells = [
        [printable("" if row.get(name) is None else str(row.get(name))) for name in columns] for row in rows
    ]
    out = console()
    if title:
        out.print(text(title, style="bold"))
    for number, line in enumerate(table_lines(columns, cells, UNBOUNDED if wide else width())):
        out.print(text(line, style="" if number else "bold"), soft_wrap=True)
