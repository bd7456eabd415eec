"""``autoreview doctor``: checks the setup and names what to change."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from service.console.output import Json, echo, print_json

if TYPE_CHECKING:
    from service.doctor.check import Check


def doctor(
    workspace: Annotated[
        str | None, typer.Option(help="The workspace's id, where the token sees several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check settings, Prolific, database, worker, rules and address. Exit 1 if a check fails."""
    import asyncio

    from service.doctor.examination import examination
    from service.telemetry.log import configure_logs

    configure_logs(form="console", level="critical")  # each check reports its own error
    checks = asyncio.run(examination(workspace))
    well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": well, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            echo(line(check))
    raise typer.Exit(0 if well else 1)


def line(check: "Check") -> str:
    mark, fix = "✓" if check.ok else "✗", f" → {check.fix}" if check.fix else ""
    return f"{mark} {check.name:<13} {check.detail}{fix}"
