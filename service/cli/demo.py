"""``autoreview demo``: runs the rehearsal of a study on this machine."""

from typing import Annotated

import typer

from service.console.output import Json


def demo(
    participants: Annotated[int, typer.Option(min=1, max=5000, help="Number of participants.")] = 240,
    seed: Annotated[int, typer.Option(help="The same seed gives the same participants.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave dashboard and sandbox running at the end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rehearse a whole study on this machine. Nothing is needed, nothing leaves it."""
    from service.demo import rehearse

    raise typer.Exit(rehearse(participants=participants, seed=seed, keep=keep, as_json=as_json))
