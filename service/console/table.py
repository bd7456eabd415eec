"""Tables for people: no cell is ever cut, so that ids can be copied at any width."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

UNBOUNDED = 10_000  # columns, where there is no terminal
GAP = "  "
BELOW = "    "  # the indentation of what does not fit


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield the header and the rows.

    The first columns stand in the row as far as they fit. The others follow below it as ``name: value``.
    """
    widths = [
        max(cell_len(columns[place]), *(cell_len(row[place]) for row in rows))
        if rows
        else cell_len(columns[place])
        for place in range(len(columns))
    ]
    shown = _fitting(widths, width)
    yield _joined(columns[:shown], widths)
    for row in rows:
        yield _joined(row[:shown], widths)
        rest = [f"{name}: {value}" for name, value in zip(columns[shown:], row[shown:], strict=True) if value]
        yield from textwrap.wrap(
            " · ".join(rest),
            width,
            initial_indent=BELOW,
            subsequent_indent=BELOW,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _fitting(widths: Sequence[int], width: int) -> int:
    """Return how many columns fit, at least one."""
    used = 0
    for place, size in enumerate(widths):
        used += size + (len(GAP) if place else 0)
        if used > width:
            return max(place, 1)
    return len(widths)


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (size - cell_len(cell)) for cell, size in zip(cells, widths, strict=False)]
    return GAP.join(padded).rstrip()
