"""``/find``: lead from an id to its page, whatever it is the id of."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.manual.texts import excerpt
from service.pages.access import Access, NoSuchPage
from service.pages.rendering import query, redirect, segment
from service.pages.sessions import Session
from service.postgres.database import Database
from service.store.known import is_known_study, is_known_submission, submissions_of


@dataclass(frozen=True, slots=True)
class Find:
    """The field that each page has on top."""

    access: Access
    database: Database

    def routes(self) -> list[Route]:
        return [Route("/find", self.access.shown(self.find))]

    async def find(self, request: Request, _: Session) -> Response:
        """Redirect to the submission, the study, or the submissions of the participant."""
        wanted = request.query_params.get("id", "").strip()
        async with self.database.connect() as connection:
            return redirect(await _path(connection, wanted))


async def _path(connection: AsyncConnection, wanted: str) -> str:
    """Raise NoSuchPage if the id is not known."""
    if await is_known_submission(connection, wanted):
        return f"/submissions/{segment(wanted)}"
    if await is_known_study(connection, wanted):
        return f"/studies/{segment(wanted)}"
    match await submissions_of(connection, wanted, limit=2):
        case []:
            text = f"No participant, submission or study with the id {excerpt(wanted)} is known here."
            raise NoSuchPage(text)
        case [only]:
            return f"/submissions/{segment(only)}"
        case _:
            return f"/decisions{query({'participant': wanted})}"
