"""The routes of the service: probes, webhooks, evidence, API, dashboard."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from service.api.endpoints import Api
from service.api.manual import ManualApi
from service.evidence.access import Access
from service.evidence.cors import Preflight
from service.evidence.endpoint import EvidenceEndpoint
from service.evidence.post import PostEndpoint
from service.evidence.refusals import RefusalLog
from service.evidence.study_link import KEYS_PATH, PublishedKeys, StudyLinks
from service.intake.endpoint import WebhookEndpoint
from service.intake.writer import InboxWriter
from service.ops.health import Health
from service.pages.dashboard import Dashboard, dashboard
from service.postgres.database import Clock, Database
from service.rulebook.current import RulesInForce
from service.settings import Settings
from service.telemetry.metrics import CONTENT_TYPE, Metrics
from service.web.bearer import Bearer, WrongTokens


def operating_routes(health: Health, metrics: Metrics) -> list[Route | Mount]:
    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return [
        Route("/livez", health.livez),
        Route("/healthz", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", exposition),
    ]


def public_routes(
    settings: Settings,
    database: Database,
    writer: InboxWriter,
    rules: RulesInForce,
    metrics: Metrics,
    clock: Clock | None,
) -> list[Route | Mount]:
    secrets = settings.require("WEBHOOK_SECRETS", "webhooks are checked with Prolific's signing secret")
    webhook = WebhookEndpoint(secrets, writer, metrics)
    # One counter for all tokens, so that an address can't try each of them.
    wrong = WrongTokens(metrics)
    survey = Bearer("EVIDENCE_TOKEN", settings.secret("EVIDENCE_TOKEN"), wrong)
    access = Access(survey, settings.source_secret)
    refusals = RefusalLog(database, metrics)
    links = StudyLinks(PublishedKeys(settings.prolific_url.rstrip("/") + KEYS_PATH), database)
    evidence = EvidenceEndpoint(access, rules, database, metrics, refusals, links)
    posted = PostEndpoint(access, rules, database, metrics, refusals)
    admin = Bearer("ADMIN_TOKEN", settings.secret("ADMIN_TOKEN"), wrong, settings.secret("VIEWER_TOKEN"))
    api = Api(admin, database, rules, settings.mode, settings.public_url)
    people = ManualApi(admin, database, settings.public_url, clock)
    return [
        Route("/webhooks/prolific", webhook.__call__, methods=["POST"]),
        Route("/evidence/{source}", posted.__call__, methods=["POST"]),
        Route("/evidence/{source}/{submission_id}", evidence.__call__, methods=["PUT"]),
        Route("/evidence/{source}/{submission_id}", Preflight(rules).__call__, methods=["OPTIONS"]),
        Mount("/api", routes=[*api.routes(), *people.routes()]),
    ]


def dashboard_of(
    settings: Settings,
    database: Database,
    rules: RulesInForce,
    metrics: Metrics,
    *,
    most_streams: int,
    clock: Clock | None,
) -> Dashboard:
    return dashboard(
        database,
        rules,
        settings.mode,
        metrics,
        admin=settings.secret("ADMIN_TOKEN"),
        viewer=settings.secret("VIEWER_TOKEN"),
        public_url=settings.public_url,
        most_streams=most_streams,
        clock=clock,
    )
