"""Check the alerts periodically, and send notifications, once for all replicas."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from service.errors import ConfigurationError
from service.notify.alerts import ALERTS, Alert, broken_rules, studies_without_rules
from service.notify.channels import send, urls_in
from service.notify.missing_webhooks import AskStudy, check_webhooks
from service.notify.wording import message
from service.postgres.database import ERROR_HINTS, Database, error_kind
from service.postgres.periodic import run_every
from service.rulebook.current import RulesInForce
from service.secret import Secret
from service.store.notifications import TRIES, Notification, claim_due, mark_sent, sent_lately
from service.store.schedule import claim

NOTIFY = "notify"
NOTIFY_EVERY = timedelta(seconds=5)
SINGLE_MESSAGES = 10  # in an hour; further notifications are collected
COLLECT_FOR = timedelta(minutes=10)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends notifications, to the log if there are no ``urls``. ``count`` gets each one's kind and result."""

    database: Database
    rules: RulesInForce
    urls: Secret | None
    ask_study: AskStudy
    count: Callable[[str, str], object] = lambda _, __: None
    every: timedelta = NOTIFY_EVERY

    async def run(self) -> None:
        """Run until cancelled. The database must have this version's schema."""
        await run_every("notify", self.every.total_seconds() / 2, self.check_and_send)

    async def check_and_send(self) -> None:
        """Check the alerts and send notifications, if it is due."""
        if self.rules.errors:
            # Each process reports its own errors: the files of replicas may differ.
            async with self.database.begin() as connection:
                await broken_rules(connection, self.rules.errors)
        async with self.database.begin() as connection:
            is_due = await claim(connection, NOTIFY, self.every)
        if is_due:
            await self._check()
            await self.send()

    async def _check(self) -> None:
        """Check every alert. One that crashes does not stop the others."""
        alerts: list[Alert] = [*ALERTS, partial(studies_without_rules, book=self.rules.book)]
        checks: list[Callable[[], Awaitable[None]]] = [
            partial(self._in_transaction, alert) for alert in alerts
        ]
        checks.append(partial(check_webhooks, self.database, self.rules.book, self.ask_study))
        for check in checks:
            try:
                await check()
            except Exception as error:
                # run_every waits for a database that does not answer.
                if error_kind(error) in ERROR_HINTS:
                    raise
                log.exception("notify.look_crashed")

    async def _in_transaction(self, alert: Alert) -> None:
        async with self.database.begin() as connection:
            await alert(connection)

    async def send(self) -> None:
        """Send what is due, as one message."""
        async with self.database.begin() as connection:
            # Claiming postpones the next try, so that a process killed while it sends loses nothing.
            due = await claim_due(connection) if may_send(*await sent_lately(connection)) else []
        if not due:
            return
        # A crash between these two sends a message twice, which is better than never.
        if result := await self._deliver(*message(due)):
            async with self.database.begin() as connection:
                await mark_sent(connection, due)
        for notification in due:
            self._note(notification, result)

    async def _deliver(self, title: str, text: str) -> str | None:
        """Return how the message was sent, None if it was not. One URL that accepts it is enough."""
        # A retry after a partial failure would send the message again to every other URL.
        if self.urls is None:
            log.warning("notice", title=title, text=text)
            return "logged"
        try:
            deliveries = await send(urls_in(self.urls), title, text)
        except ConfigurationError as error:
            log.error("notify.no_url", why=str(error))  # noqa: TRY400 - the message says what to do
            return None
        for one in deliveries:
            if one.problem:
                log.warning("notify.failed", url=one.position, schema=one.schema, why=one.problem)
        return "sent" if any(one.ok for one in deliveries) else None

    def _note(self, notification: Notification, result: str | None) -> None:
        if result is None and notification.tries >= TRIES:
            result = "given_up"
            log.error(
                "notice.given_up", kind=notification.kind, key=notification.key, title=notification.title
            )
        self.count(notification.kind, result or "failed")


def may_send(number: int, ago: timedelta | None) -> bool:
    """Return True if a message may be sent now: few were within the hour, or the last one was long ago."""
    return number < SINGLE_MESSAGES or (ago is not None and ago >= COLLECT_FOR)
