"""``/rules``: the rule files in force, and the results of each rule."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.queries import BadQuery
from service.pages.access import Access
from service.pages.rendering import page
from service.pages.sessions import Session
from service.postgres.database import Database, time_of
from service.rulebook.current import RulesInForce
from service.rules.excerpt import excerpts
from service.store.audit import observed_rules
from service.store.rule_report import MOST_DECISIONS, FileFigures, RuleFigures, rule_figures
from service.store.submissions import study_names
from service.store.tallies import tallied

TIMES = {
    "1h": ("hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "all": ("whole time", timedelta(days=3650)),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The page of the rules."""

    access: Access
    database: Database
    rules: RulesInForce

    def routes(self) -> list[Route]:
        return [Route("/rules", self.access.shown(self.files))]

    async def files(self, request: Request, session: Session) -> Response:
        """Show each rule file with its text and its rules' figures in the chosen time."""
        chosen = request.query_params.get("within", "24h")
        if chosen not in TIMES:
            raise BadQuery(f"within is one of {', '.join(TIMES)}.")
        name, within = TIMES[chosen]
        async with self.database.connect() as connection:
            now = await time_of(connection, None)
            figures = await rule_figures(connection, within)
            observed = observed_rules(await tallied(connection))
            names = await study_names(
                connection, (study for file in self.rules.book.files for study in file.studies or ())
            )
        book, in_force = self.rules.book, self.rules
        return page(
            "rules.html",
            session,
            files=[
                (file, figures.get(file.hash, FileFigures()), excerpts(file.source_text))
                for file in book.files
            ],
            nothing=RuleFigures(),
            names=names,
            since=None if chosen == "all" else (now - within).isoformat(timespec="seconds"),
            earlier=sum(each.decisions for found, each in figures.items() if found not in _hashes(in_force)),
            total=sum(each.decisions for each in figures.values()),
            most=MOST_DECISIONS,
            observed=observed,
            errors=[str(finding) for finding in in_force.errors if finding.severity == "error"],
            warnings=[str(finding) for finding in book.warnings],
            loaded_at=in_force.loaded_at,
            chosen=chosen,
            time_name=name,
            times={key: text for key, (text, _) in TIMES.items()},
        )


def _hashes(rules: RulesInForce) -> set[str]:
    return {file.hash for file in rules.book.files}
