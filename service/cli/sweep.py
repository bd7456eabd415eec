"""``autoreview sweep``: searches once for submissions with a missed webhook."""

from typing import TYPE_CHECKING, Any

import typer

from service.console.output import Json, echo, print_json

if TYPE_CHECKING:
    from service.postgres.database import Database

MEANINGS = {
    "webhook_missed": "awaits review, and no webhook reported it",
    "not_reviewed": "a webhook or evidence came, and its review never ended",
    "not_applied": "decided, and never sent",
    "unconfirmed": "sent, and never answered",
    "timer_missed": "it was to be looked at again by now",
    "undone": "done, and it awaits review still or again",
    "gone": "it awaits review as far as we know, and Prolific lists it no more",
}


def sweep(as_json: Json = False) -> None:
    """Find submissions whose webhook never came, and queue their reviews.

    Exit 1 if a study could not be listed.
    """
    swept = _sweep()
    if as_json:
        print_json(swept)
    else:
        echo(
            f"{swept['studies']} studies, {swept['awaiting_review']} submissions await review, "
            f"{swept['enqueued']} of them to be reviewed:"
        )
        for cause, number in swept["found"].items():
            echo(f"  {number:5}  {cause:15} {MEANINGS[cause]}")
        for problem in swept["problems"]:
            echo(f"  {problem}", err=True)
    if swept["problems"]:
        raise typer.Exit(1)


def _sweep() -> dict[str, Any]:
    from service.cli.database import with_service
    from service.prolific.client import Prolific
    from service.rulebook.at_work import at_work
    from service.settings import Settings
    from service.sweep.sweeper import Sweeper

    settings = Settings.from_environment()
    token = settings.require("PROLIFIC_TOKEN", "Prolific's lists are read with it")

    async def swept(database: "Database") -> dict[str, Any]:
        async with database.connect() as connection:
            found = await at_work(connection, settings)
        async with Prolific(settings.prolific_url, token.read, concurrency=1) as prolific:
            sweeper = Sweeper(prolific, database, lambda: found.book, found.settings.studies)
            return (await sweeper.sweep()).as_dict()

    return with_service(swept)
