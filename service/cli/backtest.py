"""``autoreview backtest``: what rules would have done to past submissions."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.backtest_output import as_json_of, print_result
from service.console.output import Json, console, echo, print_json

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from service.backtest.conditions import FailIf
    from service.backtest.run import Progress, Result
    from service.backtest.sources import Listed
    from service.rules import RuleBook
    from service.settings import Settings

DECIDED, PROLIFIC, SHADOW = "decided", "prolific", "shadow"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command line."""

    study: str
    rules: Path | None
    against: str
    since: datetime | None
    with_limits: bool
    is_fresh: bool
    html: Path | None


def backtest(
    study: Annotated[str, typer.Option(help="The study's id.")],
    rules: Annotated[
        Path | None, typer.Option(help="The rules that judge; AUTOREVIEW_RULES_DIR if left out.")
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="Compare with what was decided here (decided), what Prolific shows (prolific), the rules of a folder; "
            "or what was decided with the shadow rules (shadow)."
        ),
    ] = DECIDED,
    since: Annotated[str | None, typer.Option(help="Only those decided or completed since this day.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    fail_if: Annotated[
        list[str] | None, typer.Option(help='Exit 1 if it holds, such as "reject > 2%" or "changed > 0".')
    ] = None,
    with_limits: Annotated[
        bool, typer.Option("--with-limits", help="Hold what the limits of the rule file would hold.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Read Prolific's list again, not the pages of the last hour.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide past submissions with given rules and show the difference; nothing is sent or recorded.

    Exit 1 if a --fail-if holds.
    """
    from service.backtest.conditions import FailIf

    if as_json and markdown:
        raise typer.BadParameter("choose one of --json and --markdown")
    conditions = [FailIf.parse(text) for text in fail_if or ()]
    request = Request(study, rules, against, _moment(since), with_limits, fresh, html)
    result, failures = _run(request, conditions)
    if as_json:
        print_json(as_json_of(result))
    elif markdown:
        from service.backtest.markdown import markdown as as_markdown

        echo(*as_markdown(result.comparison, result.causes, failures).splitlines())
    else:
        print_result(result)
    for failure in failures:
        echo(f"Fails: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


def _moment(text: str | None) -> datetime | None:
    """Read a day, or a time with an offset."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since {text!r} is no day; write 2026-01-31") from None
    return found if found.tzinfo else datetime.combine(found.date(), time(), UTC)


def _run(request: Request, conditions: "Sequence[FailIf]") -> "tuple[Result, list[str]]":
    """Run the backtest, write the report, and return what fails."""
    from service.backtest.report import explained_decisions, html
    from service.rules import load
    from service.settings import Settings
    from service.store.past import traces_of

    settings = Settings.from_environment()
    is_folder = request.against not in (DECIDED, PROLIFIC, SHADOW)
    book = None if request.against == SHADOW else load(request.rules or settings.rules_dir)
    if is_folder and not Path(request.against).exists():
        raise typer.BadParameter(
            f"--against {request.against}: there is no such folder or file of rules; or write "
            f"{DECIDED}, {PROLIFIC} or {SHADOW}"
        )
    other = load(Path(request.against)) if is_folder else None
    # Before the list is read, which may take minutes.
    _check_writable(request.html)

    async def question(connection: "AsyncConnection | None") -> "tuple[Result, list[str]]":
        result = await _compare(request, settings, connection, book, other)
        failures = [failure for condition in conditions if (failure := condition.failure(result.comparison))]
        if request.html:
            ids = explained_decisions(result)
            traces = await traces_of(connection, ids) if connection and ids else {}
            page = html(result, traces, failures, _compared(request))
            request.html.write_text(page, encoding="utf-8")
            echo(f"The report is in {request.html}.", err=True)
        return result, failures

    return _ask(settings, question)


async def _compare(
    request: Request,
    settings: "Settings",
    connection: "AsyncConnection | None",
    book: "RuleBook | None",
    other: "RuleBook | None",
) -> "Result":
    from service.backtest.run import NothingToCompare, against_shadow
    from service.backtest.run import backtest as run

    if book is None:
        if connection is None:
            raise NothingToCompare("There is no database, so that no shadow rules decided anything yet.")
        with _progress("comparing") as progress:
            return await against_shadow(connection, request.study, since=request.since, progress=progress)
    listed = await _listed(request, settings, connection)
    with _progress("judging") as progress:
        return await run(
            connection,
            request.study,
            book,
            source=listed,
            against=other,
            is_prolific=request.against == PROLIFIC,
            since=request.since,
            with_limits=request.with_limits,
            progress=progress,
        )


def _compared(request: Request) -> str:
    described = {
        DECIDED: "what was decided here",
        PROLIFIC: "what Prolific shows",
        SHADOW: "what was decided here at the same time, by the live rules",
    }
    return described.get(request.against, f"the rules of {request.against}")


def _check_writable(file: Path | None) -> None:
    if file is not None and not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"--html {file}: there is no folder {file.absolute().parent}")


def _ask(
    settings: "Settings", question: "Callable[[AsyncConnection | None], Coroutine[Any, Any, Answer]]"
) -> "Answer":
    """Ask the database; without one there is Prolific's list alone."""
    import asyncio

    from service.cli.database import ask
    from service.postgres.where import database_exists

    return ask(question) if database_exists(settings) else asyncio.run(question(None))


async def _listed(
    request: Request, settings: "Settings", connection: "AsyncConnection | None"
) -> "Listed | None":
    """Read Prolific's list where it is asked for, or the study was never seen here; else None."""
    from service.backtest.prolific_list import PageCache, cache_dir, read_submissions
    from service.backtest.sources import Listed
    from service.prolific import Prolific
    from service.store.past import about_study

    seen = await about_study(connection, request.study) if connection else None
    # What is known here needs no calls to Prolific.
    if request.against != PROLIFIC and seen and seen.submissions:
        return None
    why = "the list of a study that was never seen here is read with it"
    if connection is None:
        why = f"there is no database in {settings.data_dir}, and Prolific's list is read with it"
    token = settings.require("PROLIFIC_TOKEN", why)
    cache = PageCache(cache_dir(), request.study)
    # The pages of the last hour would hide what was decided since.
    if request.is_fresh:
        cache.clear()
    async with Prolific(settings.prolific_url, token.read, concurrency=1) as prolific:
        study = await prolific.study(request.study)
        with _progress("reading Prolific's list") as progress:
            rows = await read_submissions(prolific, request.study, cache, progress)
    return Listed(connection, rows, study, seen.parent_id if seen else None)


@contextmanager
def _progress(doing: str) -> "Iterator[Progress]":
    """Show a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    out = console(err=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
