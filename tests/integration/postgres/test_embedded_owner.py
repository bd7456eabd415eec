"""Files in the data folder before the first start: links are not followed, files of other owners are refused."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import DatabaseError
from service.postgres.embedded import delete_database, embedded_postgres, running_url

STRANGER = 12345  # a user id that is not root's, ours or the user `nobody`'s
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder that every user may pass through, as PostgreSQL's has to be."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "data").mkdir(mode=0o711)
        yield Path(name) / "data"


@pytest.fixture
def foreign(data_dir: Path) -> Path:
    """Somebody's folder, with a file in it."""
    folder = data_dir.parent / "foreign"
    folder.mkdir(mode=0o755)
    (folder / "precious").write_text("keep me")
    return folder


def start(data_dir: Path) -> None:
    with embedded_postgres(data_dir):
        pass


@as_root
@pytest.mark.parametrize("owner", [0, STRANGER])
def test_a_link_to_a_foreign_folder_is_refused_and_nothing_changes_hands(
    data_dir: Path, foreign: Path, owner: int
) -> None:
    os.chown(foreign, owner, owner)
    os.chown(foreign / "precious", owner, owner)
    (data_dir / "postgres").symlink_to(foreign)
    with pytest.raises(DatabaseError, match=r"links to .*foreign.*Remove the link"):
        start(data_dir)
    with pytest.raises(DatabaseError, match="Remove the link"):
        delete_database(data_dir)
    assert [
        (path.stat().st_uid, path.stat().st_mode & 0o777) for path in (foreign, foreign / "precious")
    ] == [
        (owner, 0o755),
        (owner, 0o644),
    ]
    assert [path.name for path in foreign.iterdir()] == ["precious"]


@pytest.mark.parametrize("name", ["lock", "postgres.log"])
def test_a_file_that_is_a_link_is_not_written_through(data_dir: Path, foreign: Path, name: str) -> None:
    (data_dir / name).symlink_to(foreign / "precious")
    with pytest.raises(DatabaseError, match=rf"{name} is a link, which the service does not follow"):
        start(data_dir)
    assert (foreign / "precious").read_text() == "keep me"


@pytest.mark.parametrize("name", ["lock", "postgres.log"])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(data_dir: Path, name: str) -> None:
    os.mkfifo(data_dir / name)
    with pytest.raises(DatabaseError, match=name):
        start(data_dir)


def test_the_url_of_a_running_service_is_not_read_through_a_link(data_dir: Path, foreign: Path) -> None:
    with embedded_postgres(data_dir) as url:
        assert running_url(data_dir) == url
        (data_dir / "postgres.url").unlink()
        (data_dir / "postgres.url").symlink_to(foreign / "precious")
        assert running_url(data_dir) is None


@as_root
@pytest.mark.parametrize("name", [".", "lock", "postgres.log", "postgres"])
def test_what_belongs_to_another_user_is_refused_by_name(data_dir: Path, name: str) -> None:
    path = data_dir / name
    if name == "postgres":
        path.mkdir()
    elif name != ".":
        path.touch()
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(DatabaseError, match=rf"{path} belongs to another user \(uid {STRANGER}\)"):
        start(data_dir)
    assert path.stat().st_uid == STRANGER


@as_root
def test_a_data_folder_that_is_a_strangers_link_is_refused(data_dir: Path, foreign: Path) -> None:
    link = data_dir / "link"
    link.symlink_to(foreign)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(DatabaseError, match="belongs to another user"):
        start(link)
    assert [path.name for path in foreign.iterdir()] == ["precious"]


@as_root
def test_of_a_restored_backup_no_link_and_no_strangers_file_changes_hands(
    data_dir: Path, foreign: Path
) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "link").symlink_to(foreign)
    (data_dir / "postgres" / "theirs").touch()
    os.chown(data_dir / "postgres" / "theirs", STRANGER, STRANGER)
    with pytest.raises(DatabaseError, match="theirs belongs to another user"):
        start(data_dir)
    assert (data_dir / "postgres" / "theirs").stat().st_uid == STRANGER
    assert (foreign.stat().st_uid, (foreign / "precious").stat().st_uid) == (0, 0)
