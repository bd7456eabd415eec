"""``python -m tests.bench backtest``: 10,000 decided submissions judged by 20 rules."""

import asyncio
import json
import resource
import time
from pathlib import Path

from service.backtest.run import backtest
from service.domain.decision import Facts
from service.postgres.database import Database
from service.rules import RuleFile, load
from tests.bench.report import report
from tests.databases import create, named
from tests.world import MESSAGE

SUBMISSIONS, STUDY = 10_000, "65f0000000000000000000aa"
HEAD = (
    "version: 1\nname: Bench\nstudies: all\nevidence: {survey: {from: push, fields: {failed: int}}}\nrules:\n"
)
RULE = """\
  - name: rule {number}
    when: {{all: [evidence.survey.failed >= {failed}, "submission.pace < 0.{number:02}"]}}
    reject: {{category: FAILED_CHECK, message: "{message} {{evidence.survey.failed}}"}}
"""
SEEN = """
    INSERT INTO submissions (id, study_id, participant_id, status, ever_final, claimed, data)
    VALUES (%s, %s, %s, 'APPROVED', true, true, %s)
"""
DECIDED = """
    INSERT INTO decisions (submission_id, study_id, participant_id, decided_at, trigger, outcome, proposed, mode,
                           rules_hash, reason, trace, facts)
    VALUES (%s, %s, %s, now(), 'webhook', 'approve', 'approve', 'live', %s, 'why', %s, %s)
"""


def bench(folder: Path, postgres: str) -> None:
    """Fill a database of its own, judge it, and print the figures."""
    folder.mkdir(parents=True)
    rules = "".join(RULE.format(number=i, failed=i + 5, message=MESSAGE) for i in range(1, 21))
    (folder / "rules.yaml").write_text(f"{HEAD}{rules}otherwise: approve\n", encoding="utf-8")
    create(postgres, "backtest", like="migrated")
    asyncio.run(_measure(folder, named(postgres, "backtest")))


async def _measure(folder: Path, url: str) -> None:
    database = Database(url, pool_size=1)
    book = load(folder)
    try:
        await _fill(database, book.files[0])
        before, began, cpu = _memory(), time.perf_counter(), time.process_time()
        async with database.connect() as connection:
            found = (await backtest(connection, STUDY, book)).comparison
    finally:
        await database.close()
    assert found.submissions == SUBMISSIONS
    assert found.changed == []
    report("10,000 submissions, 20 rules, s", time.perf_counter() - began, 30)
    report("10,000 submissions, 20 rules, s of CPU", time.process_time() - cpu, 15)
    report("10,000 submissions, 20 rules, MiB more", _memory() - before, 50)


async def _fill(database: Database, file: RuleFile) -> None:
    """Store the submissions, each with its decision."""
    trace = json.dumps(file.decide(_facts(0)).trace)
    async with database.begin() as connection:
        for start in range(0, SUBMISSIONS, 1_000):
            numbers = range(start, start + 1_000)
            seen = [(f"s{i}", STUDY, f"p{i}", json.dumps(_facts(i)["submission"])) for i in numbers]
            await connection.exec_driver_sql(SEEN, seen)
            made = [(f"s{i}", STUDY, f"p{i}", file.hash, trace, json.dumps(_facts(i))) for i in numbers]
            await connection.exec_driver_sql(DECIDED, made)
        await connection.exec_driver_sql("ANALYZE")


def _facts(number: int) -> Facts:
    return {
        "submission": {
            "id": f"s{number}",
            "study_id": STUDY,
            "participant_id": f"p{number}",
            "status": "AWAITING REVIEW",
            "started_at": "2026-01-01T09:50:00+00:00",
            "completed_at": "2026-01-01T10:00:00+00:00",
            "time_taken": 600 + number % 100,
            "pace": 1.0,
        },
        "study": {"id": STUDY, "estimated_completion_time": 10.0, "reward": 150},
        "evidence": {"survey": {"received": True, "failed": number % 5}},
        "now": "2026-01-01T10:01:00+00:00",
    }


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB on Linux
