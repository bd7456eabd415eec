"""How fast rules are loaded and decide."""

import time
from pathlib import Path

from service.rules import load
from tests.bench.report import report
from tests.world import rules_text, write_rules


def bench(folder: Path) -> None:
    twenty = decisions_per_second(rules_file(folder / "twenty", 20))
    hundred = decisions_per_second(rules_file(folder / "hundred", 100))
    print(f"{'20 rules':30} {twenty:8.0f} decisions/s")
    report("20 rules, ms a decision", 1000 / twenty, 1.0)
    report("100 rules, ms a decision", 1000 / hundred, 2.0)
    report("500 rules, s to load", seconds_to_load(rules_file(folder / "five hundred", 500)), 0.5)


def rules_file(folder: Path, number: int) -> Path:
    """A file of so many rules, each of two conditions of its own."""
    lines = "".join(
        f"\n  - name: rule {one}\n    when:\n      all:\n        - evidence.survey.attention_failed >= {one + 2}\n"
        f"        - submission.pace < 0.{one + 1:03}\n    hold: number {one}"
        for one in range(number)
    )
    return write_rules(folder, rules_text(lines + "\n"))


def seconds_to_load(folder: Path) -> float:
    """The median of some loads."""
    found = []
    for _ in range(5):
        began = time.perf_counter()
        load(folder)
        found.append(time.perf_counter() - began)
    return sorted(found)[2]


def decisions_per_second(folder: Path) -> float:
    file = load(folder).files[0]
    facts = {
        "submission": {"pace": 1.0, "code_type": "COMPLETED"},
        "study": {},
        "evidence": {"survey": {"attention_failed": 1, "received": True}},
        "now": "2026-01-01T00:00:00+00:00",
    }
    file.decide(facts)
    began, decisions = time.perf_counter(), 2_000
    for _ in range(decisions):
        file.decide(facts)
    return decisions / (time.perf_counter() - began)
