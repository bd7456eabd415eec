"""The composition root: builds the service from its settings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from procrastinate import App
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from service import __version__
from service.backtest.shadow import ShadowDecider
from service.counters import start_counters, start_source_counters
from service.domain.decision import Mode
from service.domain.submission import Study
from service.evidence.credentials import warn_of_missing
from service.evidence.fetching import Fetcher
from service.evidence.sources import Clients
from service.intake.writer import InboxWriter
from service.manual.planned import run_planned
from service.notify.notifier import Notifier
from service.ops.gauges import Gauges
from service.ops.health import Check, Health, database_check, rules_check, schema_check, worker_check
from service.ops.retention import Pruning
from service.postgres.database import Clock, Database
from service.postgres.migrate import head
from service.postgres.requirements import WORKER, Budget
from service.prolific.client import Prolific
from service.review.also import AlsoSender
from service.review.decide import Decider
from service.review.failures import FailureCounter
from service.review.gather import Gatherer
from service.review.limits import service_limits
from service.review.record import Recorder
from service.review.review import Reviewer
from service.review.study_cache import StudyCache
from service.review.study_lists import StudyLists
from service.review.worker import register_tasks
from service.routes import dashboard_of, operating_routes, public_routes
from service.rulebook.current import RulesInForce
from service.rulebook.watcher import RuleWatcher
from service.rules import RuleBook
from service.settings import Settings
from service.store.job_app import job_app
from service.store.workers import settings_of
from service.sweep.scheduled import ScheduledSweep
from service.sweep.sweeper import Sweeper
from service.telemetry.metrics import Metrics
from service.web.handlers import HANDLERS
from service.web.http import SamePath

BackgroundTask = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a process, not running yet.

    ``background`` tasks run from the start to the end, ``after_migration`` once the schema is there.
    """

    settings: Settings
    database: Database
    jobs: App
    health: Health
    metrics: Metrics
    web: Starlette
    prolific: Prolific | None
    reviewer: Reviewer | None
    background: tuple[BackgroundTask, ...]
    after_migration: tuple[BackgroundTask, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of the service this process runs, and how many pages it updates live at once."""

    web: bool = True
    worker: bool = True
    most_streams: int = 100


def build(
    settings: Settings,
    database_url: str,
    rules: RulesInForce,
    *,
    parts: Parts = Parts(),
    budget: Budget = WORKER,
    clock: Clock | None = None,
) -> Service:
    """Build the service. Nothing is opened yet.

    Raise ConfigurationError that names a missing setting: the token for a worker, the secrets for the web.
    """
    metrics = _metrics(settings)
    health = Health({})
    database = Database(
        database_url,
        pool_size=budget.engine,
        on_error=lambda kind: metrics.database_errors.labels(kind).inc(),
    )
    jobs = job_app(
        database.connections,
        size=budget.jobs or 1,
        on_heartbeat=health.note_heartbeat,
        settings=settings_of(settings),
    )
    warn = partial(warn_of_missing, settings, pushed=parts.web, asked=parts.worker)

    def on_rules(book: RuleBook) -> None:
        start_source_counters(metrics, book)
        warn(book)

    watcher = RuleWatcher(
        rules, database, settings.mode, metrics, reviews_again=parts.worker, on_rules=on_rules
    )
    writer = InboxWriter(database)
    after_migration: list[BackgroundTask] = [Gauges(database, metrics).run]
    worker = _worker(settings, database, rules, metrics, jobs, clock) if parts.worker else None
    if worker:
        after_migration += worker.tasks
    health.checks = _checks(health, database, rules, parts)
    routes = operating_routes(health, metrics)
    if parts.web:
        pages = dashboard_of(settings, database, rules, metrics, most_streams=parts.most_streams, clock=clock)
        routes += [*public_routes(settings, database, writer, rules, metrics, clock), *pages.routes]
        after_migration.append(pages.run)
    return Service(
        settings,
        database,
        jobs,
        health,
        metrics,
        _application(routes),
        worker.prolific if worker else None,
        worker.reviewer if worker else None,
        (writer.run, watcher.run, database.connections.watch),
        tuple(after_migration),
    )


def _metrics(settings: Settings) -> Metrics:
    metrics = Metrics()
    start_counters(metrics)
    metrics.build_info.labels(__version__).set(1)
    for mode in Mode:
        metrics.mode.labels(mode.value).set(mode is settings.mode)
    return metrics


def _application(routes: list[Route | Mount]) -> Starlette:
    web = Starlette(routes=routes, middleware=[Middleware(SamePath)], exception_handlers=HANDLERS)
    # Prolific counts a webhook that is answered with a redirect as failed.
    web.router.redirect_slashes = False
    return web


@dataclass(frozen=True, slots=True)
class _Worker:
    prolific: Prolific
    reviewer: Reviewer
    tasks: tuple[BackgroundTask, ...]


def _worker(
    settings: Settings,
    database: Database,
    rules: RulesInForce,
    metrics: Metrics,
    jobs: App,
    clock: Clock | None,
) -> _Worker:
    prolific = _prolific(settings)
    studies = StudyCache(database)
    gatherer = Gatherer(studies, StudyLists(database, metrics), clock)
    reviewer = _reviewer(settings, prolific, database, rules, gatherer, metrics)
    register_tasks(jobs, reviewer, database, metrics)
    tasks = (
        AlsoSender(prolific, database, rules, settings.mode, metrics).run,
        _fetcher(settings, database, rules, metrics).run,
        _sweep(settings, prolific, database, rules, metrics).run,
        Pruning(database, metrics, settings.inbox_retention).run,
        _notifier(settings, prolific, database, rules, studies, metrics).run,
        partial(run_planned, database, clock),
        *([ShadowDecider(database, settings.shadow_rules_dir).run] if settings.shadow_rules_dir else ()),
    )
    return _Worker(prolific, reviewer, tasks)


def _prolific(settings: Settings) -> Prolific:
    token = settings.require("PROLIFIC_TOKEN", "the worker calls Prolific's API with it")
    return Prolific(settings.prolific_url, token.read, concurrency=settings.prolific_concurrency)


def _reviewer(
    settings: Settings,
    prolific: Prolific,
    database: Database,
    rules: RulesInForce,
    gatherer: Gatherer,
    metrics: Metrics,
) -> Reviewer:
    recorder = Recorder(database, metrics)
    return Reviewer(
        prolific=prolific,
        database=database,
        mode=settings.mode,
        metrics=metrics,
        decider=Decider(
            database, rules, settings.mode, metrics, gatherer, recorder, service_limits(settings_of(settings))
        ),
        recorder=recorder,
        failures=FailureCounter(database, metrics),
        clock=gatherer.clock,
    )


def _fetcher(settings: Settings, database: Database, rules: RulesInForce, metrics: Metrics) -> Fetcher:
    path = rules.folder or settings.rules_dir
    folder = path if path.is_dir() else path.parent
    return Fetcher(rules, Clients(folder, settings.source_secret), database, metrics)


def _sweep(
    settings: Settings, prolific: Prolific, database: Database, rules: RulesInForce, metrics: Metrics
) -> ScheduledSweep:
    sweeper = Sweeper(prolific, database, rules, settings.studies)
    return ScheduledSweep(sweeper, prolific, database, metrics, settings.sweep_every, settings.public_url)


def _notifier(
    settings: Settings,
    prolific: Prolific,
    database: Database,
    rules: RulesInForce,
    studies: StudyCache,
    metrics: Metrics,
) -> Notifier:
    def count(kind: str, result: str) -> None:
        metrics.notices.labels(kind, result).inc()

    urls = settings.secret("NOTIFY_URLS")

    async def study(study_id: str) -> Study | None:
        return await studies.get(study_id, prolific)

    return Notifier(database, rules, urls, study, count)


def _checks(health: Health, database: Database, rules: RulesInForce, parts: Parts) -> dict[str, Check]:
    """Return the checks of this process's own parts. Workers in other processes don't count."""
    checks: dict[str, Check] = {"database": database_check(database)}
    if parts.web:
        checks |= {"schema": schema_check(database, head()), "rules": rules_check(rules)}
    if parts.worker:
        checks["worker"] = worker_check(health)
    return checks


@asynccontextmanager
async def opened(service: Service) -> AsyncIterator[None]:
    """Close the connections at the end of the block."""
    try:
        yield
    finally:
        if service.prolific:
            await service.prolific.aclose()
        await service.database.close()
