"""Sections, tables, code blocks and links of the Markdown pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = (
    "README.md",
    "rules/README.md",
    "docs/backtest.md",
    "docs/deciding.md",
    "docs/evidence.md",
    "docs/operating.md",
    "docs/reference.md",
    "helm/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: ``page`` and ``line`` say where it begins."""

    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the commands of a console block, with their continuation lines and without comments."""
        lines = self.text.replace("\\\n", "").splitlines()
        shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return tuple(re.sub(r"\s{2,}# .*", "", line) for line in shown)


@cache
def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str | None = None) -> Iterator[Block]:
    text = page(name)
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        if language is None or found[1] == language:
            yield Block(name, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def prose(name: str) -> str:
    """Return the page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page(name), flags=re.DOTALL | re.MULTILINE)


def section(name: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of its level or above."""
    lines = prose(name).splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.lstrip("#") == f" {heading}"]
    level = lines[start].count("#", 0, lines[start].index(" "))
    end = next(
        (n for n in range(start + 1, len(lines)) if re.match(rf"#{{1,{level}}} ", lines[n])), len(lines)
    )
    return "\n".join(lines[start + 1 : end])


def table(name: str, heading: str, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this title."""
    rows: list[list[str]] = []
    is_inside = False
    for line in section(name, heading).splitlines():
        cells = [cell.strip() for cell in CELLS.split(line)[1:-1]]
        if not cells:
            is_inside = False
        elif cells[0] == first_column:
            is_inside = True
        elif is_inside and not cells[0].startswith("---"):
            rows.append(cells)
    assert rows, f"{name} has no table {first_column!r} below {heading!r}"
    return rows


def names(cell: str) -> list[str]:
    """Return the texts in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_names(name: str, heading: str, first_column: str) -> list[str]:
    """Return the names in the first column of a table."""
    return [found for row in table(name, heading, first_column) for found in names(row[0])]


def anchors(name: str) -> set[str]:
    """Return the anchors of the headings of a page, as on GitHub."""
    headings = re.findall(r"^#+ (.*)$", prose(name), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(name: str) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", prose(name))
