"""Properties of the Dockerfile that can be read from it."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.settings import Settings, variables
from tests.unit.deploy.chart import ROOT, ci, containers, defaults, render
from tests.unit.deploy.dockerfile import FILE, copied, named, settings, stages

TEXT = FILE.read_text(encoding="utf-8")
ARGUMENTS, *STAGES = stages()
BUILD, FINAL = STAGES
LET_IN = [
    line.removeprefix("!")
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line.startswith("!")
]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_base_images_are_arguments_with_a_version() -> None:
    given = dict(one.value.split("=", 1) for one in named(ARGUMENTS, "ARG"))
    assert {stage[0].value.split()[0] for stage in STAGES} == {f"${{{name}}}" for name in given}
    for base in given.values():
        assert re.search(r":\d+\.\d+", base)
        assert "latest" not in base
    assert BUILD[0].value.split()[0] == FINAL[0].value, "the virtual environment needs the same Python"


def test_image_python_is_a_version_that_the_project_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (version,) = re.findall(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)-slim", TEXT, flags=re.MULTILINE)
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


def test_installed_packages_are_checked_against_their_hashes() -> None:
    steps = [one.value for one in named(BUILD, "RUN")]
    installs = [part for step in steps for part in step.split("&&") if "uv pip install" in part]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps dist/*.whl" in installs[1]
    assert any("uv build" in step and "--require-hashes" in step for step in steps)
    assert not re.search(r"embedded|editable|\bpip install(?! --)", "\n".join(steps))
    assert not re.search(r"apt-get|curl|wget|\bADD\b", TEXT)


def test_image_user_is_the_number_in_the_chart_and_owns_no_file() -> None:
    (user,) = named(FINAL, "USER")
    uid = defaults()["podSecurityContext"]["runAsUser"]
    assert user.value == f"{uid}:{uid}"
    assert "--chown" not in TEXT
    assert [one.value.split() for one in named(FINAL, "COPY")] == [
        ["--from=build", "/opt/autoreview", "/opt/autoreview"]
    ]


def test_image_serves_by_default_and_runs_the_commands_of_the_chart() -> None:
    (entrypoint,), (command,) = named(FINAL, "ENTRYPOINT"), named(FINAL, "CMD")
    assert entrypoint.form == ["autoreview"]
    assert command.form == ["serve"]
    assert [one.value for one in named(FINAL, "STOPSIGNAL")] == ["SIGTERM"]
    commands = [one.get("args") or one["command"] for one in containers(render(ci("production")))]
    assert sorted(words[0] for words in commands) == ["migrate", "python", "serve", "serve"]


def test_health_check_is_a_module_of_the_service() -> None:
    (check,) = named(FINAL, "HEALTHCHECK")
    (words,) = re.findall(r'CMD \["python", "-m", "([\w.]+)"\]$', check.value)
    assert importlib.util.find_spec(words) is not None


def test_image_environment_has_existing_settings_only() -> None:
    given = settings(FINAL)
    assert {name for name in given if name.startswith("AUTOREVIEW_")} < variables()
    assert given["AUTOREVIEW_HOST"] == "::"
    assert given["AUTOREVIEW_LOG_FORMAT"] == "json"
    assert given["AUTOREVIEW_RULES_DIR"] == "/rules"
    assert given["PATH"].startswith("/opt/autoreview/bin:")
    assert [one.value for one in named(FINAL, "EXPOSE")] == [str(Settings.model_fields["port"].default)]


def test_image_has_descriptive_labels() -> None:
    labels = {name for one in named(FINAL, "LABEL") for name in one.pairs}
    wanted = ("title", "description", "licenses", "version", "revision")
    assert labels == {f"org.opencontainers.image.{name}" for name in wanted}


@pytest.mark.parametrize("source", sorted({name for sources, _ in copied(BUILD) for name in sources}))
def test_copied_files_exist_and_are_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert source in LET_IN


def test_build_context_has_only_copied_files() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    assert set(LET_IN) == {name for sources, _ in copied(BUILD) for name in sources}
    assert copied(FINAL) == []
