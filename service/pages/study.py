"""``/studies``: the list of studies. ``/studies/{id}``: the figures of one."""

from dataclasses import dataclass
from statistics import mean, stdev

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.domain.submission import Status
from service.manual.texts import excerpt
from service.pages.access import Access, NoSuchPage
from service.pages.charts import histogram
from service.pages.overview import STATES
from service.pages.rendering import page
from service.pages.sessions import Session
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.store.known import MOST_AWAITING, MOST_STUDIES, known_studies
from service.store.overview import waiting
from service.store.pauses import scopes_of
from service.store.statistics import times_of_study
from service.store.study_report import MOST_DECISIONS, latency, outcomes_by_rule, status_counts, times_taken
from service.store.submissions import load_study


@dataclass(frozen=True, slots=True)
class Studies:
    """The pages of studies."""

    access: Access
    database: Database
    rules: RulesInForce

    def routes(self) -> list[Route]:
        return [
            Route("/studies", self.access.shown(self.list)),
            Route("/studies/{id:path}", self.access.shown(self.study)),
        ]

    async def list(self, _: Request, session: Session) -> Response:
        """Show the studies that were fetched, and those that only rule files name."""
        async with self.database.connect() as connection:
            found = await known_studies(connection)
        book = self.rules.book
        known = {study.id for study in found}
        named = {study: file for file in book.files for study in file.studies or ()}
        return page(
            "studies.html",
            session,
            studies=[(study, book.file_for(study.id)) for study in found],
            only_named=[(study, file) for study, file in named.items() if study not in known],
            most=MOST_STUDIES,
            most_awaiting=MOST_AWAITING,
        )

    async def study(self, request: Request, session: Session) -> Response:
        """Show a study that was ever heard of, or that a rule file names."""
        wanted = request.path_params["id"]
        async with self.database.connect() as connection:
            study = await load_study(connection, wanted)
            statuses = await status_counts(connection, wanted)
            rule_file = self.rules.book.file_for(wanted)
            is_named = rule_file is not None and rule_file.studies is not None
            if not (study or statuses or is_named):
                raise NoSuchPage(f"No study with the id {excerpt(wanted)} is known here.")
            taken = await times_taken(connection, wanted)
            kept = await times_of_study(connection, wanted, without="")
            own, service = await scopes_of(connection, wanted)
            by_rule = await outcomes_by_rule(connection, wanted)
            groups = await waiting(connection, wanted)
            times = await latency(connection, wanted)
        middle = kept.mean if kept else mean(taken) if taken else None
        spread = kept.sd if kept else stdev(taken) if len(taken) > 1 else None
        bound = middle - 3 * spread if middle is not None and spread is not None else None
        reward = study.reward if study else None
        return page(
            "study.html",
            session,
            id=wanted,
            study=study,
            statuses=statuses,
            rule_file=rule_file,
            states=STATES,
            pause=own.pause or service.pause,
            breakers=(*own.breakers, *service.breakers),
            taken=taken,
            mean=middle,
            bound=bound,
            is_whole=kept is not None,
            chart=histogram(taken, mean=middle, bound=bound) if taken else None,
            approved=_times(reward, statuses.get(Status.APPROVED.value, 0)),
            outstanding=_times(reward, statuses.get(Status.AWAITING_REVIEW.value, 0)),
            is_sample=sum(row.number for row in by_rule) >= MOST_DECISIONS,
            by_rule=by_rule,
            waiting=groups,
            latency=times,
        )


def _times(reward: int | None, number: int) -> int | None:
    return None if reward is None else reward * number
