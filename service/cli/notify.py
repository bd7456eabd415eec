"""``autoreview notify --test``: sends a test notification."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from service.console.output import Json, echo, print_json

if TYPE_CHECKING:
    from service.notify.channels import Delivery

TITLE = "Autoreview: a test"
TEXT = "This is a test: notifications of Autoreview arrive here. Nothing needs to be done."


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test notification to each URL.")] = False,
    as_json: Json = False,
) -> None:
    """Send a test notification to each of AUTOREVIEW_NOTIFY_URLS. Exit 1 if one did not go out."""
    if not test:
        raise typer.BadParameter("Use --test: the service sends all other notifications itself.")
    deliveries = _send()
    if as_json:
        print_json([asdict(one) | {"ok": one.ok} for one in deliveries])
    else:
        for one in deliveries:
            echo(f"{one.position}: {one.schema} {'ok' if one.ok else f'failed: {one.problem}'}")
    raise typer.Exit(0 if all(one.ok for one in deliveries) else 1)


def _send() -> list["Delivery"]:
    import asyncio

    from service.notify.channels import send, urls_in
    from service.settings import Settings

    urls = Settings.from_environment().require("NOTIFY_URLS", "notifications go to these URLs")
    return asyncio.run(send(urls_in(urls), TITLE, TEXT))
