"""Messages for the database's errors, for commands."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.errors import DatabaseError, SchemaMismatch

MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
)


@contextmanager
def explained() -> Iterator[None]:
    """Raise DatabaseError with a message instead of an error of psycopg or SQLAlchemy."""
    try:
        yield
    except DBAPIError as error:
        raise explanation_of(error.orig) from None
    except PoolTimeout:
        raise DatabaseError("The database can't be reached: no connection became free in time.") from None
    except psycopg.Error as error:
        raise explanation_of(error) from None


def explanation_of(error: BaseException | None) -> DatabaseError:
    """Return an error that says what happened and what to change."""
    diagnosis = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    what = diagnosis or " ".join(str(error).split())
    if isinstance(error, MISSING):
        return SchemaMismatch(f"The schema is not this version's: run `autoreview migrate`. ({what})")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DatabaseError(
            f"The database refuses it: {what}. Grant the role this right, or use the role that owns the tables."
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return DatabaseError(
            f"The database takes no writes: {what}. Use the primary server, and a role without "
            "default_transaction_read_only."
        )
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return DatabaseError(f"Another session keeps a lock that is needed: {what}. End it, or try again.")
    if isinstance(error, psycopg.OperationalError):
        return DatabaseError(f"The database can't be reached: {what}")
    return DatabaseError(f"The database refuses it: {what}")
