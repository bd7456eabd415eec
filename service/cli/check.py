"""``autoreview check``: prints the findings in rule files."""

import os
from pathlib import Path
from typing import Annotated

import typer

from service.console.output import Json, echo, print_json

Where = Annotated[
    Path | None,
    typer.Argument(help="A rule file or a folder of rule files. Default: AUTOREVIEW_RULES_DIR, else rules/."),
]


def rules_dir() -> Path:
    """Return the rules folder, for commands that need no other setting."""
    return Path(os.environ.get("AUTOREVIEW_RULES_DIR") or "rules")


def check(
    path: Where = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")] = False,
    as_json: Json = False,
) -> None:
    """Check rule files. Print each finding as file:line:column: CODE severity message.

    Exit 1 if any finding is an error.
    """
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
