"""The numbers of ``stats.`` and ``participant.``: those that numpy and counting by hand come to."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.submission import Status, Study, Submission
from service.postgres.database import Database, database_now
from service.review.facts import time_taken
from service.review.statistics import MIN_SUBMISSIONS, statistics_of
from service.rules import RuleFile, load
from service.store.history import review_history
from service.store.statistics import COUNTED
from service.store.submissions import mark_listed, save_list, save_study, save_submission
from tests.world import rules_text, write_rules

BEGAN = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
HOLD_FAST = """
  - name: too fast
    when: stats.z < -2.0
    hold: "Look: {stats.count} others took {stats.median} s."
  - name: took part before
    when: participant.submissions > 0
    hold: "Their number {participant.submissions}."
"""
TOO_QUICKLY = f"""
  - name: a
    when: submission.pace < 0.1
    reject: {{category: TOO_QUICKLY, message: "{"x" * 100}"}}
"""


def submission(number: int, **changes: Any) -> Submission:
    usual: dict[str, Any] = {
        "id": f"s{number}",
        "study_id": "study",
        "participant_id": f"p{number}",
        "status": Status.AWAITING_REVIEW,
        "started_at": BEGAN,
        "completed_at": BEGAN + timedelta(seconds=600),
    }
    return Submission(**usual | changes)


def study(name: str) -> Study:
    return Study(name, name, "ACTIVE", 10.0, 30.0, 150, 100, None)


@pytest.fixture
def rule_file(tmp_path: Path) -> RuleFile:
    return load(write_rules(tmp_path, rules_text(HOLD_FAST))).files[0]


def at_random(dice: random.Random, number: int) -> Submission:
    """Any status, times with fractions, some without a completion, some with Prolific's own count."""
    began = BEGAN + timedelta(seconds=dice.uniform(0, 1e6))
    taken = timedelta(seconds=dice.lognormvariate(6.5, 0.5))
    ended = None if dice.random() < 0.1 else began + taken
    return submission(
        number,
        status=dice.choice(list(Status)),
        participant_id=f"p{dice.randrange(12)}",
        study_id=dice.choice(["study", "study", "study", "another"]),
        started_at=began,
        completed_at=ended,
        time_taken=dice.choice([None, 0, dice.randrange(1, 5000)]) if ended else None,
    )


@pytest.mark.parametrize("seed", range(12))
async def test_the_numbers_are_those_of_numpy(database_url: str, rule_file: RuleFile, seed: int) -> None:
    dice = random.Random(seed)
    everybody = [at_random(dice, number) for number in range(dice.choice([1, 2, 3, 20, 60, 400]))]
    this = submission(10_000, time_taken=dice.randrange(1, 2000), participant_id="p1")
    others = [one for one in everybody if one.study_id == "study" and one.status in COUNTED]
    times = np.array([time_taken(one) for one in others if one.completed_at], dtype=float)
    database = Database(database_url)
    async with database.begin() as connection:
        await save_study(connection, study("study"))
        await mark_listed(connection, "study")
        for one in [*everybody[:20], this]:
            await save_submission(connection, one, claimed=True)
        await save_list(connection, everybody, claimed=True, asked_at=await database_now(connection))
        found = await statistics_of(connection, this, rule_file)
    await database.close()
    assert found["stats"] == pytest.approx(by_numpy(times, this.time_taken or 0))
    mine = [one.status for one in everybody if one.participant_id == "p1"]
    assert found["participant"] == {
        "submissions": len(mine),
        "approved": mine.count(Status.APPROVED),
        "rejected": mine.count(Status.REJECTED),
        "returned": mine.count(Status.RETURNED),
    }


def by_numpy(times: "np.ndarray[Any, np.dtype[np.float64]]", taken: int) -> dict[str, Any]:
    expected: dict[str, Any] = {"count": len(times)}
    if len(times) >= 1:
        expected |= {"mean": np.mean(times), "median": np.median(times)}
    if len(times) >= 2:
        sd = np.std(times, ddof=1)
        expected |= {"sd": sd, "z": (taken - np.mean(times)) / sd}
        logs = np.log(times[times > 0])
        deviation = np.median(np.abs(logs - np.median(logs)))
        expected["log_z"] = (np.log(taken) - np.median(logs)) / (deviation / 0.6744897501960817)
        if len(times) >= MIN_SUBMISSIONS:
            expected["fast_outlier"] = bool(taken < np.mean(times) - 3 * sd)
    return expected


@pytest.mark.parametrize("number", [29, 30])
async def test_outliers_need_thirty_times(database_url: str, rule_file: RuleFile, number: int) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        await save_study(connection, study("study"))
        await mark_listed(connection, "study")
        for one in range(number):
            await save_submission(connection, submission(one, time_taken=590 + one), claimed=True)
        slow, fast = (submission(99, time_taken=taken) for taken in (600, 60))
        facts = [(await statistics_of(connection, one, rule_file))["stats"] for one in (slow, fast)]
    await database.close()
    assert [one.get("fast_outlier") for one in facts] == ([False, True] if number == 30 else [None, None])


async def test_where_all_took_the_same_there_is_no_z(database_url: str, rule_file: RuleFile) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        await save_study(connection, study("study"))
        await mark_listed(connection, "study")
        for one in range(3):
            await save_submission(connection, submission(one), claimed=True)
        facts = await statistics_of(connection, submission(9), rule_file)
    await database.close()
    assert facts["stats"] == {"count": 3, "mean": 600.0, "sd": 0.0, "median": 600.0}


@pytest.mark.parametrize(
    ("rules", "groups"),
    [
        ("[]", set()),
        ('\n  - {name: a, when: "stats.count > 3", approve: {}}\n', {"stats"}),
        ('\n  - {name: a, when: "true", hold: "{participant.returned} returned"}\n', {"participant"}),
        (HOLD_FAST, {"stats", "participant"}),
        (TOO_QUICKLY, {"stats"}),
    ],
)
def test_a_file_reads_what_its_conditions_texts_and_policy_ask_for(
    tmp_path: Path, rules: str, groups: set[str]
) -> None:
    assert load(write_rules(tmp_path, rules_text(rules))).files[0].groups == groups


async def test_a_list_never_makes_a_newer_look_older_nor_forgets_a_final_status(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        asked_at = await database_now(connection)
    async with database.begin() as connection:
        await save_submission(connection, submission(1, status=Status.AWAITING_REVIEW), claimed=True)
    async with database.begin() as connection:
        rows = [submission(1, status=Status.RETURNED), submission(2, status=Status.REJECTED)]
        await save_list(connection, rows, claimed=True, asked_at=asked_at)
    async with database.begin() as connection:
        first, second = [
            await review_history(
                connection, submission(n), claimed=True, sources=(), since=None, holds_end=False, lease=None
            )
            for n in (1, 2)
        ]
    await database.close()
    assert first.ever_final
    assert second.ever_final
