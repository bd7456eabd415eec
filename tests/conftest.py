"""What every test may ask for: an empty database of this version, and a world around the service."""

import gc
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import sql

from service.postgres.embedded import delete_database, embedded_postgres
from service.postgres.embedded_server import NAME
from service.postgres.migrate import migrate
from tests.databases import TEMPLATE, Databases, copy_server, create, named
from tests.world import World, rules_text, world, write_rules

# A busy machine takes longer for an example than Hypothesis's 200 ms.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

Start = Callable[..., AbstractAsyncContextManager[World]]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: modules and collected tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Commands that are run in this process configure its logs; the next test has them unconfigured."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # As unconfigured, but with plain tracebacks: the rich ones take seconds each.
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes that the test starts take SIGINT, also where the tests ignore it: under ``nohup``, after ``&``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def first_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder to copy, because to create and migrate one takes 2 s of CPU. No server runs on it."""
    folder = tmp_path_factory.mktemp("first")
    with embedded_postgres(folder) as url:
        _hurry(url)
        migrate(url)
    yield folder
    delete_database(folder)


@pytest.fixture
def data_dir(first_data_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """A data folder whose embedded database has this version's schema and no rows."""
    copy_server(first_data_dir, tmp_path / "data")
    yield tmp_path / "data"
    delete_database(tmp_path / "data")


@pytest.fixture(scope="session")
def postgres_folder(first_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of ``postgres``; its log is ``postgres.log``."""
    folder = tmp_path_factory.mktemp("postgres")
    copy_server(first_data_dir, folder)
    return folder


@pytest.fixture(scope="session")
def postgres(postgres_folder: Path) -> Iterator[str]:
    """A real PostgreSQL for the whole run, with one migrated database to copy from."""
    with embedded_postgres(postgres_folder) as url:
        create(url, TEMPLATE, like=NAME)
        yield url
    delete_database(postgres_folder)


def _hurry(url: str) -> None:
    """Nothing has to outlive a crash of this machine, and no vacuum may keep the template from being copied."""
    password = psycopg.conninfo.conninfo_to_dict(url)["password"]
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "autovacuum"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")
        # Each connection computes as many hashes as the stored password says.
        connection.execute("SET scram_iterations = 1")
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(sql.Literal(password)))


@pytest.fixture(scope="session")
def databases(postgres: str) -> Databases:
    """The databases of ``postgres``."""
    return Databases(postgres)


@pytest.fixture
def empty_database_url(postgres: str) -> str:
    """A database without any schema."""
    name = f"empty_{uuid4().hex}"
    create(postgres, name)
    return named(postgres, name)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A database of this version's schema, nothing in it."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Start:
    """``async with start(rules="...") as world``: the service at work on the given rules."""

    def starting(rules: str | None = None, **options: Any) -> AbstractAsyncContextManager[World]:
        folder = write_rules(tmp_path / "rules", rules or rules_text())
        return world(database_url, folder, **options)

    return starting
