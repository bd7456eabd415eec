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
from service.pages.access import for_browsers
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
    """Which parts of the service this process runs, and how.

    It updates ``most_streams`` pages live at once, and reads the rules folder every ``read_rules_every`` seconds.
    """

    web: bool = True
    worker: bool = True
    most_streams: int = 100
    read_rules_every: float = 1.0


@dataclass(frozen=True, slots=True)
class _Shared:
    """What most parts of a process are built from."""

    settings: Settings
    database: Database
    rules: RulesInForce
    metrics: Metrics
    clock: Clock | None


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
    metrics, health = _metrics(settings), Health({})
    database = _database(database_url, budget, metrics)
    shared = _Shared(settings, database, rules, metrics, clock)
    jobs = job_app(
        database.connections,
        size=budget.jobs or 1,
        on_heartbeat=health.note_heartbeat,
        settings=settings_of(settings),
    )
    writer = InboxWriter(database)
    after_migration: list[BackgroundTask] = [Gauges(database, metrics).run]
    worker = _worker(shared, jobs) if parts.worker else None
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
        (writer.run, _watcher(shared, parts).run, database.connections.watch),
        tuple(after_migration),
    )


def _database(url: str, budget: Budget, metrics: Metrics) -> Database:
    def count(kind: str) -> None:
        metrics.database_errors.labels(kind).inc()

    return Database(url, pool_size=budget.engine, on_error=count)


def _watcher(shared: _Shared, parts: Parts) -> RuleWatcher:
    def on_rules(book: RuleBook) -> None:
        start_source_counters(shared.metrics, book)
        warn_of_missing(shared.settings, book, pushed=parts.web, asked=parts.worker)

    return RuleWatcher(
        shared.rules,
        shared.database,
        shared.settings.mode,
        shared.metrics,
        reviews_again=parts.worker,
        on_rules=on_rules,
        every=parts.read_rules_every,
    )


def _metrics(settings: Settings) -> Metrics:
    metrics = Metrics()
    start_counters(metrics)
    metrics.build_info.labels(__version__).set(1)
    for mode in Mode:
        metrics.mode.labels(mode.value).set(mode is settings.mode)
    return metrics


def _application(routes: list[Route | Mount]) -> Starlette:
    web = Starlette(
        routes=routes, middleware=[Middleware(SamePath)], exception_handlers=for_browsers(HANDLERS)
    )
    # Prolific counts a webhook that is answered with a redirect as failed.
    web.router.redirect_slashes = False
    return web


@dataclass(frozen=True, slots=True)
class _Worker:
    prolific: Prolific
    reviewer: Reviewer
    tasks: tuple[BackgroundTask, ...]


def _worker(shared: _Shared, jobs: App) -> _Worker:
    settings, database, rules, metrics = shared.settings, shared.database, shared.rules, shared.metrics
    token = settings.require("PROLIFIC_TOKEN", "the worker calls Prolific's API with it")
    # One client for all calls of the process: its pace slows all of them when Prolific asks for fewer.
    prolific = Prolific(settings.prolific_url, token.read, concurrency=settings.prolific_concurrency)
    studies = StudyCache(database)
    reviewer = _reviewer(shared, prolific, studies)
    register_tasks(jobs, reviewer, database, metrics)
    sweeper = Sweeper(prolific, database, rules, settings.studies)
    tasks = (
        AlsoSender(prolific, database, rules, settings.mode, metrics).run,
        _fetcher(shared).run,
        ScheduledSweep(sweeper, prolific, database, metrics, settings.sweep_every, settings.public_url).run,
        Pruning(database, metrics, settings.inbox_retention).run,
        _notifier(shared, prolific, studies).run,
        partial(run_planned, database, shared.clock),
        *([ShadowDecider(database, settings.shadow_rules_dir).run] if settings.shadow_rules_dir else ()),
    )
    return _Worker(prolific, reviewer, tasks)


def _reviewer(shared: _Shared, prolific: Prolific, studies: StudyCache) -> Reviewer:
    database, metrics, mode = shared.database, shared.metrics, shared.settings.mode
    gatherer = Gatherer(studies, StudyLists(database, metrics), shared.clock)
    recorder = Recorder(database, metrics)
    limits = service_limits(settings_of(shared.settings))
    return Reviewer(
        prolific=prolific,
        database=database,
        mode=mode,
        metrics=metrics,
        decider=Decider(database, shared.rules, mode, metrics, gatherer, recorder, limits),
        recorder=recorder,
        failures=FailureCounter(database, metrics),
        clock=shared.clock,
    )


def _fetcher(shared: _Shared) -> Fetcher:
    # Files of sources are relative to the rule files, of which the setting may name a single one.
    path = shared.rules.folder or shared.settings.rules_dir
    folder = path if path.is_dir() else path.parent
    clients = Clients(folder, shared.settings.source_secret)
    return Fetcher(shared.rules, clients, shared.database, shared.metrics)


def _notifier(shared: _Shared, prolific: Prolific, studies: StudyCache) -> Notifier:
    def count(kind: str, result: str) -> None:
        shared.metrics.notices.labels(kind, result).inc()

    async def study(study_id: str) -> Study | None:
        return await studies.get(study_id, prolific)

    return Notifier(shared.database, shared.rules, shared.settings.secret("NOTIFY_URLS"), study, count)


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
