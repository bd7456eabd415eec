"""The table of values in helm/README.md, written from the comments in values.yaml.

``python -m tests.unit.deploy.chart_readme`` writes it again.
"""

import json
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

from tests.unit.deploy.chart import FOLDER, Values, defaults

README = FOLDER / "README.md"
BEGIN, END = (
    "<!-- values: written by python -m tests.unit.deploy.chart_readme -->\n",
    "<!-- end of values -->\n",
)
LINE = re.compile(r"^(?P<indent> *)(?:# -- (?P<comment>.*)|(?P<key>\w+):.*)$")


def documented() -> Iterator[tuple[str, str]]:
    """Yield each value that has a comment as ``(path, comment)``, in the order of the file."""
    path: list[str] = []
    comment = None
    for line in (FOLDER / "values.yaml").read_text(encoding="utf-8").splitlines():
        if not (found := LINE.match(line)):
            continue
        if found["comment"]:
            comment = found["comment"]
            continue
        path = [*path[: len(found["indent"]) // 2], found["key"]]
        if comment:
            yield ".".join(path), comment
        comment = None


def default_of(path: str, values: Values) -> Any:
    return reduce(lambda inner, name: inner[name], path.split("."), values)


def table() -> str:
    values, rows = defaults(), ["| value | default | what |", "|---|---|---|"]
    for path, comment in documented():
        default = default_of(path, values)
        shown = f"`{json.dumps(default)}`" if default not in ("", None, {}, []) else ""
        rows.append(f"| `{path}` | {shown} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
