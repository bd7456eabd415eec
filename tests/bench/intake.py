"""The intake against a bare handler and against one commit per request."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import uvloop

from tests.bench.load import Load, load
from tests.bench.report import report
from tests.databases import create, named
from tests.world import rules_text, write_rules

NUMBER = 20_000  # requests of each variant
SOAK = 100_000  # events after which memory is looked at
ROUNDS = 3
VARIANTS = (
    ("bare", "(a) bare handler, HMAC only"),
    ("intake", "(b) the intake, durable"),
    ("single", "(c) one commit per request"),
)


def bench(folder: Path, postgres: str) -> None:
    rules = write_rules(folder / "rules", rules_text())
    found = {}
    for kind, name in VARIANTS:
        one = found[kind] = median_of(kind, postgres, rules, NUMBER if kind != "single" else NUMBER // 4)
        print(f"{name:30} {one.per_second:8.0f} req/s   p99 {one.p99_ms:6.1f} ms   {one.codes}", flush=True)
    report("(b) / (a)", found["intake"].per_second / found["bare"].per_second, 0.2, at_least=True)
    report("(b) / (c)", found["intake"].per_second / found["single"].per_second, 2.5, at_least=True)
    report("(b) p99, ms", found["intake"].p99_ms, 100)
    report(f"web process after {SOAK} events, MB", memory_after_events(postgres, rules), 200)


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
