"""The report at the end of the rehearsal."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

from rich.table import Table

from service.console.decision import print_decision
from service.console.output import console, text
from service.demo.process import FOLDER, Place
from service.demo.verdicts import Ending, latency
from service.domain.decision import Outcome


def summary(found: Sequence[Ending], webhooks: dict[str, int], transitions: int) -> dict[str, Any]:
    """Return the figures, for ``--json`` and for the tables."""
    middle, worst = latency(list(found))
    outcomes = Counter(ending.outcome for ending in found)
    return {
        "ok": all(ending.fair for ending in found),
        "submissions": len(found),
        "outcomes": {outcome.value: outcomes[outcome.value] for outcome in Outcome},
        "by_rule": [
            {"outcome": outcome, "rule": rule, "count": count}
            for (outcome, rule), count in sorted(Counter((e.outcome, e.rule) for e in found).items())
        ],
        "webhooks_delivered": webhooks["SUCCEEDED"],
        "webhooks_failed": webhooks["FAILED"],
        "transitions": transitions,
        "webhook_to_transition_s": {"median": round(middle, 3), "p99": round(worst, 3)},
        "unfair": [
            {"submission_id": e.submission_id, "kind": e.kind, "deserved": e.deserved, "outcome": e.outcome}
            for e in found
            if not e.fair
        ],
    }


def show(figures: dict[str, Any], found: Sequence[Ending]) -> None:
    """Print the tables."""
    out = console()
    out.print()
    out.print(_outcomes(figures, found))
    out.print(_rules(figures))
    times = figures["webhook_to_transition_s"]
    out.print(
        f"{figures['webhooks_delivered']} webhooks in, {figures['transitions']} transitions and requests to "
        f"return out; from webhook (or the data it waited for) to transition: "
        f"median {times['median'] * 1000:.0f} ms, p99 {times['p99'] * 1000:.0f} ms."
    )
    explained = next((e.decision for e in found if e.outcome == Outcome.REJECT), None)
    if explained:
        out.print("\nOne decision in full, as `autoreview decisions show` prints it:\n")
        print_decision(explained)
    for unfair in figures["unfair"]:
        out.print(text(f"WRONG  {unfair}", style="bold red"))
    ending = (
        "Every participant got what they deserve." if figures["ok"] else "Not everyone got what they deserve."
    )
    out.print()
    out.print(text(ending, style="bold green" if figures["ok"] else "bold red"))


def _outcomes(figures: dict[str, Any], found: Sequence[Ending]) -> Table:
    deserved = Counter(ending.deserved for ending in found)
    table = Table(title="Outcomes", title_justify="left")
    table.add_column("outcome")
    table.add_column("count", justify="right")
    table.add_column("deserved", justify="right")
    for outcome, count in figures["outcomes"].items():
        table.add_row(outcome, str(count), str(deserved[outcome]))
    table.add_row("all", str(figures["submissions"]), str(len(found)), style="bold")
    return table


def _rules(figures: dict[str, Any]) -> Table:
    table = Table(title="By rule", title_justify="left")
    table.add_column("outcome")
    table.add_column("rule")
    table.add_column("count", justify="right")
    for row in figures["by_rule"]:
        table.add_row(row["outcome"], text(row["rule"]), str(row["count"]))
    return table


def _program() -> str:
    """Return how to call this program in the shell of the reader, where its environment may not be active."""
    own = Path(sys.executable).with_name("autoreview")
    if which("autoreview") == str(own) or not own.exists():
        return "autoreview"
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def where_next(place: Place, prolific_url: str, *, keep: bool) -> None:
    """Print what to look at next."""
    out = console()
    out.print("\nWhere to look next")
    out.print(text(f"  the rules that decided   {FOLDER / 'rules'}"))
    out.print(text(f"  the service's log        {place.log_file}"))
    out.print(text(f"  all decisions            AUTOREVIEW_DATA_DIR={FOLDER} {_program()} decisions list"))
    out.print("  your own first rules     rules/README.md")
    if keep:
        out.print(text(f"  the service, still up    {place.url}/readyz?verbose"))
        out.print(
            text(
                f"                           curl -H 'Authorization: Bearer {place.admin_token}' {place.url}/api/status"
            )
        )
        out.print(text(f"  the sandbox, still up    {prolific_url}/sandbox/state/"))
        # Last, so that it stays on the screen.
        out.print()
        out.print(text(f"The dashboard is open: {place.url}/", style="bold"))
        out.print(text(f"  sign in with any name and the token   {place.admin_token}"))
        out.print(text(f"  or, to look only, with                {place.viewer_token}"))
        out.print("\nStop with Ctrl-C.")
    else:
        out.print(
            text(
                f"  the dashboard            {_program()} demo --keep leaves it open, and prints how to sign in"
            )
        )
