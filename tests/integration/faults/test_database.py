"""A database that is gone, read-only or full: no acknowledged event is lost, and no restart is needed."""

import asyncio
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import psycopg
import pytest
from psycopg import sql

from service.domain.submission import Status
from service.postgres import embedded_server as server
from service.postgres.embedded_home import Home, find_home
from service.sandbox.faults import Fault
from tests.conftest import Start
from tests.integration.faults.stored import events, jobs, query
from tests.process import free_port
from tests.world import World, rules_text, signed, status_change, until, world, write_rules

TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Server:
    """A PostgreSQL of the test's own that can be killed and comes back at its address."""

    home: Home
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return server._url(self.home.password_file.read_text(), self.port, server.NAME)

    def start(self) -> None:
        own = server._url(self.home.password_file.read_text(), self.port, "postgres")
        for _ in range(50):  # what the killed one left has to end first
            self.process = server._launch(self.home, self.port, self.log)
            if server._ready(self.process, own):
                return
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """With -9, the postmaster; its children notice."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def own_server(tmp_path: Path, data_dir: Path) -> Iterator[Server]:
    found = Server(find_home(data_dir), free_port(), tmp_path / "postgres.log")
    found.start()
    yield found
    if found.process:
        server._stop(found.process)


async def answers(doing: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    """Wait until this is answered so."""

    async def look() -> httpx.Response | None:
        answer = await doing()
        return answer if answer.status_code == status else None

    found: httpx.Response = await until(look, f"a {status}")
    return found


async def test_a_postgresql_that_is_killed_and_comes_back_is_waited_for(
    own_server: Server, tmp_path: Path
) -> None:
    folder = write_rules(tmp_path / "rules", rules_text())
    async with world(own_server.url, folder) as around:
        under_way, told = around.completed(), around.completed()
        around.prolific.add(Fault("transition", latency=1, took_effect=True))
        assert (await around.tell(under_way.id, event_id="e-1")).status_code == 202
        await until(lambda: _asked(around), "a transition to be under way")
        await asyncio.to_thread(own_server.kill)

        refused = await around.tell(told.id, event_id="e-2")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert (await around.push(told.id, {"attention_failed": 0})).status_code == 503
        assert (await around.http.get("/livez")).status_code == 200
        assert (await around.http.get("/readyz")).status_code == 503
        await asyncio.sleep(3)  # long enough that each part has met it
        assert (await around.tell(told.id, event_id="e-2")).status_code == 503

        own_server.start()
        await answers(lambda: around.tell(told.id, event_id="e-2"), 202)
        assert (await around.http.get("/readyz")).status_code == 200
        await until(lambda: _approved(around), "the worker to go on by itself")
        assert set(await events(own_server.url)) == {"e-1", "e-2"}
        for submission in (under_way, told):
            await around.settled(submission.id)
            assert [one["status"] for one in await around.decisions(submission.id)] in (
                ["applied"],
                ["already"],
            )
            assert len(around.calls(submission.id)) == 1
        metrics = (await around.http.get("/metrics")).text
        assert 'autoreview_database_errors_total{kind="unreachable"} 0.0' not in metrics


async def _asked(around: World) -> bool:
    return "transition" in around.prolific.seen


async def _approved(around: World) -> bool:
    return await around.idle() and all(
        one.status is Status.APPROVED for one in around.sandbox.submissions.values()
    )


async def test_connections_that_are_cut_again_and_again_lose_nothing(start: Start, database_url: str) -> None:
    async with start() as around:
        submissions = [around.completed() for _ in range(20)]
        acknowledged: set[str] = set()

        async def deliver(submission: str) -> None:
            """As Prolific does: until it is taken."""
            for _ in range(100):
                answer = await around.tell(submission, event_id=submission)
                assert answer.status_code in {200, 202, 503}
                if answer.is_success:
                    acknowledged.add(submission)
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("it was never taken")

        async def cut() -> None:
            for _ in range(6):
                await query(database_url, TERMINATE)
                await asyncio.sleep(0.3)

        await asyncio.gather(cut(), *(deliver(one.id) for one in submissions))
        await until(lambda: _approved(around), "all to be approved")
        assert acknowledged == set(await events(database_url)) == {one.id for one in submissions}
        assert all(len(around.calls(one.id)) == 1 for one in submissions)
        assert [len(await around.decisions(one.id)) for one in submissions] == [1] * 20


@asynccontextmanager
async def read_only(database_url: str) -> AsyncIterator[None]:
    """As after a failover to a standby: every connection is new, and none may write."""
    name = sql.Identifier(database_url.rpartition("/")[2])

    async def set_to(value: str) -> None:
        change = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("SET default_transaction_read_only = off")
            await connection.execute(change.format(name, sql.Literal(value)))
            await connection.execute(TERMINATE)

    await set_to("on")
    try:
        yield
    finally:
        await set_to("off")


async def test_read_only_database_is_logged_and_retried(
    start: Start, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start() as around:
        submission = around.completed()
        async with read_only(database_url):
            refused = await answers(lambda: around.tell(submission.id), 503)
            assert int(refused.headers["Retry-After"]) > 0
            assert (await around.push(submission.id, {"attention_failed": 0})).status_code == 503
            unready = await around.http.get("/readyz")
            assert unready.status_code == 503
            assert "takes no writes" in unready.text
            assert (await around.http.get("/livez")).status_code == 200
            assert (
                'database_errors_total{kind="read_only"} 0.0' not in (await around.http.get("/metrics")).text
            )
        assert "database.read_only" in capsys.readouterr().out
        await answers(lambda: around.tell(submission.id), 202)
        await until(lambda: _approved(around), "the worker to go on by itself")
        assert len(around.calls(submission.id)) == 1


@dataclass
class Disk:
    """Where the inbox lies; ``fill`` leaves no room on it and gives the refusal, ``free`` makes some."""

    fill: Callable[[World], Awaitable[httpx.Response]]
    free: Callable[[], Awaitable[None]]


@asynccontextmanager
async def small_disk(database_url: str) -> AsyncIterator[Disk]:
    """A real one, 4 MB of memory, which only root can mount."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    owner = pwd.getpwnam("nobody")
    options = f"size=4m,uid={owner.pw_uid},gid={owner.pw_gid},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    name = f"small_{folder.name.lower()}"

    async def fill(around: World) -> httpx.Response:
        dice = Random(1)
        for _ in range(200):
            body = status_change("65f0000000000000000000aa", "RESERVED" + dice.randbytes(25_000).hex())
            answer = await around.http.post("/webhooks/prolific", content=body, headers=signed(body))
            if answer.status_code != 202:
                return answer
        raise AssertionError("the disk takes everything")

    async def free() -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)

    try:
        await query(database_url, f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        await query(database_url, f"ALTER TABLE inbox SET TABLESPACE {name}")
        yield Disk(fill, free)
    finally:
        await query(database_url, "ALTER TABLE inbox SET TABLESPACE pg_default")
        await query(database_url, f"DROP TABLESPACE {name}")
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@asynccontextmanager
async def pretended_disk(database_url: str) -> AsyncIterator[Disk]:
    """No disk at all: a trigger that fails as PostgreSQL does on a full one."""
    await query(
        database_url,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
    )

    async def fill(around: World) -> httpx.Response:
        await query(
            database_url,
            "CREATE TRIGGER full_disk BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        return await around.tell("65f0000000000000000000aa")

    async def free() -> None:
        await query(database_url, "DROP TRIGGER full_disk ON inbox")

    yield Disk(fill, free)


@pytest.mark.parametrize("disk", [small_disk, pretended_disk], ids=["real", "pretended"])
async def test_full_disk_is_logged_and_retried(
    start: Start,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    disk: Callable[[str], AbstractAsyncContextManager[Disk]],
) -> None:
    """The real one needs root and a system that can mount; the pretended one raises PostgreSQL's own code."""
    async with start() as around, disk(database_url) as full:
        submission = around.completed()
        refused = await full.fill(around)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "database.disk_full" in capsys.readouterr().out
        assert 'database_errors_total{kind="disk_full"} 0.0' not in (await around.http.get("/metrics")).text
        unready = await around.http.get("/readyz")
        assert unready.status_code == 503
        assert "disk is full" in unready.text
        assert (await around.http.get("/livez")).status_code == 200

        await full.free()
        assert (await around.tell(submission.id, event_id="e-1")).status_code == 202
        await until(lambda: _approved(around), "the review")
        assert "e-1" in await events(database_url)


async def test_a_review_whose_end_could_not_be_written_is_repeated(start: Start, database_url: str) -> None:
    """One statement fails, the one that ends the review and its job; the worker lives on."""
    await query(
        database_url,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.task_name = 'review' THEN RAISE EXCEPTION 'cut'; END IF; RETURN OLD; END $$",
    )
    await query(
        database_url,
        "CREATE TRIGGER cut BEFORE DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION cut()",
    )
    async with start(rules_text(otherwise="hold")) as around:
        submission = around.completed()
        await around.tell(submission.id)

        async def waits_for_another_try() -> bool:
            return [job["status"] for job in await jobs(database_url)] == ["todo"]

        await until(waits_for_another_try, "the review to be put off")
        assert [row["handled_at"] for row in (await events(database_url)).values()] == [None]
        await query(database_url, "DROP TRIGGER cut ON procrastinate_jobs")
        await around.settled(submission.id)
        await around.at_rest()
        assert [row["handled_at"] is not None for row in (await events(database_url)).values()] == [True]
        assert await jobs(database_url) == []
