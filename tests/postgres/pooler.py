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
    server = urlsplit(url)
    port = free_port()
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
    folder.mkdir(exist_ok=True)
    lines = [f"{name} = {value}" for name, value in settings.items()]
    target = f"host={server.hostname} port={server.port} password={server.password}"
    (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
    (folder / "ini").write_text("\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""]))
    for path in (folder, folder / "users", folder / "ini"):
        path.chmod(0o755)
    with (folder / "log").open("wb") as log:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *user, str(folder / "ini"), stdout=log, stderr=log
        )
    try:
        await until(lambda: _listens(port, process, folder / "log"), "PgBouncer to listen")
        yield url.replace(f":{server.port}/", f":{port}/")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process, log: Path) -> bool:
    assert process.returncode is None, log.read_text()
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False
