"""``autoreview resume``: ends a pause and closes breakers."""

from typing import Any

from service.cli.pause import By, Study, Why, scope
from service.console.output import Json, echo, plain, print_json
from service.errors import ConfigurationError


def resume(by: By, reason: Why, study: Study = None, as_json: Json = False) -> None:
    """End a pause and close the breakers that limits opened. Held submissions are reviewed again."""
    from service.cli.database import order
    from service.manual.pause import Unnamed
    from service.manual.pause import resume as end

    try:
        resumed = order(lambda connection: end(connection, study, by, reason))
    except Unnamed as error:
        raise ConfigurationError(str(error)) from None
    state = plain(resumed.as_dict(study))
    if as_json:
        print_json(state)
        return
    echo(f"Resumed {scope(study)}.")
    for one in state["closed"]:
        again = "; its limit counts from now on" if one["kind"] == "breaker" else ""
        echo(f"  closed: {_described(one)}{again}")
    if not state["closed"]:
        echo("  no pause was on and no breaker open")
    echo(f"  reviewed again: {state['reviewed_again']} submissions that were held or observed")
    for one in state["still_on"]:
        echo(f"  still on: {scope(one['study'])}, {_described(one)}")


def _described(one: dict[str, Any]) -> str:
    if one["kind"] == "pause":
        return f"the pause by {one['by']}: {one['reason']}"
    return f"the breaker {one['limit']}: {one['reason']}"
