"""The stages of the Dockerfile and their instructions."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]

from tests.unit.deploy.chart import ROOT

FILE = ROOT / "Dockerfile"
HOME = "/opt/autoreview"  # where the image has the service
MOUNT = re.compile(r"--mount=\S+\s+")


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str

    @property
    def form(self) -> list[str]:
        """Return the words of an exec form. Raise ValueError for a shell form."""
        words: list[str] = json.loads(self.value)
        return words

    @property
    def pairs(self) -> dict[str, str]:
        """Return the names and values of ENV and LABEL."""
        found = re.findall(r'(\S+?)=(?:"([^"]*)"|(\S+))', self.value)
        return {name: quoted or plain for name, quoted, plain in found}


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage. The arguments come before the first FROM."""
    found: list[list[Instruction]] = [[]]
    for one in DockerfileParser(path=str(FILE), cache_content=True).structure:
        if one["instruction"] == "FROM":
            found.append([])
        if one["instruction"] != "COMMENT":
            found[-1].append(Instruction(one["instruction"], one["value"]))
    return found


def named(stage: list[Instruction], name: str) -> list[Instruction]:
    return [one for one in stage if one.name == name]


def settings(stage: list[Instruction]) -> dict[str, str]:
    """Return the environment of a stage."""
    return {name: value for one in named(stage, "ENV") for name, value in one.pairs.items()}


def copied(stage: list[Instruction]) -> list[tuple[list[str], str]]:
    """Return what is copied from the build context, as ``(sources, destination)``."""
    words = [one.value.split() for one in named(stage, "COPY") if "--from" not in one.value]
    return [(found[:-1], found[-1]) for found in words]


def carry_out(stage: list[Instruction], folder: Path, home: Path) -> None:
    """Run the steps of a stage on this machine: ``folder`` is its working directory, ``home`` its /opt/autoreview.

    This Python replaces that of the image. Raise AssertionError with the output of a failed step.
    """
    env = _environment() | {n: v.replace(HOME, str(home)) for n, v in settings(stage).items()}
    for one in stage:
        if one.name == "COPY" and "--from" not in one.value:
            _copy(one.value.split(), folder)
        if one.name == "RUN" and not one.value.startswith("pip install"):  # uv, which is here already
            ran = subprocess.run(
                ["/bin/sh", "-euc", MOUNT.sub("", one.value)],
                cwd=folder, env=env, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, f"{one.value}\n{ran.stderr}"


def _environment() -> dict[str, str]:
    """Return the environment of this machine without its virtual environment, with uv as in the image."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv, "uv is missing: make setup"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_PYTHON"))
    }
    return inherited | {"PATH": f"{sys.base_prefix}/bin:{Path(uv).parent}:/usr/bin:/bin"}


def _copy(words: list[str], folder: Path) -> None:
    *sources, destination = words
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / destination, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, folder / destination)
