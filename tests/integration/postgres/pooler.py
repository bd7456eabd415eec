"""A PgBouncer in front of a test's database, in transaction mode."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.process import free_port
from tests.world import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None, reason="the program pgbouncer (a Debian package) is not installed"
)


@asynccontextmanager
async def pgbouncer(
    url: str, folder: Path, *, pool_mode: str = "transaction", **more: str
) -> AsyncIterator[str]:
    """Yields the URL that leads through it."""
    assert PROGRAM
    folder.mkdir(exist_ok=True)
    port = free_port()
    ini = configure(url, folder, port, pool_mode=pool_mode, **more)
    with (folder / "log").open("wb") as log:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(PROGRAM, *user, str(ini), stdout=log, stderr=log)
    try:
        await until(lambda: _listens(port, process, folder / "log"), "PgBouncer to listen")
        yield through_port(url, port)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def configure(url: str, folder: Path, port: int, *, pool_mode: str = "transaction", **more: str) -> Path:
    """Write what PgBouncer reads, for any user's eyes; return its configuration file."""
    server = urlsplit(url)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": str(folder / "users"),
        "pool_mode": pool_mode,
        "default_pool_size": "6",
        **more,
    }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    target = f"host={server.hostname} port={server.port} password={server.password}"
    (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
    (folder / "ini").write_text("\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""]))
    for path in (folder, folder / "users", folder / "ini"):
        path.chmod(0o755)
    return folder / "ini"


def through_port(url: str, port: int) -> str:
    """Return the same URL with another port."""
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


async def _listens(port: int, process: asyncio.subprocess.Process, log: Path) -> bool:
    assert process.returncode is None, log.read_text()
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False
