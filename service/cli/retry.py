"""``autoreview retry``: what failed is tried again."""

from typing import Annotated

import typer

from service.console.output import Json, echo, print_json
from service.errors import AutoreviewError


class NothingFailed(AutoreviewError):
    """There is nothing to try again."""

    code = "nothing_failed"


def retry(
    submission: Annotated[
        str | None, typer.Argument(help="The submission whose last decision failed.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All submissions whose last decision failed.")] = False,
    as_json: Json = False,
) -> None:
    """Try a failed application again; the worker takes it up at once."""
    if every == (submission is not None):
        raise typer.BadParameter("Name a submission, or say --all.")
    retried = _retry(submission)
    if submission and not retried:
        raise NothingFailed(f"The last decision of submission {submission} did not fail.")
    if as_json:
        print_json({"retried": retried})
    elif retried:
        echo(f"Tried again: {', '.join(retried)}")
    else:
        echo("No submission's last decision failed.")


def _retry(submission: str | None) -> list[str]:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from service.cli.database import order
    from service.store.decisions import failed_submissions
    from service.store.queue import enqueue_retry

    async def retry_failed(connection: AsyncConnection) -> list[str]:
        failed = await failed_submissions(connection, submission)
        for one in failed:
            await enqueue_retry(connection, one)
        return failed

    return order(retry_failed)
