"""Commands where no service is at work: orders are refused, and nothing is created."""

from pathlib import Path

import psycopg
import pytest

from service.store.workers import FRESH
from tests.process import autoreview
from tests.world import TOKEN, rules_text, write_rules

ORDERS = [
    ("pause", "--by", "Ada", "--reason", "x"),
    ("resume", "--by", "Ada", "--reason", "x"),
    ("resolve", "abc", "approve", "--by", "Ada"),
    ("resolve", "--from", "sheet.csv", "--by", "Ada", "--yes"),
    ("retry", "--all"),
    ("sweep",),
]
QUESTIONS = [
    ("holds",),
    ("decisions", "list"),
    ("decisions", "show", "1"),
    ("explain", "abc"),
    ("resolve", "--from", "sheet.csv", "--by", "Ada"),
    ("migrate",),
    ("status",),
    ("evidence", "list", "abc"),
    ("evidence", "tail", "--no-follow"),
    ("export", "tags", "--study", "60aca280709ee40ec37d4885"),
    ("backup", "x.autoreview"),
    ("doctor",),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rules(tmp_path / "rules", rules_text())
    (tmp_path / "sheet.csv").write_text("submission_id,action\nabc,approve\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [*ORDERS, *QUESTIONS], ids=" ".join)
def test_in_an_empty_folder_a_command_creates_nothing_and_names_the_folder_and_the_settings(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(folder.iterdir())
    ended = autoreview(*arguments, cwd=folder, settings={"prolific_token": TOKEN})
    assert sorted(folder.iterdir()) == before
    if arguments == ("doctor",):
        assert ended.returncode == 1
        return
    assert (ended.returncode, ended.stdout) == (2, "")
    for named in (str(folder / ".autoreview"), "AUTOREVIEW_DATA_DIR", "AUTOREVIEW_DATABASE_URL"):
        assert named in ended.stderr


def test_an_order_without_a_living_worker_is_refused_and_writes_nothing(database_url: str) -> None:
    settings = {"database_url": database_url}
    with psycopg.connect(database_url, autocommit=True) as connection:
        stopped = FRESH.total_seconds() + 5
        connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))",
            [stopped],
        )
        ended = autoreview("pause", "--by", "Ada", "--reason", "x", settings=settings)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "AUTOREVIEW_DATABASE_URL" in ended.stderr
        assert connection.execute("SELECT count(*) FROM brakes").fetchone() == (0,)
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now()")
        assert autoreview("pause", "--by", "Ada", "--reason", "x", settings=settings).returncode == 0
        assert connection.execute("SELECT count(*) FROM brakes").fetchone() == (1,)


def test_a_question_needs_no_worker(database_url: str) -> None:
    ended = autoreview("holds", settings={"database_url": database_url})
    assert (ended.returncode, ended.stdout) == (0, "Nothing is held.\n")
