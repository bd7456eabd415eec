"""Tells people: looks now and then for what they should know, and sends it, once for all replicas."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from service.errors import ConfigurationError
from service.notify.causes import LOOKS, Look, broken_rules, unclaimed
from service.notify.channels import send, urls_in
from service.notify.sentences import message
from service.notify.silence import AskStudy, look_for_silence
from service.postgres.database import ERROR_HINTS, Database, kind_of
from service.postgres.periodic import run_every
from service.rulebook.current import RulesInForce
from service.secret import Secret
from service.store.notifications import TRIES, Notification, claim_due, mark_sent, sent_lately
from service.store.schedule import claim

TURN = "notify"
EVERY = timedelta(seconds=5)
SINGLY = 10  # messages in an hour; beyond that they gather
GATHER = timedelta(minutes=10)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Without ``urls`` notices go to the log. ``count`` is told each notice's kind and what became of it."""

    database: Database
    rules: RulesInForce
    urls: Secret | None
    ask_study: AskStudy
    count: Callable[[str, str], object] = lambda _, __: None
    every: timedelta = EVERY

    async def run(self) -> None:
        """Run until cancelled. The database must have this version's schema."""
        await run_every("notify", self.every.total_seconds() / 2, self.look_and_send)

    async def look_and_send(self) -> None:
        """One look, if it is our turn. Broken rules are each process's own to tell of: files may differ."""
        if self.rules.errors:
            async with self.database.begin() as connection:
                await broken_rules(connection, self.rules.errors)
        async with self.database.begin() as connection:
            is_ours = await claim(connection, TURN, self.every)
        if is_ours:
            await self._look()
            await self.send()

    async def _look(self) -> None:
        """A look that crashes keeps none of the others from telling."""
        every: list[Look] = [*LOOKS, partial(unclaimed, book=self.rules.book)]
        looks: list[Callable[[], Awaitable[None]]] = [partial(self._in_transaction, look) for look in every]
        looks.append(partial(look_for_silence, self.database, self.rules.book, self.ask_study))
        for look in looks:
            try:
                await look()
            except Exception as error:
                if kind_of(error) in ERROR_HINTS:
                    raise
                log.exception("notify.look_crashed")

    async def _in_transaction(self, look: Look) -> None:
        async with self.database.begin() as connection:
            await look(connection)

    async def send(self) -> None:
        """Send what is due, as one message."""
        async with self.database.begin() as connection:
            due = await claim_due(connection) if may_send(*await sent_lately(connection)) else []
        if not due:
            return
        if result := await self._deliver(*message(due)):
            async with self.database.begin() as connection:
                await mark_sent(connection, due)
        for notice in due:
            self._note(notice, result)

    async def _deliver(self, title: str, text: str) -> str | None:
        """How it was told; None if it was not. One URL that took it is enough: to all others it would come again."""
        if self.urls is None:
            log.warning("notice", title=title, text=text)
            return "logged"
        try:
            deliveries = await send(urls_in(self.urls), title, text)
        except ConfigurationError as error:
            log.error("notify.no_url", why=str(error))  # noqa: TRY400 - a sentence that says what to do
            return None
        for one in deliveries:
            if one.problem:
                log.warning("notify.failed", url=one.position, schema=one.schema, why=one.problem)
        return "sent" if any(one.ok for one in deliveries) else None

    def _note(self, notice: Notification, result: str | None) -> None:
        if result is None and notice.tries >= TRIES:
            result = "given_up"
            log.error("notice.given_up", kind=notice.kind, key=notice.key, title=notice.title)
        self.count(notice.kind, result or "failed")


def may_send(number: int, ago: timedelta | None) -> bool:
    """Whether a message may go out now: few did in the last hour, or the last is a while ago."""
    return number < SINGLY or (ago is not None and ago >= GATHER)
