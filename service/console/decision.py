"""Print a decision, for `autoreview decisions show` and the rehearsal."""

import json
from typing import Any

from service.console.output import console, text
from service.domain.numbers import rounded


def print_decision(row: dict[str, Any]) -> None:
    """Print a decision: the reason first, then what it depends on."""
    out = console()
    guard = f" (the rules proposed {row['proposed']}, held by guard {row['guard']})" if row["guard"] else ""
    out.print(text(f"Decision {row['id']}: {row['outcome']}, {row['status']}{guard}", style="bold"))
    out.print(text(f"  {row['reason']}"))
    for name in (
        "submission_id",
        "study_id",
        "participant_id",
        "decided_at",
        "trigger",
        "mode",
        "rule",
        "rule_file",
        "rules_hash",
        "tag",
        "recheck_at",
    ):
        if row[name] is not None:
            out.print(text(f"  {name:15} {row[name]}"))
    if row["trace"]:
        out.print("  rules")
    for entry in row["trace"]:
        out.print(text(f"    {entry['result']:12} {entry['rule']}: {entry['why']}"))
    if change := row.get("counterfactual"):
        value = fact_value(change["value"])
        out.print(text(f"  would have changed it: {change['fact']} {value}, then {change['outcome']}"))
    out.print("  facts")
    for name, value in flat(row["facts"]):
        out.print(text(f"    {name:40} {fact_value(value)}"))
    for attempt in row["attempts"]:
        out.print(text(f"  sent at {attempt['at']}: {json.dumps(attempt['request'], ensure_ascii=False)}"))
        out.print(
            text(f"    answer {attempt['status_code']}: {json.dumps(attempt['answer'], ensure_ascii=False)}")
        )


def fact_value(value: Any) -> str:
    """Return a fact's value for people."""
    return rounded(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return nested facts by their dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in facts.items():
        found += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found
