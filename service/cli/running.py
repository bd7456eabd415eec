"""Commands that run something: ``serve``, ``migrate``, ``sandbox``, ``demo``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import Json, echo, print_json
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from service.app import Parts
    from service.settings import Settings


class Only(StrEnum):
    WEB = "web"
    WORKER = "worker"


def serve(
    only: Annotated[
        Only | None, typer.Option(help="Run this half alone; both need AUTOREVIEW_DATABASE_URL.")
    ] = None,
) -> None:
    """Run the service: webhooks in, decisions out."""
    import asyncio

    import uvloop

    from service.app import Parts, build
    from service.ops.log import configure_logs
    from service.postgres.requirements import check_requirements
    from service.serve import bind
    from service.serve import serve as run
    from service.settings import Settings
    from service.starting import read_rules, rules_at_start
    from service.store.rights import needed_rights
    from service.store.where import external_url, service_database

    settings = Settings.from_environment()
    configure_logs(form=settings.log_format, level=settings.log_level)
    parts = Parts(web=only is not Only.WORKER, worker=only is not Only.WEB)
    if only and external_url(settings) is None:
        raise ConfigurationError(
            f"AUTOREVIEW_DATABASE_URL is not set: `serve --only {only.value}` needs a database that the other "
            "half reaches too."
        )
    _require(settings, parts)
    read = read_rules(settings)
    with bind(settings) as listener, service_database(settings) as url:
        budget = check_requirements(url, needed_rights(), worker=parts.worker)
        rules = rules_at_start(read, settings, url)
        service = build(settings, url, rules, parts=parts, budget=budget)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(service, parts, listener))


def _require(settings: "Settings", parts: "Parts") -> None:
    """What is missing is said before anything starts, all at once."""
    from service.ops.outgoing import http_client

    needs = {
        "PROLIFIC_TOKEN": (parts.worker, "the worker calls Prolific's API with it"),
        "WEBHOOK_SECRETS": (parts.web, "webhooks are checked with Prolific's signing secret"),
    }
    problems = []
    for name, (needed, purpose) in needs.items():
        try:
            if needed and not (secret := settings.require(name, purpose)).parts():
                problems.append(f"{secret.variable} holds nothing but commas.")
        except ConfigurationError as error:
            problems.append(str(error))
    try:
        if parts.worker:
            http_client()  # with the environment's proxies and certificates
    except ConfigurationError as error:
        problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(problems))


def migrate(as_json: Json = False) -> None:
    """Bring the database to this version's schema; safe to run at the same time from several places."""
    from service.settings import Settings
    from service.store.migrate import migrate as upgrade
    from service.store.where import command_database

    with command_database(Settings.from_environment()) as url:
        before, after = upgrade(url)
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        echo(f"The schema is at {after} already.")
    else:
        echo(f"The schema went from {before or 'nothing'} to {after}.")


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8090,
    token: Annotated[str, typer.Option(help="The API token to ask for.")] = "sandbox-token",  # noqa: S107
    webhook_url: Annotated[
        str | None, typer.Option(help="Where to send webhooks without a subscription.")
    ] = None,
    secret: Annotated[str, typer.Option(help="The secret that signs webhooks.")] = "sandbox-secret",  # noqa: S107
    participants: Annotated[int, typer.Option(min=0, help="How many people take part, once it runs.")] = 0,
    time_scale: Annotated[float, typer.Option(min=0.001, help="How much faster than life time goes.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same people.")] = 1,
) -> None:
    """Run the simulated Prolific alone: API, webhooks with Prolific's retries, participants."""
    import asyncio

    from service.ops.log import configure_logs
    from service.sandbox.server import run_sandbox

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


def demo(
    participants: Annotated[int, typer.Option(min=1, max=5000, help="How many people take part.")] = 240,
    seed: Annotated[int, typer.Option(help="The same seed, the same people.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
    as_json: Json = False,
) -> None:
    """Rehearse a whole study on this machine: nothing is needed, nothing leaves it."""
    from service.demo import rehearse

    raise typer.Exit(rehearse(participants=participants, seed=seed, keep=keep, as_json=as_json))
