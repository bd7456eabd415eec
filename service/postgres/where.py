"""Which PostgreSQL to use: the one that is set, the running service's, or an embedded one of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ConfigurationError
from service.postgres.connection import connect
from service.postgres.embedded import embedded_postgres, running_url
from service.postgres.explanation import explained
from service.postgres.migrate import migrate
from service.postgres.parameters import connection_parameters
from service.settings import Settings


def external_url(settings: Settings) -> str | None:
    """The database that AUTOREVIEW_DATABASE_URL or its file names."""
    secret = settings.secret("DATABASE_URL")
    if secret is None:
        return None
    try:
        url = secret.read()
        connection_parameters(url)
    except ValueError as error:
        raise ConfigurationError(f"{secret.variable} {error}") from None
    return url


def database_exists(settings: Settings) -> bool:
    """Whether there is a database already: the one that is set, or an embedded one in the data folder."""
    return external_url(settings) is not None or (settings.data_dir / "postgres").is_dir()


@contextmanager
def service_database(settings: Settings) -> Iterator[str]:
    """The database of a service that starts; the embedded one is brought to this version's schema."""
    if url := external_url(settings):
        with explained():
            yield url
        return
    with embedded_postgres(settings.data_dir) as url, explained():
        migrate(url)
        _forget_workers(url)
        yield url


def _forget_workers(url: str) -> None:
    """Whoever worked on this folder before is dead, since we hold its lock: its jobs are free at once."""
    with connect(url) as connection:
        connection.execute("DELETE FROM procrastinate_workers")


@contextmanager
def command_database(settings: Settings) -> Iterator[str]:
    """The database of a command: the running service's embedded one if there is one."""
    if url := external_url(settings) or running_url(settings.data_dir):
        with explained():
            yield url
        return
    with service_database(settings) as url:
        yield url
