"""``/backtest``: what an edited rule file would have done to a study's past submissions. Nothing is saved."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.backtest.report import context, environment, explained_decisions
from service.backtest.run import NothingToCompare, Result, against_shadow, backtest
from service.pages.access import Access, Form
from service.pages.rendering import page
from service.pages.sessions import Session
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rules import RuleBook
from service.rules.file_reading import read_file
from service.rules.files import LARGEST
from service.rules.format.findings import Findings
from service.store.past import traces_of

NAME = "edited.yaml"
LARGEST_FORM = 3 * LARGEST  # bytes; the text of the page is sent beside a file
Compare = Callable[[AsyncConnection], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class BacktestPage:
    """The page; one backtest at a time, in a thread with its own connection, so that webhooks never wait."""

    access: Access
    database: Database
    rules: RulesInForce
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        return [
            Route("/backtest", self.access.shown(self.form)),
            Route("/backtest", self.access.acted_by_anyone(self.run, limit=LARGEST_FORM), methods=["POST"]),
        ]

    async def form(self, request: Request, session: Session) -> Response:
        """Show the rules of a study to edit; with ``against=shadow`` what the shadow rules decided."""
        study = request.query_params.get("study", "").strip()
        file = self.rules.book.file_for(study) if study else None
        text = file.source_text if file else ""
        if study and request.query_params.get("against") == "shadow":
            compared = "what was decided at the same time, by the live rules"
            return await self._answer(session, study, text, lambda own: against_shadow(own, study), compared)
        return page("backtest.html", session, study=study, text=text, problems=[], result=None)

    async def run(self, _: Request, session: Session, form: Form) -> Response:
        """Judge the past by the rules that were sent: those of the file, if one was chosen."""
        study = form.get("study", "").strip()
        text = form.get("file", form.get("rules", "")).replace("\r\n", "\n")
        if len(text.encode()) > LARGEST:
            problems = [f"A rule file has at most {LARGEST} bytes."]
            return page("backtest.html", session, study=study, text="", problems=problems, result=None)
        findings = Findings(NAME)
        file, _claims = await asyncio.to_thread(read_file, NAME, text.encode(), findings)
        if file is None:
            problems = [str(finding) for finding in findings.found if finding.severity == "error"]
            return page("backtest.html", session, study=study, text=text, problems=problems, result=None)
        book = RuleBook((file,))
        compared = "what was decided here"
        return await self._answer(session, study, text, lambda own: backtest(own, study, book), compared)

    async def _answer(
        self, session: Session, study: str, text: str, compare: Compare, compared: str
    ) -> Response:
        problems: list[str] = []
        shown: Markup | None = None
        try:
            async with self.alone:
                shown = await asyncio.to_thread(self._judged, compare, compared)
        except NothingToCompare as error:
            problems = [str(error)]
        return page("backtest.html", session, study=study, text=text, problems=problems, result=shown)

    def _judged(self, compare: Compare, compared: str) -> Markup:
        async def judged() -> Markup:
            database = Database(self.database.url, pool_size=1)
            try:
                async with database.connect() as connection:
                    result = await compare(connection)
                    ids = explained_decisions(result)
                    traces = await traces_of(connection, ids) if ids else {}
            finally:
                await database.close()
            values = context(result, traces, [], compared)
            # The report's own templates escape every text.
            return Markup(environment().get_template("body.html").render(**values))  # noqa: S704

        return asyncio.run(judged())
