"""``autoreview check``: every finding in rule files."""

import os
from pathlib import Path
from typing import Annotated

import typer

from service.console.output import Json, echo, print_json

Where = Annotated[
    Path | None,
    typer.Argument(help="A rule file, or a folder of them; AUTOREVIEW_RULES_DIR or rules/ if left out."),
]


def rules_dir() -> Path:
    """Where rules are, for commands that need no other setting."""
    return Path(os.environ.get("AUTOREVIEW_RULES_DIR") or "rules")


def check(
    path: Where = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors too.")] = False,
    as_json: Json = False,
) -> None:
    """Check rule files: every finding as file:line:column: CODE message. Exit 1 if any is an error."""
    from service.cli.findings import print_findings, summary
    from service.rules import check_counted

    checked = check_counted(path or rules_dir())
    counts = ("error", "warning") if strict else ("error",)
    wrong = [finding for finding in checked.findings if finding.severity in counts]
    if as_json:
        findings = [finding.as_json() for finding in checked.findings]
        print_json({"ok": not wrong, "files": checked.files, "rules": checked.rules, "findings": findings})
    else:
        print_findings(checked.findings)
        echo(summary(checked.files, checked.rules, checked.findings))
    raise typer.Exit(1 if wrong else 0)
