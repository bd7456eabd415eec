"""What is installed is whole: migrations and rules reach the wheel, and the locks match."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob(f"prolific_autoreview-{__version__}-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(installed)} | settings
    return subprocess.run(
        [sys.executable, "-P", *arguments], env=environment, cwd=installed.parent,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_installed_service_brings_its_migrations(installed: Path, empty_database_url: str) -> None:
    where = run(installed, "-c", "import service.shipped as s; print(s.shipped('migrations'))")
    assert where.stdout.strip().startswith(str(installed)), "the test must not run from the checkout"
    migrated = run(installed, "-m", "service", "migrate", AUTOREVIEW_DATABASE_URL=empty_database_url)
    assert migrated.returncode == 0, migrated.stderr


def test_the_installed_service_brings_the_example_rules(installed: Path) -> None:
    checked = run(installed, "-m", "service", "check", str(installed / "service" / "_shipped" / "rules"))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_hold_what_the_project_asks_for_and_nothing_else(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    wanted = list(PROJECT["project"]["dependencies"])
    if "dev" in lock:
        wanted += (
            PROJECT["dependency-groups"]["dev"] + PROJECT["project"]["optional-dependencies"]["embedded"]
        )
    asked = {canonicalize_name(one.name): one for one in map(Requirement, wanted)}
    entries = re.split(r"\n(?=\S)", text)
    locked = {entry.partition("==")[0]: entry for entry in entries}
    for name, requirement in asked.items():
        version = re.split(r"[ ;\\]", locked[name].partition("==")[2])[0]
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}"
    ours = {name for name, entry in locked.items() if "prolific-autoreview (pyproject.toml" in entry}
    assert ours == set(asked), "asked for no more, or anew: run `make lock`"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_have_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^(\S+==\S+)", text, flags=re.MULTILINE)
    assert len(pinned) <= text.count("--hash=sha256:")


def test_no_other_folders_stand_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of files to look at")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    files = {
        "pyproject.toml",
        "README.md",
        "Makefile",
        "requirements.lock",
        "requirements-dev.lock",
        "LICENSE",
    }
    files |= {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".gitignore", ".dockerignore", "Dockerfile"}
    assert top <= files | {"service", "migrations", "rules", "tests", "helm", "docs", ".ci"}


def test_source_distribution_has_the_pages(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for name in ("README.md", "docs/deciding.md", "docs/operating.md", "docs/reference.md", "SECURITY.md"):
        assert (unpacked / name).is_file(), name
    assert not (unpacked / "tests").exists()
