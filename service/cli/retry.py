"""``autoreview retry``: retries decisions that could not be applied."""

from typing import Annotated

import typer

from service.console.output import Json, echo, print_json


def retry(
    submission: Annotated[
        str | None, typer.Argument(help="The submission whose last decision failed.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All submissions whose last decision failed.")] = False,
    as_json: Json = False,
) -> None:
    """Retry a decision that could not be applied. The worker starts at once."""
    if every == (submission is not None):
        raise typer.BadParameter("Name a submission, or use --all.")
    from service.cli.database import order
    from service.manual.retry import retry_failed

    retried = order(lambda connection: retry_failed(connection, submission))
    if as_json:
        print_json({"retried": retried})
    elif retried:
        echo(f"Tried again: {', '.join(retried)}")
    else:
        echo("No submission's last decision failed.")
