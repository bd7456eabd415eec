"""The composition root: the one place that builds the service from its settings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from procrastinate import App
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from service.api.endpoints import Api
from service.api.people import PeopleApi
from service.domain.submission import Study
from service.evidence.endpoint import EvidenceEndpoint
from service.intake.endpoint import WebhookEndpoint
from service.intake.writer import InboxWriter
from service.notify.notifier import Notifier
from service.ops.bearer import Bearer, WrongTokens
from service.ops.gauges import Gauges
from service.ops.health import Check, Health, database_check, rules_check, schema_check, worker_check
from service.ops.http import SamePath, problem
from service.ops.metrics import CONTENT_TYPE, Metrics
from service.ops.pruning import Pruning
from service.postgres.requirements import WORKER, Budget
from service.prolific.client import Prolific
from service.reloading import RuleKeeper
from service.review.gather import Gatherer
from service.review.limits import ServiceLimits
from service.review.lists import StudyLists
from service.review.record import Recorder
from service.review.review import Reviewer
from service.review.studies import StudyCache
from service.review.troubles import Troubles
from service.review.worker import register_tasks
from service.rules_in_force import RulesInForce
from service.settings import Settings
from service.store.database import Clock, Database
from service.store.migrate import head
from service.store.queue import Queue, job_app
from service.sweep.sweep import Sweeper
from service.sweep.sweeping import Sweeping

Chore = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything a process of the service consists of, not yet running."""

    settings: Settings
    database: Database
    jobs: App
    queue: Queue
    health: Health
    metrics: Metrics
    web: Starlette
    reviewer: Reviewer | None
    duties: tuple[Chore, ...]  # what runs beside the web and the worker from the start until the end
    chores: tuple[Chore, ...]  # and what waits for the schema to be there


@dataclass(frozen=True, slots=True)
class Parts:
    """Which halves of the service this process is."""

    web: bool = True
    worker: bool = True


def build(
    settings: Settings,
    database_url: str,
    rules: RulesInForce,
    *,
    parts: Parts = Parts(),
    budget: Budget = WORKER,
    clock: Clock | None = None,
) -> Service:
    """Put the service together; nothing is opened yet.

    Raises ConfigurationError naming what is not set: the token for a worker, the secrets for the web.
    """
    metrics = Metrics()
    health = Health({})
    database = Database(
        database_url,
        pool_size=budget.engine,
        told=lambda kind: metrics.database_errors.labels(kind).inc(),
    )
    jobs = job_app(database.connections, size=budget.jobs or 1, on_heartbeat=health.note_heartbeat)
    queue = Queue()
    keeper = RuleKeeper(rules, database, queue if parts.worker else None, settings.mode, metrics)
    writer = InboxWriter(database, queue)
    reviewer = _reviewer(settings, database, queue, rules, metrics, clock) if parts.worker else None
    chores = [Gauges(database, metrics).run]
    if reviewer:
        register_tasks(jobs, reviewer, database, queue, metrics)
        chores.append(_sweeping(settings, reviewer, queue, metrics).run)
        chores.append(Pruning(database, metrics, settings.inbox_retention).run)
        chores.append(_notifier(settings, reviewer, rules, metrics).run)
    health.checks = _checks(health, database, rules, parts)
    routes = _operating_routes(health, metrics)
    if parts.web:
        routes += _public_routes(settings, database, queue, writer, rules, metrics, clock)
    web = Starlette(routes=routes, middleware=[Middleware(SamePath)], exception_handlers=HANDLERS)
    web.router.redirect_slashes = False  # a webhook that is answered with a redirect counts as failed
    return Service(
        settings,
        database,
        jobs,
        queue,
        health,
        metrics,
        web,
        reviewer,
        (writer.run, keeper.run, database.connections.watch),
        tuple(chores),
    )


def _reviewer(
    settings: Settings,
    database: Database,
    queue: Queue,
    rules: RulesInForce,
    metrics: Metrics,
    clock: Clock | None,
) -> Reviewer:
    token = settings.require("PROLIFIC_TOKEN", "the worker calls Prolific's API with it")
    prolific = Prolific(settings.prolific_url, token.read, concurrency=settings.prolific_concurrency)
    return Reviewer(
        prolific=prolific,
        database=database,
        rules=rules,
        mode=settings.mode,
        metrics=metrics,
        gatherer=Gatherer(StudyCache(database), StudyLists(database, metrics), clock),
        recorder=Recorder(database, queue, metrics),
        troubles=Troubles(database, metrics),
        service_limits=service_limits(settings),
    )


def service_limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(
        rejections=settings.limit_reject_per_day,
        requests_to_return=settings.limit_request_return_per_day,
        reward=settings.limit_reward_per_day,
    )


def _sweeping(settings: Settings, reviewer: Reviewer, queue: Queue, metrics: Metrics) -> Sweeping:
    sweeper = Sweeper(reviewer.prolific, reviewer.database, queue, reviewer.rules, settings.studies)
    return Sweeping(
        sweeper, reviewer.prolific, reviewer.database, metrics, settings.sweep_every, settings.public_url
    )


def _notifier(settings: Settings, reviewer: Reviewer, rules: RulesInForce, metrics: Metrics) -> Notifier:
    def count(kind: str, result: str) -> None:
        metrics.notices.labels(kind, result).inc()

    urls = settings.secret("NOTIFY_URLS")

    async def study(study_id: str) -> Study | None:
        return await reviewer.gatherer.studies.get(study_id, reviewer.prolific)

    return Notifier(reviewer.database, rules, urls, study, count)


def _checks(health: Health, database: Database, rules: RulesInForce, parts: Parts) -> dict[str, Check]:
    """Each half that the process has must work. A web process says nothing of workers: they are other processes."""
    checks: dict[str, Check] = {"database": database_check(database)}
    if parts.web:
        checks |= {"schema": schema_check(database, head()), "rules": rules_check(rules)}
    if parts.worker:
        checks["worker"] = worker_check(health)
    return checks


def _operating_routes(health: Health, metrics: Metrics) -> list[Route | Mount]:
    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return [
        Route("/livez", health.livez),
        Route("/healthz", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", exposition),
    ]


def _public_routes(
    settings: Settings,
    database: Database,
    queue: Queue,
    writer: InboxWriter,
    rules: RulesInForce,
    metrics: Metrics,
    clock: Clock | None,
) -> list[Route | Mount]:
    secrets = settings.require("WEBHOOK_SECRETS", "webhooks are checked with Prolific's signing secret")
    webhook = WebhookEndpoint(secrets, writer, metrics)
    wrong = WrongTokens(metrics)
    survey = Bearer("EVIDENCE_TOKEN", settings.secret("EVIDENCE_TOKEN"), wrong)
    evidence = EvidenceEndpoint(survey, rules, database, queue, metrics)
    admin = Bearer("ADMIN_TOKEN", settings.secret("ADMIN_TOKEN"), wrong)
    api = Api(admin, database, rules, settings.mode, settings.public_url)
    people = PeopleApi(admin, database, settings.public_url, clock)
    return [
        Route("/webhooks/prolific", webhook.__call__, methods=["POST"]),
        Route("/evidence/{source}/{submission_id}", evidence.__call__, methods=["PUT"]),
        Mount("/api", routes=[*api.routes(), *people.routes()]),
    ]


async def _as_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = error.detail.lower().replace(" ", "_")
    return problem(error.status_code, code, error.detail, headers=error.headers)


async def _crashed(_: Request, __: Exception) -> Response:
    return problem(500, "internal_error", "Something went wrong here; the log says what.")


async def _no_database(_: Request, __: Exception) -> Response:
    return problem(503, "database", "The database does not answer; try again.", headers={"Retry-After": "10"})


async def _incomplete(_: Request, __: Exception) -> Response:
    return problem(400, "incomplete", "The connection ended before the body did.")


HANDLERS: dict[Any, Any] = {
    ClientDisconnect: _incomplete,
    HTTPException: _as_problem,
    DBAPIError: _no_database,
    SQLAlchemyTimeout: _no_database,
    Exception: _crashed,
}


@asynccontextmanager
async def opened(service: Service) -> AsyncIterator[None]:
    """Closes the connections at the end."""
    try:
        yield
    finally:
        if service.reviewer:
            await service.reviewer.prolific.aclose()
        await service.database.close()
