"""``autoreview pause`` and ``resume``: the kill switch."""

from typing import Annotated, Any

import typer

from service.console import Json, echo, plain, print_json
from service.errors import ConfigurationError

Study = Annotated[str | None, typer.Option(help="This study alone; without it the whole service.")]
By = Annotated[str, typer.Option(metavar="NAME", help="Who says so.")]
Why = Annotated[str, typer.Option(help="Why, for those who find it.")]


def pause(by: By, reason: Why, study: Study = None, as_json: Json = False) -> None:
    """Send nothing automatically from now on: what is decided is recorded as held. People still decide."""
    paused = _pause(study, by, reason)
    if as_json:
        print_json({"paused": True, "study": study, "study_known": paused.is_known})
        return
    option = f" --study {study}" if study else ""
    echo(f"Paused {_scope(study)}: nothing more is sent automatically, from any replica.")
    if paused.before:
        echo(f"It was paused already, by {paused.before.by}: {paused.before.reason}")
    if not paused.is_known:
        echo("No submission of this study was ever seen here. Is the id right?", err=True)
    echo(f"It ends with: autoreview resume{option} --by NAME --reason WHY")


def resume(by: By, reason: Why, study: Study = None, as_json: Json = False) -> None:
    """End a pause and close the breakers that limits opened; what is held is reviewed again."""
    state = _resume(study, by, reason)
    if as_json:
        print_json(state)
        return
    echo(f"Resumed {_scope(study)}.")
    for brake in state["closed"]:
        again = "; its limit counts from now on" if brake["kind"] == "breaker" else ""
        echo(f"  closed: {_brake(brake)}{again}")
    if not state["closed"]:
        echo("  no pause was on and no breaker open")
    echo(f"  reviewed again: {state['reviewed_again']} submissions that were held or observed")
    for brake in state["still_on"]:
        echo(f"  still on: {_scope(brake['study'])}, {_brake(brake)}")


def _pause(study: str | None, by: str, reason: str) -> Any:
    from service.cli.database import ask
    from service.manual.pause import Unnamed, pause

    try:
        return ask(lambda connection: pause(connection, study, by, reason))
    except Unnamed as error:
        raise ConfigurationError(str(error)) from None


def _resume(study: str | None, by: str, reason: str) -> dict[str, Any]:
    from service.api.manual import resumed_state
    from service.cli.database import ask
    from service.manual.pause import Unnamed, resume

    try:
        resumed = ask(lambda connection: resume(connection, study, by, reason))
    except Unnamed as error:
        raise ConfigurationError(str(error)) from None
    state: dict[str, Any] = plain(resumed_state(study, resumed))
    return state


def _scope(study: str | None) -> str:
    return f"study {study}" if study else "the whole service"


def _brake(brake: dict[str, Any]) -> str:
    if brake["kind"] == "pause":
        return f"the pause by {brake['by']}: {brake['reason']}"
    return f"the breaker {brake['limit']}: {brake['reason']}"
