"""``/decisions``: all decisions, by any filter of the API, also as CSV."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from datetime import datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from service.api.queries import decision_query
from service.domain.decision import DecisionStatus, Guard, Outcome, Trigger
from service.domain.printable import csv_cell
from service.pages.access import Access
from service.pages.rendering import HEADERS, page
from service.pages.sessions import Session
from service.postgres.database import Database
from service.store.audit import FILTERS, DecisionFilter, DecisionLine, decision_lines
from service.store.submissions import study_names

PAGE = 50
BATCH = 1000  # rows of CSV that are read at once
CHOICES = {
    "outcome": [outcome.value for outcome in Outcome],
    "status": [status.value for status in DecisionStatus],
    "guard": [guard.value for guard in Guard],
    "trigger": [trigger.value for trigger in Trigger],
}
COLUMNS = tuple(field.name for field in fields(DecisionLine))


@dataclass(frozen=True, slots=True)
class Decisions:
    """The list of decisions."""

    access: Access
    database: Database

    def routes(self) -> list[Route]:
        return [
            Route("/decisions", self.access.shown(self.list)),
            Route("/decisions.csv", self.access.shown(self.csv)),
        ]

    async def list(self, request: Request, session: Session) -> Response:
        """Show a page of decisions, newest first."""
        wanted, limit, before = decision_query(_filled(request))
        limit = limit if "limit" in request.query_params else PAGE
        async with self.database.connect() as connection:
            found = await decision_lines(connection, wanted, limit=limit + 1, before=before)
            names = await study_names(connection, (one.study_id for one in found))
        asked = {name: request.query_params.get(name, "") for name in FILTERS}
        return page(
            "decisions.html",
            session,
            decisions=found[:limit],
            names=names,
            asked=asked,
            choices=CHOICES,
            following=found[limit - 1].id if len(found) > limit else None,
            is_first=before is None,
        )

    async def csv(self, request: Request, _: Session) -> Response:
        """Send all decisions that the filter matches, whatever page is shown."""
        wanted, _limit, _before = decision_query(_filled(request))
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="decisions.csv"'}
        if request.method == "HEAD":
            return Response(media_type="text/csv; charset=utf-8", headers=headers)
        return StreamingResponse(self._rows(wanted), media_type="text/csv; charset=utf-8", headers=headers)

    async def _rows(self, wanted: DecisionFilter) -> AsyncIterator[str]:
        """Read a batch at a time, each in a short transaction, so that a slow reader holds nothing up."""
        yield _csv([COLUMNS])
        before: int | None = None
        while True:
            async with self.database.connect() as connection:
                found = await decision_lines(connection, wanted, limit=BATCH, before=before)
            if found:
                yield _csv([tuple(_cell(getattr(one, name)) for name in COLUMNS) for one in found])
            if len(found) < BATCH:
                return
            before = found[-1].id


def _filled(request: Request) -> QueryParams:
    """Return the parameters without the empty fields of the form."""
    return QueryParams([(name, text) for name, text in request.query_params.multi_items() if text])


def _cell(value: object) -> object:
    return csv_cell(value.isoformat() if isinstance(value, datetime) else value)


def _csv(rows: list[tuple[object, ...]] | list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
