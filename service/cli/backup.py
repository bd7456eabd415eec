"""``autoreview backup`` and ``autoreview restore``: the embedded database in one file, and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.console.output import Json, echo, print_json
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from service.settings import Settings

File = Annotated[Path, typer.Argument(help="The file of the backup.")]


def backup(file: File, as_json: Json = False) -> None:
    """Copy the embedded database to a new file, also while the service runs."""
    from service.cli.database import command_database
    from service.postgres.backup import back_up

    settings = _embedded("backup")
    with command_database(settings) as url:
        about = back_up(url, file)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size, **about})
    else:
        echo(
            f"Wrote {file}: {size:,} bytes, schema {about['schema']}. It holds participants' data: only you can read it."
        )


def restore(file: File, as_json: Json = False) -> None:
    """Make the database of an empty data folder from a backup. Starts nothing."""
    from service.postgres.backup import restore as load
    from service.postgres.migrate import head

    settings = _embedded("restore")
    revision = load(file, settings.data_dir)["schema"]
    folder = settings.data_dir.absolute()
    if as_json:
        print_json({"data_dir": str(folder), "schema": {"before": revision, "after": head()}})
        return
    migrated = "" if revision == head() else f", migrated from schema {revision} to {head()}"
    echo(
        f"Restored {file} into {folder}{migrated}. Nothing was started.",
        "Look at it with `autoreview holds`, then start the service with `autoreview serve`.",
    )


def _embedded(command: str) -> "Settings":
    """The settings. Raise ConfigurationError where the database is not the embedded one."""
    from service.postgres.where import external_url
    from service.settings import Settings

    settings = Settings.from_environment()
    if external_url(settings):
        program = {"backup": "pg_dump", "restore": "pg_restore"}[command]
        raise ConfigurationError(
            f"`autoreview {command}` is for the embedded database, and AUTOREVIEW_DATABASE_URL is set. "
            f"Use `{program}` with that server, or unset AUTOREVIEW_DATABASE_URL."
        )
    return settings
