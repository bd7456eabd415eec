"""Which PostgreSQL to use: the configured one, the running service's, or an embedded one of our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from service.errors import ConfigurationError
from service.postgres.connection import connect
from service.postgres.embedded import embedded_postgres, running_url
from service.postgres.explanation import explained
from service.postgres.migrate import migrate
from service.postgres.parameters import connection_parameters
from service.settings import Settings

log = structlog.get_logger(__name__)

SET = "Set AUTOREVIEW_DATA_DIR to the data folder of the service, or AUTOREVIEW_DATABASE_URL to its database."


class NoDatabase(ConfigurationError):
    """There is no database yet."""

    code = "no_database"


class NotAtWork(ConfigurationError):
    """No service is at work, so an order to it would have no effect."""

    code = "not_at_work"


def external_url(settings: Settings) -> str | None:
    """Return the database that AUTOREVIEW_DATABASE_URL or its file names."""
    secret = settings.secret("DATABASE_URL")
    if secret is None:
        return None
    try:
        url = secret.read()
        connection_parameters(url)
    except ValueError as error:
        raise ConfigurationError(f"{secret.variable} {error}") from None
    return url


def service_url(settings: Settings) -> str | None:
    """Return the configured database, else the one that runs on the data folder, else None."""
    return external_url(settings) or running_url(settings.data_dir)


def database_exists(settings: Settings) -> bool:
    """Return True if there is a database: a configured one, or an embedded one in the data folder."""
    return external_url(settings) is not None or has_data(settings.data_dir)


def has_data(data_dir: Path) -> bool:
    """Return True if the folder has an embedded database. As root it may be a link."""
    own = data_dir / "postgres"
    return own.is_symlink() or own.is_dir()


@contextmanager
def service_database(settings: Settings) -> Iterator[str]:
    """Yield the database of a service that starts. The embedded one is migrated to this version's schema."""
    if url := external_url(settings):
        with explained():
            yield url
        return
    if not has_data(settings.data_dir):
        folder = str(settings.data_dir.absolute())
        log.info("database.creating", folder=folder, hint="takes some seconds, once")
    with embedded_postgres(settings.data_dir) as url, explained():
        migrate(url)
        forget_workers(url)
        yield url


@contextmanager
def stopped_database(settings: Settings) -> Iterator[str]:
    """Run the database of a data folder without a service, for the time of a command. Creates nothing.

    Raise NoDatabase if the folder has none.
    """
    if not has_data(settings.data_dir):
        raise NoDatabase(f"There is no database in the data folder {settings.data_dir.absolute()}. {SET}")
    with embedded_postgres(settings.data_dir, create=False) as url, explained():
        forget_workers(url)
        yield url


def forget_workers(url: str) -> None:
    """Delete the workers of a folder whose lock we hold: they are dead, and their jobs become free at once."""
    with connect(url) as connection:
        [[is_migrated]] = connection.execute("SELECT to_regclass('procrastinate_workers') IS NOT NULL")
        if is_migrated:
            connection.execute("DELETE FROM procrastinate_workers")
