"""What is compared: the intake, a bare handler that only checks the HMAC, and one commit per request."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.app import Parts, build
from service.domain.decision import Trigger
from service.intake.event import event_id, read_event
from service.intake.signature import signed_form
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rules import load
from service.serve import bind, serve
from service.settings import Settings
from service.store.inbox import add_events
from service.store.queue import enqueue_reviews
from service.web.server import Server
from tests.world import SECRET


async def _checked(request: Request) -> tuple[bytes, dict[bytes, bytes]] | None:
    body = await request.body()
    headers = dict(request.scope["headers"])
    timestamp = headers.get(b"x-prolific-request-timestamp")
    is_ours = signed_form([SECRET], timestamp, body, headers.get(b"x-prolific-request-signature"))
    return (body, headers) if is_ours else None


async def bare(request: Request) -> Response:
    return JSONResponse({"status": "accepted"}, 202 if await _checked(request) else 401)


def one_commit_each(database: Database) -> Starlette:
    async def endpoint(request: Request) -> Response:
        checked = await _checked(request)
        if checked is None:
            return JSONResponse({}, 401)
        body, headers = checked
        event = read_event(event_id(headers.get(b"x-event-id"), b"", body), body)
        async with database.begin() as connection:
            await add_events(connection, [event])
            await enqueue_reviews(connection, [event.submission_id or ""], Trigger.WEBHOOK)
        return JSONResponse({"status": "accepted"}, 202)

    return Starlette(routes=[Route("/webhooks/prolific", endpoint, methods=["POST"])])


async def run(kind: str, database_url: str, rules: str) -> None:
    settings = Settings(port=0, webhook_secrets=SECRET, admin_token="an-admin", mode="observe")
    listener = bind(settings)
    listener.listen(2048)
    print(listener.getsockname()[1], flush=True)
    if kind == "intake":
        in_force = RulesInForce(load(Path(rules)), datetime.now(UTC))
        parts = Parts(web=True, worker=False)
        await serve(build(settings, database_url, in_force, parts=parts), parts, listener)
        return
    import uvicorn

    app = (
        Starlette(routes=[Route("/webhooks/prolific", bare, methods=["POST"])])
        if kind == "bare"
        else one_commit_each(Database(database_url))
    )
    await Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")).serve(
        sockets=[listener]
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(*sys.argv[1:4]))
