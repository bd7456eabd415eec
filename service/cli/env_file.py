"""Files of settings: ``--env-file`` of each command reads one, and ``sandbox --write-env`` writes one."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from service.errors import ConfigurationError

MARK = "# Written by `autoreview sandbox`. It holds secrets of the sandbox only."


def load_env_file(file: Path) -> None:
    """Set the environment of this process as the file says; the file counts more than the shell.

    Raise ConfigurationError where it can't be read, or a line is no setting.
    """
    from dotenv.parser import parse_stream

    try:
        with file.open(encoding="utf-8") as stream:
            lines = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"The settings in {file} can't be read: {why}.") from None
    for line in lines:
        # python-dotenv would go on, and the setting would be missing.
        if line.error or (line.key and line.value is None):
            raise ConfigurationError(f"{file}:{line.original.line}: write NAME=value.")
        if line.key:
            os.environ[line.key] = line.value or ""


def _load(file: str | None) -> None:
    if file:
        load_env_file(Path(file))


EnvFile = Annotated[
    str | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Read settings from this file, as NAME=value lines. They replace those of the shell.",
        is_eager=True,
        expose_value=False,
        callback=_load,
    ),
]


@cache
def env_file_option() -> Any:
    """Return the option ``--env-file``, the same for all commands, as Typer makes it of an annotation."""
    carrier = typer.Typer(add_completion=False)

    @carrier.command()
    def command(env_file: EnvFile = None) -> None:
        del env_file

    return typer.main.get_command(carrier).params[0]


def check_replaceable(file: Path) -> None:
    """Raise ConfigurationError where the file exists and was not written by the sandbox."""
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigurationError(f"{file} exists, and the sandbox did not write it. Name another file.")


def write_env_file(file: Path, settings: Mapping[str, str]) -> None:
    """Write settings, named without their prefix, to a file that only its owner can read."""
    from service.settings import PREFIX

    check_replaceable(file)
    lines = [MARK, *(f"{PREFIX}{name}='{value}'" for name, value in settings.items())]
    unfinished = file.with_name(f"{file.name}.new")
    # Of an interrupted write. O_EXCL below refuses a link that somebody else put there.
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write("\n".join([*lines, ""]))
        unfinished.rename(file)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be written: {error.strerror}.") from None
