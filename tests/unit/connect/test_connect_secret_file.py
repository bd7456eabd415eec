"""The file that holds the signing secret."""

import os
from pathlib import Path
from stat import S_IMODE

import pytest

from service.connect.secret_file import check_writable, keep_secret
from service.errors import ConfigurationError
from service.secret import Secret


def test_secret_file_is_readable_by_its_owner_only_and_by_the_service(tmp_path: Path) -> None:
    path, before = tmp_path / "secret", os.umask(0)
    try:
        keep_secret(path, "s3cr3t")
    finally:
        os.umask(before)
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert Secret("X", file=path).read() == "s3cr3t"
    assert list(tmp_path.iterdir()) == [path]


def test_secret_file_with_one_secret_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    keep_secret(path, "the one before")
    inode = path.stat().st_ino
    keep_secret(path, "s3cr3t")
    assert path.read_text() == "s3cr3t\n"
    assert path.stat().st_ino != inode, "it was written in place, where a reader may find half of it"


def test_secret_file_that_already_has_the_secret_gets_only_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("another, s3cr3t\n")
    path.chmod(0o644)
    keep_secret(path, "s3cr3t")
    assert path.read_text() == "another, s3cr3t\n"
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_secret_file_behind_a_link_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    keep_secret(check_writable(link), "s3cr3t")
    assert link.is_symlink()
    assert (tmp_path / "secret").read_text() == "s3cr3t\n"


@pytest.mark.parametrize("place", [".", "no/such/folder", "/dev/null"])
def test_unwritable_secret_file_is_reported_before_any_request(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="--out"):
        check_writable(tmp_path / place)


def test_secret_file_keeps_several_other_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of-another-workspace, one-before\n")
    keep_secret(check_writable(path), "s3cr3t")
    assert path.read_text() == "s3cr3t,of-another-workspace,one-before\n"


@pytest.mark.parametrize("held", ["version: 1\nname: My study\n", "two words", "a\x00b", "é"])
def test_secret_file_with_other_content_is_not_changed(tmp_path: Path, held: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(held)
    with pytest.raises(ConfigurationError, match="--out"):
        check_writable(path)
    assert path.read_text() == held
