"""``autoreview pause``: stops automatic requests to Prolific."""

from typing import Annotated

import typer

from service.console.output import Json, echo, print_json
from service.errors import ConfigurationError

Study = Annotated[str | None, typer.Option(metavar="ID", help="Only this study. Default: the whole service.")]
By = Annotated[str, typer.Option(metavar="NAME", help="Your name, for the record.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")]


def pause(by: By, reason: Why, study: Study = None, as_json: Json = False) -> None:
    """Stop automatic requests to Prolific. Decisions are recorded as held. People can still decide."""
    from service.cli.database import order
    from service.manual.pause import Unnamed
    from service.manual.pause import pause as stop

    try:
        paused = order(lambda connection: stop(connection, study, by, reason))
    except Unnamed as error:
        raise ConfigurationError(str(error)) from None
    if as_json:
        print_json({"paused": True, "study": study, "study_known": paused.is_known})
        return
    option = f" --study {study}" if study else ""
    echo(f"Paused {scope(study)}: nothing more is sent automatically, from any replica.")
    if paused.before:
        echo(f"It was paused already, by {paused.before.by}: {paused.before.reason}")
    # Paused nevertheless: a study may be paused before its first participant.
    if not paused.is_known:
        echo("No submission of this study was ever seen here. Is the id right?", err=True)
    echo(f"It ends with: autoreview resume{option} --by NAME --reason WHY")


def scope(study: str | None) -> str:
    return f"study {study}" if study else "the whole service"
