"""Health: ``/livez`` checks only the event loop, ``/readyz`` what this process needs. Neither asks Prolific."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from service.errors import AutoreviewError
from service.postgres.database import ERROR_HINTS, Database, error_kind, within
from service.postgres.migrate import schema_advice
from service.rulebook.current import RulesInForce
from service.store.workers import FRESH

CHECK_TIMEOUT = 2.0  # seconds

# Return a short description. Raise an error if the check fails.
Check = Callable[[], Coroutine[None, None, str]]


class NotReady(AutoreviewError):
    """This process can't do its work."""

    code = "not_ready"


@dataclass(slots=True)
class Health:
    """The checks of this process. ``draining`` is True while it stops."""

    checks: Mapping[str, Check]
    draining: bool = False
    worker_running: bool = field(default=False)
    timer: Callable[[], float] = time.monotonic
    heartbeat_at: float | None = None  # of this process's own worker, by ``timer``

    def note_heartbeat(self) -> None:
        self.heartbeat_at = self.timer()

    async def livez(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        # At the same time, so that the slowest check limits the answer's time.
        answers = await asyncio.gather(*map(_ask, self.checks.values()))
        found = dict(zip(self.checks, answers, strict=True))
        if self.draining:
            found["draining"] = (False, "The service is stopping.")
        ready = all(ok for ok, _ in found.values())
        status = 200 if ready else 503
        if "verbose" in request.query_params:
            checks = {name: {"ok": ok, "detail": detail} for name, (ok, detail) in found.items()}
            return JSONResponse({"ready": ready, "checks": checks}, status_code=status)
        failing = [f"{name}: {detail}\n" for name, (ok, detail) in found.items() if not ok]
        return PlainTextResponse("ok\n" if ready else "".join(failing), status_code=status)


async def _ask(check: Check) -> tuple[bool, str]:
    try:
        return True, await within(CHECK_TIMEOUT, check())
    except TimeoutError:
        return False, f"no answer in {CHECK_TIMEOUT:.0f} s"
    except AutoreviewError as error:
        return False, str(error)
    except Exception as error:
        return False, ERROR_HINTS.get(error_kind(error)) or type(error).__name__


def database_check(database: Database) -> Check:
    async def check() -> str:
        if not await database.takes_writes():
            raise NotReady(ERROR_HINTS["read_only"])
        # The database answers, but the last writes failed, for example because its disk is full.
        if reason := database.write_failure():
            raise NotReady(reason)
        return "reachable"

    return check


def schema_check(database: Database, head: str) -> Check:
    async def check() -> str:
        found = await database.schema()
        if not found.works_for(head):
            missing = found.revision or "missing"
            raise NotReady(
                f"The schema is {missing}, this version needs {head}. {schema_advice(found.revision)}"
            )
        later = f" (a later one, on which {head} works)" if found.revision != head else ""
        return f"{found.revision}{later}"

    return check


def rules_check(rules: RulesInForce) -> Check:
    async def check() -> str:
        files = rules.book.files
        if not files:
            raise NotReady("No rule file is loaded.")
        if rules.errors:
            # The route needs no token: it shows places and codes, no text of the files.
            places = "; ".join(finding.place for finding in rules.errors if finding.severity == "error")
            return (
                f"{len(files)} files, the last valid ones, because those in the folder have errors: {places}"
            )
        return f"{len(files)} files"

    return check


def worker_check(health: Health) -> Check:
    """Return the check of this process's own worker. Those of other replicas don't count."""

    async def check() -> str:
        if not health.worker_running:
            raise NotReady("The worker is not running.")
        if health.heartbeat_at is None:
            raise NotReady("The worker has not reached the database yet.")
        age = health.timer() - health.heartbeat_at
        if age > FRESH.total_seconds():
            raise NotReady(f"The worker's last heartbeat was {age:.0f} s ago.")
        return f"last heartbeat {age:.0f} s ago"

    return check
