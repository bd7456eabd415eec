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
        load_rules(folder)
        found.append(time.perf_counter() - began)
    return sorted(found)[2]


def decisions_per_second(folder: Path) -> float:
    file = load_rules(folder).files[0]
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
    twenty = decisions_per_second(rules_file(folder / "twenty", 20))
    hundred = decisions_per_second(rules_file(folder / "hundred", 100))
    print(f"{'20 rules':30} {twenty:8.0f} decisions/s\n")
    print(told("(b) / (a)", found["intake"].per_second / found["bare"].per_second, 0.2, at_least=True))
    print(told("(b) / (c)", found["intake"].per_second / found["single"].per_second, 2.5, at_least=True))
    print(told("(b) p99, ms", found["intake"].p99_ms, 100, at_least=False))
    print(told("20 rules, ms a decision", 1000 / twenty, 1.0, at_least=False))
    print(told("100 rules, ms a decision", 1000 / hundred, 2.0, at_least=False))
    five_hundred = seconds_to_load(rules_file(folder / "five hundred", 500))
    print(told("500 rules, s to load", five_hundred, 0.5, at_least=False))
    print(told(f"web process after {SOAK} events, MB", memory, 200, at_least=False))


if __name__ == "__main__":
    main()
