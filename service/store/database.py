"""The one way to PostgreSQL: an async engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


def driver_url(url: str) -> sa.URL:
    """The URL as SQLAlchemy wants it, with psycopg as the driver."""
    return sa.make_url(url).set(drivername="postgresql+psycopg")


class Database:
    """Connections to one PostgreSQL. Opens none until it is asked; a lost one is replaced."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "application_name": "autoreview"},
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back on an error."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading."""
        async with self.engine.connect() as connection:
            yield connection

    async def ping(self) -> None:
        """Raises SQLAlchemy's errors if the database does not answer."""
        async with self.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def revision(self) -> str | None:
        """The schema's revision, None if there is none. Raises SQLAlchemy's errors if unreachable."""
        async with self.connect() as connection:
            if await connection.scalar(sa.text("SELECT to_regclass('alembic_version')")) is None:
                return None
            found: str | None = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            return found

    async def close(self) -> None:
        await self.engine.dispose()


async def database_now(connection: AsyncConnection) -> datetime:
    """The database's clock: the one that all replicas share."""
    found: datetime = await connection.scalar(sa.text("SELECT clock_timestamp()"))
    return found
