"""Migrations on a database with people's records in it, and beside a service that is older or newer."""

import asyncio
import io
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from service.errors import DatabaseError
from service.postgres.database import Database
from service.postgres.migrate import LOCK, alembic_config, head, migrate, sync_engine
from tests import warm
from tests.conftest import Start
from tests.process import autoreview, environment
from tests.world import until

FIRST = "0001"
LATER = "9999"
# What Squawk would have otherwise: ids are identities and counts integers by intent; tables that are made in the
# same migration can't be locked by others yet, and each migration is one transaction of Alembic's.
EXPECTED = (
    "prefer-bigint-over-int,prefer-robust-stmts,prefer-identity,prefer-text-field,require-timeout-settings,"
    "require-concurrent-index-creation,prefer-bigint-over-smallint,ban-drop-table,ban-drop-column"
)


def revisions() -> list[str]:
    """All, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]


def step(url: str, revision: str, *, down: bool = False) -> None:
    engine = sync_engine(url)
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()
    engine.dispose()


def test_each_migration_goes_down_and_up_again_with_records_in_place(empty_database_url: str) -> None:
    step(empty_database_url, FIRST)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO decisions (submission_id, decided_at, trigger, outcome, proposed, mode, reason, trace, facts)"
            " VALUES ('a', now(), 'webhook', 'approve', 'approve', 'live', 'why', '[]', '{}')"
        )
        connection.execute("INSERT INTO inbox (event_id, body, readable) VALUES ('e', 'x', false)")
    for revision in reversed(revisions()):
        step(empty_database_url, revision)
        if revision != FIRST:
            step(empty_database_url, "-1", down=True)
            step(empty_database_url, revision)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT submission_id, outcome FROM decisions").fetchall() == [
            ("a", "approve")
        ]
        assert connection.execute("SELECT event_id FROM inbox").fetchall() == [("e",)]


def test_each_schema_knows_the_versions_that_work_on_it(empty_database_url: str) -> None:
    """Whoever adds a migration has to say so in it: INSERT INTO schema_heads, and DELETE what it breaks."""
    migrate(empty_database_url)

    async def look() -> bool:
        database = Database(empty_database_url, pool_size=1)
        try:
            return (await database.schema()).works_for(head())
        finally:
            await database.close()

    assert asyncio.run(look())


def test_their_sql_is_safe_for_a_database_in_use(tmp_path: Path) -> None:
    """Squawk on what ``alembic upgrade --sql`` prints, Procrastinate's own schema (the first one's) left out."""
    printed = io.StringIO()
    config = alembic_config()
    config.output_buffer = printed
    with redirect_stdout(printed):
        command.upgrade(config, f"{FIRST}:head", sql=True)
    script = tmp_path / "upgrade.sql"
    script.write_text(printed.getvalue(), encoding="utf-8")
    squawk = Path(sys.executable).with_name("squawk")
    found = subprocess.run(
        [squawk, "--pg-version", "14", f"--exclude={EXPECTED}", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


async def test_a_later_schema_is_brought_under_a_running_service_and_taken_away_again(
    start: Start, database_url: str
) -> None:
    """Expand: the newer version migrates while the older one serves. Contract: the older one says it can't."""
    async with start() as world:
        before = [world.completed() for _ in range(5)]
        for submission in before:
            await world.tell(submission.id)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("ALTER TABLE decisions ADD COLUMN of_later text")
            await connection.execute("UPDATE alembic_version SET version_num = %s", [LATER])
            await connection.execute("INSERT INTO schema_heads (head) VALUES (%s)", [LATER])
            after = [world.completed() for _ in range(5)]
            for submission in after:
                await world.tell(submission.id)
            for submission in before + after:
                assert (await world.settled(submission.id))["status"] == "applied"
            assert (await world.http.get("/readyz")).status_code == 200
            await connection.execute("DELETE FROM schema_heads WHERE head <> %s", [LATER])
        answer = await world.http.get("/readyz")
        assert answer.status_code == 503
        assert f"The schema is {LATER}, this version needs {head()}" in answer.text


def test_migrate_leaves_a_later_schema_as_it_is(empty_database_url: str) -> None:
    """A pod of the older version is started again in an upgrade, or after one that was taken back."""
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [LATER])
        assert migrate(empty_database_url) == (LATER, LATER)
        connection.execute("DELETE FROM schema_heads")
        ended = autoreview("migrate", settings={"database_url": empty_database_url})
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"The schema is {LATER}, this version needs {head()}. A later version")


def test_service_stops_while_another_migrates(empty_database_url: str, tmp_path: Path) -> None:
    """As process 1 of a container it would ignore the signal, were it not asked for."""
    log = tmp_path / "log"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with log.open("wb") as output:
            waiting = warm.start(
                ["migrate"], env=environment({"database_url": empty_database_url}), log=output
            )
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while connection.execute(locks).fetchone() == (0,):
            assert waiting.poll() is None
        waiting.send_signal(signal.SIGTERM)
        assert waiting.join(60) == 128 + signal.SIGTERM
    waiting.close()
    assert "migrate.waits" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_migrate_names_the_session_that_holds_the_lock(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(DatabaseError, match=f"process {connection.info.backend_pid} of autoreview"):
            migrate(empty_database_url, lock_timeout=1)


async def test_a_newer_service_waits_for_its_schema_and_prolific_sends_again_what_came_meanwhile(
    start: Start, database_url: str
) -> None:
    step(database_url, "0005", down=True)  # what 0006 brings, the inbox needs
    async with start() as world:

        async def refused() -> bool:
            answer = await world.http.get("/readyz")
            return answer.status_code == 503 and f"this version needs {head()}" in answer.text

        await until(refused, "readyz to say what is missing")
        submission = world.completed()
        too_early = await world.tell(submission.id, event_id="e-1")
        assert (too_early.status_code, "Retry-After" in too_early.headers) == (503, True)
        await asyncio.to_thread(migrate, database_url)

        async def ready() -> bool:
            return (await world.http.get("/readyz")).status_code == 200

        await until(ready, "the service to be ready")
        assert (await world.tell(submission.id, event_id="e-1")).status_code == 202
        assert (await world.settled(submission.id))["status"] == "applied"
