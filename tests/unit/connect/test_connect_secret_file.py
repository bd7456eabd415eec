"""The file that holds the signing secret."""

import os
from pathlib import Path
from stat import S_IMODE

import pytest

from service.connect.secret_file import check_writable, keep_secret
from service.errors import ConfigurationError
from service.secret import Secret


def test_it_is_for_its_owner_alone_and_what_the_service_reads(tmp_path: Path) -> None:
    path, before = tmp_path / "secret", os.umask(0)
    try:
        keep_secret(path, "s3cr3t")
    finally:
        os.umask(before)
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert Secret("X", file=path).read() == "s3cr3t"
    assert list(tmp_path.iterdir()) == [path]


def test_another_secret_replaces_it_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    keep_secret(path, "the one before")
    inode = path.stat().st_ino
    keep_secret(path, "s3cr3t")
    assert path.read_text() == "s3cr3t\n"
    assert path.stat().st_ino != inode, "it was written in place, where a reader may find half of it"


def test_a_file_that_has_it_among_others_is_only_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("another, s3cr3t\n")
    path.chmod(0o644)
    keep_secret(path, "s3cr3t")
    assert path.read_text() == "another, s3cr3t\n"
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_written_where_a_link_leads(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    keep_secret(check_writable(link), "s3cr3t")
    assert link.is_symlink()
    assert (tmp_path / "secret").read_text() == "s3cr3t\n"


@pytest.mark.parametrize("place", [".", "no/such/folder", "/dev/null"])
def test_a_place_that_cannot_hold_it_is_said_before_anything_is_done(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="--out"):
        check_writable(tmp_path / place)


def test_of_several_others_none_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of-another-workspace, one-before\n")
    keep_secret(check_writable(path), "s3cr3t")
    assert path.read_text() == "s3cr3t,of-another-workspace,one-before\n"


@pytest.mark.parametrize("held", ["version: 1\nname: My study\n", "two words", "a\x00b", "é"])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path, held: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(held)
    with pytest.raises(ConfigurationError, match="--out"):
        check_writable(path)
    assert path.read_text() == held
