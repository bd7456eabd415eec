"""``/holds``: the held submissions, and manual decisions on them."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.queries import BadQuery
from service.domain.decision import Guard
from service.domain.submission import Study
from service.manual.actions import InvalidAction
from service.manual.planned import plan, undo
from service.pages.access import Access, Form, NoSuchPage, own_path, path_of
from service.pages.forms import CATEGORIES, OUTCOMES, Preview, action_in, preview_of, researcher_codes
from service.pages.rendering import page, redirect
from service.pages.sessions import Session
from service.pages.suggestion import Suggestion, suggestion_for
from service.postgres.database import Clock, Database, time_of
from service.store.decisions import newest
from service.store.hold_queue import HoldFilter, held_of, hold_page, matching_holds, sum_of
from service.store.overview import waiting
from service.store.planned import Selection, batches, keep_selection, planned_for, selection
from service.store.submissions import load_study, study_names, study_of

PAGE = 50
FILTERS = ("study", "rule", "guard", "submission")


@dataclass(frozen=True, slots=True)
class Holds:
    """The queue, its dialogs, and the actions on it."""

    access: Access
    database: Database
    clock: Clock | None

    def routes(self) -> list[Route]:
        shown, acted = self.access.shown, self.access.acted
        return [
            Route("/holds", shown(self.queue)),
            Route("/holds/row", shown(self.row)),
            Route("/holds/planned", shown(self.planned)),
            Route("/holds/dialog", acted(self.dialog), methods=["POST"]),
            Route("/holds/preview", acted(self.preview), methods=["POST"]),
            Route("/holds/decide", acted(self.decide), methods=["POST"]),
            Route("/holds/undo", acted(self.undo), methods=["POST"]),
        ]

    async def queue(self, request: Request, session: Session) -> Response:
        """Show a page of the queue, oldest first."""
        wanted = {name: request.query_params.get(name, "") for name in FILTERS}
        mark, _, after = request.query_params.get("after", "").rpartition("~")
        async with self.database.connect() as connection:
            found = await hold_page(connection, _filter(wanted), limit=PAGE + 1, after=(mark, after))
            plans = await planned_for(connection, [hold.submission_id for hold in found])
            open_batches = await batches(connection)
            number = (await waiting(connection)).number("held")
            studies = await study_names(connection, (hold.study_id for hold in found))
            now = await time_of(connection, self.clock)
        shown = found[:PAGE]
        following = f"{shown[-1].mark}~{shown[-1].submission_id}" if len(found) > PAGE else None
        return page(
            "holds.html",
            session,
            holds=shown,
            plans=plans,
            batches=open_batches,
            wanted=wanted,
            number=number,
            following=following,
            is_first=not after,
            studies=studies,
            guards=[guard.value for guard in Guard],
            now=now,
        )

    async def row(self, request: Request, session: Session) -> Response:
        """Show one submission's row as it is now."""
        submission = request.query_params.get("submission", "")
        async with self.database.connect() as connection:
            return await self._row(connection, session, submission)

    async def planned(self, request: Request, session: Session) -> Response:
        """Show the planned decisions that can be undone, and the results of the named batches."""
        named = [name for name in request.query_params.get("batches", "").split(",") if name][:20]
        async with self.database.connect() as connection:
            found = await batches(connection, named)
            now = await time_of(connection, self.clock)
        template = "parts/planned.html" if "hx-request" in request.headers else "planned.html"
        return page(template, session, batches=found, now=now)

    async def dialog(self, request: Request, session: Session, form: Form) -> Response:
        """Show the form of a decision on one submission or on several; those are frozen as a selection."""
        async with self.database.begin() as connection:
            chosen = await self._chosen(connection, session, form)
            submissions = list(chosen.submissions)
            total = await sum_of(connection, submissions)
            study = await _common_study(connection, submissions)
            suggested = Suggestion()
            if len(submissions) == 1:
                suggested = await suggestion_for(connection, chosen.seen[0] or 0)
        return page(
            "parts/decide.html" if "hx-request" in request.headers else "decide.html",
            session,
            selection=chosen.id,
            submissions=submissions,
            total=total,
            outcome=form.get("action", "approve"),
            outcomes=OUTCOMES,
            categories=CATEGORIES,
            codes=researcher_codes(study),
            suggested=suggested,
            back=path_of(request.headers.get("hx-current-url", ""), "/holds"),
        )

    async def preview(self, _: Request, session: Session, form: Form) -> Response:
        """Show exactly what a form would send, or what is wrong with it."""
        async with self.database.connect() as connection:
            chosen = await selection(connection, form.get("selection", ""), session.name)
            study = await _common_study(connection, chosen.submissions[:1] if chosen else ())
        found: Preview | None = None
        problems: list[tuple[str, str]] = []
        try:
            found = preview_of(action_in(form), study)
        except InvalidAction as error:
            problems = [(field.rpartition(".")[2], text) for field, text in error.problems]
        return page("parts/preview.html", session, preview=found, problems=problems)

    async def decide(self, request: Request, session: Session, form: Form) -> Response:
        """Plan the decision: it leaves after the time to undo it."""
        given = action_in(form)
        async with self.database.begin() as connection:
            wanted = await self._wanted(connection, session, form)
            now = await time_of(connection, self.clock)
            note = form.get("note") or None
            await plan(connection, wanted, given, by=session.name, note=note, now=now)
            if "hx-request" in request.headers and "submission" in form:
                answer = await self._row(connection, session, form["submission"])
                answer.headers["HX-Trigger"] = "planned"
                return answer
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"HX-Redirect": own_path(form.get("back", "/holds"))})
        return redirect(own_path(form.get("back", "/holds")))

    async def undo(self, request: Request, session: Session, form: Form) -> Response:
        """Take back what was planned and has not left."""
        async with self.database.begin() as connection:
            now = await time_of(connection, self.clock)
            submission = form.get("submission") or None
            await undo(connection, form.get("batch", ""), by=session.name, now=now, submission=submission)
            if "hx-request" in request.headers and submission:
                answer = await self._row(connection, session, submission)
                answer.headers["HX-Trigger"] = "planned"
                return answer
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"HX-Refresh": "true"})
        return redirect("/holds")

    async def _row(self, connection: AsyncConnection, session: Session, submission: str) -> Response:
        found = await hold_page(connection, HoldFilter(submission=submission), limit=1)
        plans = await planned_for(connection, [submission])
        now = await time_of(connection, self.clock)
        hold = found[0] if found else None
        return page(
            "parts/hold.html",
            session,
            hold=hold,
            submission=submission,
            plan=plans.get(submission),
            now=now,
        )

    async def _chosen(self, connection: AsyncConnection, session: Session, form: Form) -> Selection:
        """Store the form's selection: some submissions, or all that its filter matches now."""
        if form.get("all"):
            found = await matching_holds(connection, _filter(form))
        elif submission := form.get("submission"):
            last = await newest(connection, submission)
            found = {submission: last.id if last else 0}
        else:
            found = await held_of(connection, [one for one in form.get("ids", "").split(",") if one])
        if not found:
            raise NoSuchPage("None of these is held any more.")
        chosen = Selection(str(uuid4()), session.name, tuple(found), tuple(found.values()))
        await keep_selection(connection, chosen)
        return chosen

    async def _wanted(
        self, connection: AsyncConnection, session: Session, form: Form
    ) -> dict[str, int | None]:
        """Return the submissions to decide, each with the decision that the person was shown."""
        if submission := form.get("submission"):
            seen = form.get("seen", "")
            return {submission: int(seen) if seen.isascii() and seen.isdigit() else None}
        chosen = await selection(connection, form.get("selection", ""), session.name)
        if chosen is None:
            raise BadQuery("Select the submissions again: this selection is not yours, or older than a day.")
        return {one: seen or None for one, seen in zip(chosen.submissions, chosen.seen, strict=True)}


def _filter(wanted: dict[str, Any]) -> HoldFilter:
    return HoldFilter(**{name: wanted.get(name) or None for name in FILTERS})


async def _common_study(connection: AsyncConnection, submissions: Any) -> Study | None:
    """The study of the submissions as it was seen last, by the first of them."""
    if not submissions:
        return None
    return await load_study(connection, await study_of(connection, submissions[0]) or "")
