"""A receiver of notifications over real HTTP, and what gives cause to them, put into a real database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.domain.submission import Status, Study, Submission
from service.notify.notifier import Notifier
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rules import RuleBook
from service.sandbox.server import running
from service.secret import Secret
from service.store.decisions import add_answer, add_attempt, record
from service.store.pauses import open_breaker
from service.store.submissions import save_study, save_submission

STUDY = "65f000000000000000000051"
PARTICIPANT = "65f0000000000000000000bb"
MESSAGE = "You told us about your illness, and we can't use what you wrote."
REASON = "The limit of the study is three rejections."
EVERY_LOOK = timedelta(0)


@dataclass
class Receiver:
    """Takes what apprise posts to ``json://…``; answers ``status``."""

    url: str = ""
    status: int = 200
    messages: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.json()
        if self.status == 200:
            self.messages.append({"title": body["title"], "text": body["message"]})
        return Response(status_code=self.status)

    @property
    def titles(self) -> list[str]:
        return [message["title"].removeprefix("Autoreview: ") for message in self.messages]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with running(Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])) as url:
        receiver.url = url.replace("http://", "json://") + "/a-token"
        yield receiver


@dataclass
class Harness:
    """Where notifications come from and where they arrive."""

    database_url: str
    database: Database
    receiver: Receiver
    rules: RulesInForce
    study_status: str | None = "ACTIVE"  # as Prolific shows each study; None: it can't be asked
    asked: list[str] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    submissions: int = 0

    def notifier(self, *urls: str, is_set: bool = True) -> Notifier:
        """The notifier of one replica, which looks on request."""
        secret = Secret("AUTOREVIEW_NOTIFY_URLS", value=", ".join(urls or [self.receiver.url]))
        return Notifier(
            self.database,
            self.rules,
            secret if is_set else None,
            self.ask_study,
            lambda kind, result: self.counted.update([(kind, result)]),
            EVERY_LOOK,
        )

    async def ask_study(self, study: str) -> Study | None:
        from service.prolific.errors import Unreachable

        self.asked.append(study)
        if self.study_status is None:
            raise Unreachable
        return a_study(study, self.study_status)

    async def look(self) -> list[str]:
        """Two replicas look at once, and again; gives the titles of what came of it."""
        before = len(self.receiver.messages)
        replicas = (self.notifier(), self.notifier())
        for _ in range(2):
            await asyncio.gather(*(replica.check_and_send() for replica in replicas))
        return self.receiver.titles[before:]

    async def sql(self, statement: str, *values: Any) -> None:
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(statement.encode(), values)

    async def later(self, hours: float) -> None:
        """Move past notifications back in time."""
        ago = timedelta(hours=hours)
        await self.sql(
            "UPDATE notices SET at = at - %s, due_at = due_at - %s, sent_at = sent_at - %s", *[ago] * 3
        )
        await self.sql("UPDATE turns SET began_at = began_at - %s, ended_at = ended_at - %s", ago, ago)

    async def unsent(self) -> int:
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            rows = await connection.execute("SELECT count(*) FROM notices WHERE sent_at IS NULL")
            row = await rows.fetchone()
        assert row
        return int(row[0])

    async def submission(
        self,
        *,
        study: str = STUDY,
        completed: timedelta = timedelta(minutes=5),
        status: Status | None = None,
        claimed: bool = True,
        parent: str | None = None,
    ) -> str:
        self.submissions += 1
        found = f"65f0000000000000000a{self.submissions:04}"
        seen = Submission(
            found,
            study,
            PARTICIPANT,
            status or Status.AWAITING_REVIEW,
            completed_at=datetime.now(UTC) - completed,
            parent_study_id=parent,
        )
        async with self.database.begin() as connection:
            await save_submission(connection, seen, claimed=claimed)
        return found

    async def decided(self, submission: str, outcome: Outcome, *, ago: timedelta, **more: Any) -> int:
        values: dict[str, Any] = {
            "study_id": STUDY,
            "guard": None,
            "rule": "look at it",
            "mode": Mode.LIVE,
            "trigger": Trigger.WEBHOOK,
            "action": None,
        }
        decision = Decision(
            submission_id=submission,
            participant_id=PARTICIPANT,
            decided_at=datetime.now(UTC) - ago,
            outcome=outcome,
            proposed=outcome,
            rule_file="rules.yaml",
            rules_hash="0" * 64,
            reason=MESSAGE,
            note=MESSAGE,
            facts={"evidence": {"survey": {"comment": MESSAGE}}},
            **values | more,
        )
        async with self.database.begin() as connection:
            return (await record(connection, decision)).id

    async def hold(
        self,
        *,
        completed: timedelta = timedelta(minutes=5),
        ago: timedelta = timedelta(0),
        study: str = STUDY,
        guard: Guard | None = None,
    ) -> str:
        """A submission in the queue."""
        submission = await self.submission(study=study, completed=completed)
        await self.decided(submission, Outcome.HOLD, ago=ago, study_id=study, guard=guard)
        return submission

    async def resolve(self, submission: str) -> None:
        await self.sql("UPDATE submissions SET status = 'APPROVED' WHERE id = %s", submission)

    async def fail(self, submission: str, *, seconds_ago: float = 60) -> None:
        """An application that Prolific refused for good."""
        decision = await self.decided(submission, Outcome.APPROVE, ago=timedelta(minutes=1), action={})
        async with self.database.begin() as connection:
            attempt = await add_attempt(connection, decision, {})
            await add_answer(connection, attempt, DecisionStatus.FAILED, 400, {"body": MESSAGE})
        await self.sql("ALTER TABLE answers DISABLE TRIGGER answers_only_added")
        await self.sql(
            "UPDATE answers SET at = at - %s WHERE attempt_id = %s", timedelta(seconds=seconds_ago), attempt
        )

    async def breaker(self, study: str | None = STUDY, guard: Guard = Guard.LIMIT_REJECT) -> None:
        async with self.database.begin() as connection:
            await open_breaker(connection, study, guard, REASON, 1)

    async def study(self, status: str = "ACTIVE", study: str = STUDY) -> None:
        async with self.database.begin() as connection:
            await save_study(connection, a_study(study, status))

    async def webhook(self, hours_ago: float) -> None:
        await self.sql(
            "INSERT INTO inbox (event_id, received_at, body, readable) "
            "VALUES (gen_random_uuid(), now() - %s, '{}', true)",
            timedelta(hours=hours_ago),
        )

    async def swept(self, state: str) -> None:
        """A sweep found the subscription to be so."""
        await self.sql(
            "INSERT INTO turns (name, ended_at, said) VALUES ('sweep', now(), jsonb_build_object('subscription', "
            "jsonb_build_object('state', %s::text))) ON CONFLICT (name) DO UPDATE SET said = excluded.said",
            state,
        )


def a_study(study: str, status: str) -> Study:
    return Study(study, "A study", status, 10.0, 20.0, 150, 100, None)


@asynccontextmanager
async def harness(database_url: str, book: RuleBook) -> AsyncIterator[Harness]:
    database = Database(database_url)
    async with receiving() as receiver:
        yield Harness(database_url, database, receiver, RulesInForce(book, datetime.now(UTC)))
    await database.close()
