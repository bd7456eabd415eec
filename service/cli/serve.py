"""``autoreview serve``: runs the service, or one half of it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

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

    import structlog
    import uvloop

    from service import __version__
    from service.app import Parts, build
    from service.postgres.requirements import check_requirements
    from service.postgres.where import external_url, service_database
    from service.rulebook.startup import load_rules, rules_at_start
    from service.serve import bind
    from service.serve import serve as run
    from service.settings import Settings
    from service.store.rights import needed_rights
    from service.telemetry.log import configure_logs

    settings = Settings.from_environment()
    configure_logs(form=settings.log_format, level=settings.log_level)
    parts = Parts(web=only is not Only.WORKER, worker=only is not Only.WEB)
    # The embedded database belongs to one process.
    if only and external_url(settings) is None:
        raise ConfigurationError(
            f"AUTOREVIEW_DATABASE_URL is not set: `serve --only {only.value}` needs a database that the other "
            "half reaches too."
        )
    _require(settings, parts)
    read = load_rules(settings)
    log = structlog.get_logger(__name__)
    log.info("starting", version=__version__, rules=str(settings.rules_dir))
    with bind(settings) as listener, service_database(settings) as url:
        budget = check_requirements(url, needed_rights(), worker=parts.worker)
        rules = rules_at_start(read, settings, url)
        service = build(settings, url, rules, parts=parts, budget=budget)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(service, parts, listener))
    log.info("stopped")


def _require(settings: "Settings", parts: "Parts") -> None:
    """Report all missing settings at once, before anything starts."""
    from service.web.outgoing import http_client

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
