"""``autoreview sandbox``: the simulated Prolific."""

from typing import Annotated

import typer


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8090,
    token: Annotated[str, typer.Option(help="The API token that requests must have.")] = "sandbox-token",  # noqa: S107
    webhook_url: Annotated[
        str | None, typer.Option(help="Where to send webhooks without a subscription.")
    ] = None,
    secret: Annotated[str, typer.Option(help="The secret that signs webhooks.")] = "sandbox-secret",  # noqa: S107
    participants: Annotated[
        int, typer.Option(min=0, help="Number of participants who take part once it runs.")
    ] = 0,
    time_scale: Annotated[
        float, typer.Option(min=0.001, help="How much faster than real time the participants work.")
    ] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same participants.")] = 1,
) -> None:
    """Run the simulated Prolific alone: API, webhooks with Prolific's retries, participants."""
    import asyncio

    from service.sandbox.server import run_sandbox
    from service.telemetry.log import configure_logs

    configure_logs(form="console", level="info")
    asyncio.run(
        run_sandbox(
            host,
            port,
            token=token,
            webhook_url=webhook_url,
            secret=secret,
            participants=participants,
            time_scale=time_scale,
            seed=seed,
        ),
    )
