"""Print findings in rule files: the message, the source line and a caret below the column."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.text import Text

from service.console.output import console, printable, text, width

if TYPE_CHECKING:
    from service.rules import Finding

STYLES = {"error": "bold red", "warning": "yellow", "allowed": "dim"}
WIDEST = 120  # cells of a source line, also where the terminal is wider or there is none
BEFORE = 40  # cells shown before the column of a line that is clipped


def print_findings(findings: "Iterable[Finding]", *, err: bool = False) -> None:
    out = console(err=err)
    for finding in findings:
        for line in finding_lines(finding, width()):
            out.print(line, soft_wrap=True)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def summary(files: int, rules: int, findings: "Iterable[Finding]") -> str:
    """Return the last line of `check`: ``2 files, 9 rules: 1 warning``."""
    severities = Counter(finding.severity for finding in findings)
    found = [counted(severities[name], name) for name in ("error", "warning") if severities[name]]
    allowed = [f"{severities['allowed']} allowed"] if severities["allowed"] else []
    return f"{counted(files, 'file')}, {counted(rules, 'rule')}: {', '.join([*(found or ['ok']), *allowed])}"


def finding_lines(finding: "Finding", columns: int) -> Iterator[Text]:
    message = printable(str(finding))
    wrapped = textwrap.wrap(
        message, columns, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    for line in wrapped:
        shown = text(line)
        shown.highlight_regex(rf"(?<={finding.code} ){finding.severity}\b", STYLES[finding.severity])
        yield shown
    if finding.source.strip():
        yield from excerpt(finding.source, finding.line, finding.column, columns)


def excerpt(source: str, line: int, column: int, columns: int) -> tuple[Text, Text]:
    """Return the source line, clipped around the column where it is too long, and the caret's line."""
    gutter = f"{line:>6} | "
    before, after = _shown(source[: column - 1]), _shown(source[column - 1 :])
    room = max(min(columns, WIDEST) - len(gutter), 2 * BEFORE // 3)
    if cell_len(before) + cell_len(after) > room:
        before = _last_cells(before, min(BEFORE, room // 2))
        after = _first_cells(after, room - cell_len(before))
    caret = " " * cell_len(before) + "^"
    return text(f"{gutter}{before}{after}"), text(f"{'|':>8} {caret}", style="bold")


def _shown(part: str) -> str:
    return printable(part.replace("\t", "    ")).rstrip("\n")


def _first_cells(part: str, cells: int) -> str:
    return part if cell_len(part) <= cells else f"{chop_cells(part, cells - 1)[0]}…"


def _last_cells(part: str, cells: int) -> str:
    if cell_len(part) <= cells:
        return part
    kept = part[-cells + 1 :]
    # Characters of East Asian scripts are two cells wide.
    while cell_len(kept) > cells - 1:
        kept = kept[1:]
    return f"…{kept}"
