"""Run a backtest of a study: choose the rule files and the source of submissions, and count the results."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.backtest.causes import Difference, causes
from service.backtest.comparison import Comparison
from service.backtest.judging import Backtest, Old
from service.backtest.limits import LimitSimulation
from service.backtest.sources import PastSource, Stored
from service.errors import AutoreviewError
from service.rulebook.recorded import parsed
from service.rules import RuleBook, RuleFile
from service.store.past import about_study
from service.store.rulebooks import kept_file
from service.store.shadow import newest_shadow_rules
from service.store.submissions import load_study

# Called with the number of judged submissions and the number of all.
Progress = Callable[[int, int], None]


class NothingToCompare(AutoreviewError):
    """The study has no known submission, or no rule file claims it."""

    code = "nothing_to_compare"


@dataclass(frozen=True, slots=True)
class Result:
    """The comparison, and what each difference between two rule files causes alone."""

    comparison: Comparison
    file: RuleFile
    causes: tuple[Difference, ...] = ()


async def backtest(
    connection: AsyncConnection | None,
    study_id: str,
    book: RuleBook,
    *,
    source: PastSource | None = None,
    against: RuleBook | None = None,
    is_prolific: bool = False,
    since: datetime | None = None,
    with_limits: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Judge the study's past submissions by the rules of a book; nothing is written.

    Compare with what was decided here, with the rules of ``against``, or with what Prolific shows. ``source`` is
    Prolific's list, else they come from the database. Raise NothingToCompare.
    """
    if source is None:
        assert connection is not None, "without a list there is a database"
        source = await stored(connection, study_id)
    file = claiming(book, study_id, source.parent_id)
    other = claiming(against, study_id, source.parent_id) if against else None
    run = Backtest(
        connection,
        source,
        file,
        Old(other, is_prolific),
        since,
        LimitSimulation(file.limits) if with_limits else None,
        tuple(causes(other, file)) if other else (),
    )
    return Result(await _counted(run, study_id, progress), file, run.causes)


async def against_shadow(
    connection: AsyncConnection,
    study_id: str,
    *,
    since: datetime | None = None,
    progress: Progress | None = None,
) -> Result:
    """Compare what was decided with what the shadow rules decided on the same traffic. Raise NothingToCompare."""
    rules_hash = await newest_shadow_rules(connection, study_id)
    kept = await kept_file(connection, rules_hash) if rules_hash else None
    file = parsed(kept) if kept else None
    if file is None:
        raise NothingToCompare(
            f"The shadow rules decided nothing of study {study_id} yet: set AUTOREVIEW_SHADOW_RULES_DIR for the "
            "worker, and name the study in a rule file there."
        )
    source = await stored(connection, study_id)
    run = Backtest(connection, source, file, since=since, is_shadow=True)
    return Result(await _counted(run, study_id, progress), file)


async def _counted(run: Backtest, study_id: str, progress: Progress | None) -> Comparison:
    found = Comparison.of(study_id, [rule.name for rule in run.file.rules])
    async for judged in run.judged():
        found.add(judged)
        if progress:
            progress(found.submissions, run.source.total)
    return found


async def stored(connection: AsyncConnection, study_id: str) -> Stored:
    """Return what the database knows of a study. Raise NothingToCompare where it knows no submission."""
    about = await about_study(connection, study_id)
    if not about.submissions:
        raise NothingToCompare(
            f"No submission of study {study_id} was ever seen here. With AUTOREVIEW_PROLIFIC_TOKEN set, "
            "--against prolific reads Prolific's list."
        )
    study = await load_study(connection, study_id)
    return Stored(connection, study_id, study, about.parent_id, about.submissions, about.is_listed)


def claiming(book: RuleBook, study_id: str, parent_id: str | None) -> RuleFile:
    """Return the file that decides a study. Raise NothingToCompare."""
    file = book.file_for(study_id, parent_id)
    if file is None:
        raise NothingToCompare(f"No rule file claims study {study_id}: name it under `studies`.")
    return file
