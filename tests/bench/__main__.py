"""``make bench``: the intake against its bounds, and how fast rules decide."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import uvloop

from service.rules import load as load_rules
from service.store.embedded import delete_database, embedded_postgres
from service.store.migrate import migrate
from tests.bench.load import Load, load
from tests.conftest import create, named
from tests.world import rules_text, write_rules

NUMBER = 20_000  # requests of each variant
SOAK = 100_000  # events after which memory is looked at
ROUNDS = 3


@contextmanager
def server(kind: str, database_url: str, rules: Path) -> Iterator[tuple[int, psutil.Process]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.variants", kind, database_url, str(rules)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def measure(kind: str, postgres: str, rules: Path, number: int) -> Load:
    name = f"bench_{kind}_{time.monotonic_ns()}"
    create(postgres, name, like="migrated")
    with server(kind, named(postgres, name), rules) as (port, _):
        asyncio.run(load(port, 500))
        return uvloop.run(load(port, number))


def median_of(kind: str, postgres: str, rules: Path, number: int) -> Load:
    found = [measure(kind, postgres, rules, number) for _ in range(ROUNDS)]
    return sorted(found, key=lambda one: one.per_second)[ROUNDS // 2]


def memory_after_events(postgres: str, rules: Path) -> float:
    """Resident MB of the web process after so many events."""
    name = f"bench_memory_{time.monotonic_ns()}"
    create(postgres, name, like="migrated")
    with server("intake", named(postgres, name), rules) as (port, process):
        for _ in range(5):
            uvloop.run(load(port, SOAK // 5))
        resident: int = process.memory_info().rss
        return resident / 1e6


def rules_per_decision(folder: Path, number: int = 20) -> tuple[float, float]:
    """Milliseconds a file of so many rules takes to decide, and decisions per second."""
    lines = "".join(
        f"\n  - name: rule {one}\n    when:\n      all:\n        - evidence.survey.attention_failed >= {one + 2}\n"
        f"        - submission.pace < 0.{one + 1:02}\n    hold: number {one}"
        for one in range(number)
    )
    file = load_rules(write_rules(folder, rules_text(lines + "\n"))).files[0]
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
    seconds = time.perf_counter() - began
    return seconds / decisions * 1000, decisions / seconds


def told(what: str, found: float, bound: float, *, at_least: bool) -> str:
    met = found >= bound if at_least else found <= bound
    return f"{what:58} {found:8.2f}   {'≥' if at_least else '≤'} {bound:g}  {'ok' if met else 'MISSED'}"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    rules = write_rules(folder / "rules", rules_text())
    with embedded_postgres(folder / "data") as postgres:
        create(postgres, "migrated")
        migrate(named(postgres, "migrated"))
        found = {}
        for kind, name in (
            ("bare", "(a) bare handler, HMAC only"),
            ("intake", "(b) the intake, durable"),
            ("single", "(c) one commit per request"),
        ):
            one = found[kind] = median_of(kind, postgres, rules, NUMBER if kind != "single" else NUMBER // 4)
            print(
                f"{name:30} {one.per_second:8.0f} req/s   p99 {one.p99_ms:6.1f} ms   {one.codes}", flush=True
            )
        memory = memory_after_events(postgres, rules)
    delete_database(folder / "data")
    milliseconds, per_second = rules_per_decision(folder / "twenty")
    print(f"{'20 rules':30} {per_second:8.0f} decisions/s\n")
    print(told("(b) / (a)", found["intake"].per_second / found["bare"].per_second, 0.2, at_least=True))
    print(told("(b) / (c)", found["intake"].per_second / found["single"].per_second, 2.5, at_least=True))
    print(told("(b) p99, ms", found["intake"].p99_ms, 100, at_least=False))
    print(told("20 rules, ms a decision", milliseconds, 1.0, at_least=False))
    print(told(f"web process after {SOAK} events, MB", memory, 200, at_least=False))


if __name__ == "__main__":
    main()
