"""Checks of the service's own side: the configuration, the database, a worker, the rules, the public address."""

import asyncio
from collections.abc import Sequence

import httpx
from sqlalchemy.exc import SQLAlchemyError

from service.doctor.check import Unwell
from service.domain.decision import Mode
from service.errors import AutoreviewError, ConfigurationError
from service.evidence.credentials import missing_credentials
from service.postgres.database import ERROR_HINTS, Database
from service.postgres.migrate import head, schema_advice
from service.postgres.where import external_url, service_url
from service.rules import InvalidRules, RuleBook, load
from service.settings import SECRETS, Settings
from service.store.rulebooks import newest_hashes
from service.store.workers import FRESH, Worker, WorkerSettings, heartbeat_age, workers_at_work
from service.web.address import webhook_url
from service.web.outgoing import http_client

DATABASE_TIMEOUT = 5.0  # seconds
SET_CREDENTIAL = "Set it for the service, and restart it."
SERVE = "Start the service: `autoreview serve`."
MODES = {
    Mode.OBSERVE: "everything is decided and recorded, nothing applied",
    Mode.APPROVE_ONLY: "approvals are applied, anything else is held",
    Mode.LIVE: "every decision is applied",
}


class OwnSide:
    """Checks of this service. ``database`` must pass before those about its content."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self.book = RuleBook(())

    async def close(self) -> None:
        if self._database:
            await self._database.close()

    async def configuration(self) -> str:
        """Describe the settings. Raise ConfigurationError that names every secret that can't be read."""
        problems = []
        for name in SECRETS:
            try:
                if secret := self._settings.secret(name):
                    secret.read()
            except ConfigurationError as error:
                problems.append(str(error))
        if problems:
            raise ConfigurationError("\n".join(problems))
        # The environment of this command may differ from that of the service.
        if workers := await self._workers():
            return f"of the service at work: {_settings_of(workers)}"
        mode = self._settings.mode
        return f"mode {mode.value}: {MODES[mode]}; no service is at work that has another"

    async def _workers(self) -> tuple[Worker, ...]:
        """Return the workers at work, none if the database does not answer, which is a check of its own."""
        database = None
        try:
            if (url := service_url(self._settings)) is None:
                return ()
            database = Database(url, pool_size=1)
            async with asyncio.timeout(DATABASE_TIMEOUT), database.connect() as connection:
                return await workers_at_work(connection)
        except (SQLAlchemyError, AutoreviewError, TimeoutError):
            return ()
        finally:
            if database:
                await database.close()

    async def database(self) -> str:
        """Check that the database answers. An embedded one runs only with its service, and is never started here."""
        external = external_url(self._settings)
        url = service_url(self._settings)
        if url is None:
            raise Unwell(
                f"none runs: AUTOREVIEW_DATABASE_URL is not set, and no service is at work on the folder "
                f"{self._settings.data_dir}",
                SERVE,
            )
        self._database = Database(url, pool_size=1)
        try:
            if not await self._database.takes_writes():
                raise Unwell(ERROR_HINTS["read_only"], "Point AUTOREVIEW_DATABASE_URL at the primary server.")
        except SQLAlchemyError as error:
            why = getattr(error, "orig", None) or type(error).__name__
            raise Unwell(
                f"can't be reached: {why}", "Look at AUTOREVIEW_DATABASE_URL and the server."
            ) from None
        return "answers" if external else "answers; embedded, run by the service"

    async def schema(self) -> str:
        assert self._database
        found, wanted = await self._database.schema(), head()
        if not found.works_for(wanted):
            raise Unwell(
                f"it is {found.revision or 'missing'}, this version needs {wanted}",
                schema_advice(found.revision),
            )
        return found.revision or ""

    async def worker(self) -> str:
        assert self._database
        async with self._database.connect() as connection:
            age = await heartbeat_age(connection)
        if age is None:
            raise Unwell("none is at work", SERVE)
        if age > FRESH:
            raise Unwell(f"the last heartbeat was {age.total_seconds():.0f} s ago", SERVE)
        return f"at work, last heartbeat {age.total_seconds():.0f} s ago"

    async def rules(self) -> str:
        try:
            book = load(self._settings.rules_dir)
        except InvalidRules as error:
            wrong = [finding for finding in error.findings if finding.severity == "error"]
            raise Unwell(f"errors: {len(wrong)}, the first: {wrong[0]}", "Run `autoreview check`.") from None
        if not book.files:
            raise Unwell(f"no file in {self._settings.rules_dir}", "Write one: see rules/README.md.")
        self.book = book
        if await self._differs(book):
            raise Unwell(
                f"the service has other rules in force than {self._settings.rules_dir}",
                "A change takes five seconds. Else set AUTOREVIEW_RULES_DIR to the folder of the service.",
            )
        return f"files: {len(book.files)}, warnings: {len(book.warnings)}"

    async def _differs(self, book: RuleBook) -> bool:
        """Return True if the service at work has other rules in force, by the database."""
        if self._database is None or not await self._workers():
            return False
        async with self._database.connect() as connection:
            in_force = await newest_hashes(connection)
        return in_force is not None and in_force != {file.path: file.hash for file in book.files}

    async def evidence(self) -> str:
        """Check that each declared source has the credential that it needs to deliver."""
        if missing := list(missing_credentials(self.book.files, self._settings)):
            raise Unwell.of(
                [Unwell(f"{one}: nothing it sends is accepted", SET_CREDENTIAL) for one in missing]
            )
        number = sum(len(file.evidence) for file in self.book.files)
        return f"sources: {number}, each with its credential" if number else "no source is declared"

    async def public_url(self) -> str:
        if self._settings.public_url is None:
            return "AUTOREVIEW_PUBLIC_URL is not set, so whether Prolific reaches the service is unknown"
        target = webhook_url(self._settings.public_url)
        try:
            async with http_client(timeout=10) as http:
                answer = await http.get(target)
        except httpx.HTTPError as error:
            raise Unwell(
                f"{target} can't be reached from here: {error or type(error).__name__}",
                "Check DNS, certificate, proxy and service. Ignore it if only this machine can't reach the address.",
            ) from None
        if not _is_ours(answer):
            raise Unwell(
                f"{target} is answered with {answer.status_code}, but not by this service",
                "Let the proxy pass that path to the service unchanged.",
            )
        return f"{target} leads to the service"


def _settings_of(workers: Sequence[Worker]) -> str:
    """Describe mode and limits of the workers, each combination once."""
    found = dict.fromkeys(_described(worker.settings) for worker in workers if worker.settings)
    if len(found) > 1:
        return f"a change is under way, workers differ: {' / '.join(found)}"
    return next(iter(found), "its mode is unknown: it is of an older version")


def _described(settings: WorkerSettings) -> str:
    limits = [f"{name} {limit}" for name, limit in settings.limits.items() if limit is not None]
    return f"mode {settings.mode.value}: {MODES[settings.mode]}" + (
        f"; limits of the service: {', '.join(limits)}" if limits else ""
    )


def _is_ours(answer: httpx.Response) -> bool:
    """Return True if the answer is this service's refusal of a GET of the webhook's path."""
    try:
        body = answer.json()
    except ValueError:
        return False
    # The route takes POST only. A proxy or another service answers a GET with its own page, or with a 404.
    return answer.status_code == 405 and isinstance(body, dict) and body.get("error") == "method_not_allowed"
