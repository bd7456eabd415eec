"""``autoreview submissions``: lists the submissions of a study, with every filter of Prolific's."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.help import group
from service.console.output import Json, Wide, print_json, print_table
from service.domain.printable import csv_cell
from service.domain.submission import Status

if TYPE_CHECKING:
    from service.prolific import Page, SubmissionFilter
    from service.prolific.errors import IncompleteList

app = group("List submissions as Prolific shows them.")

COLUMNS = (
    *("id", "participant_id", "status", "time_taken", "study_code"),
    *("started_at", "completed_at", "return_requested"),
)


def _only(name: str) -> Any:
    """Return the option for one of Prolific's filters by a state."""
    return typer.Option(f"--{name}/--not-{name}", help="Only those that are so, or only those that are not.")


ORDERINGS = ("started_at", "submission_reward", "study_name")


def read_date(text: str) -> date:
    """Read a day in the form of Prolific (31/12/2026) or of ISO 8601 (2026-12-31)."""
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise typer.BadParameter(f"{text!r} is no day; write 31/12/2026 or 2026-12-31")


def read_status(text: str) -> Status:
    """A status in any of Prolific's spellings."""
    if (status := Status.parse(text)) is Status.UNKNOWN:
        known = ", ".join(one.value.replace(" ", "_") for one in Status if one is not Status.UNKNOWN)
        raise typer.BadParameter(f"{text!r} is no status; Prolific has {known}")
    return status


def read_ordering(text: str) -> str:
    """A field to order by, with a minus before it for descending order."""
    if text.removeprefix("-") not in ORDERINGS:
        raise typer.BadParameter(f"{text!r}: write {', '.join(ORDERINGS)}, or one of them with - before it")
    return text


Day = Annotated[date | None, typer.Option(parser=read_date, metavar="DD/MM/YYYY")]
StatusName = Annotated[
    Status | None,
    typer.Option(parser=read_status, metavar="STATUS", help="AWAITING_REVIEW, APPROVED, REJECTED, …"),
]
Ordering = Annotated[
    str | None,
    typer.Option(
        parser=read_ordering,
        metavar="FIELD",
        help="started_at, submission_reward or study_name; - before it for descending.",
    ),
]
Number = Annotated[int | None, typer.Option(min=1, help="Only this page. Default: all pages.")]


@app.callback()
def options() -> None:
    """List submissions as Prolific shows them."""


@app.command("list")
def list_(
    study: Annotated[str, typer.Option(metavar="ID", help="The study's id. Prolific requires it.")],
    status: StatusName = None,
    completed: Annotated[bool | None, _only("completed")] = None,
    returned: Annotated[bool | None, _only("returned")] = None,
    awaiting_review: Annotated[bool | None, _only("awaiting-review")] = None,
    approved: Annotated[bool | None, _only("approved")] = None,
    active: Annotated[bool | None, _only("active")] = None,
    timeout: Annotated[bool | None, _only("timeout")] = None,
    rejected: Annotated[bool | None, _only("rejected")] = None,
    screened_out: Annotated[bool | None, _only("screened-out")] = None,
    completeoractive: Annotated[bool | None, _only("completeoractive")] = None,
    submitted_from: Day = None,
    submitted_before: Day = None,
    ordering: Ordering = None,
    page: Number = None,
    page_size: Annotated[int, typer.Option(min=1, max=100, help="Rows per page.")] = 100,
    wide: Wide = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the submissions of a study as Prolific shows them now.

    If rows of the list are missing, print those that were read. Exit 1.
    """
    # Prolific's parameters have the options' names. Taken first, before any other name is bound.
    given = locals()
    import asyncio
    from dataclasses import fields

    from service.prolific import SubmissionFilter

    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    wanted = SubmissionFilter(**{field.name: given[field.name] for field in fields(SubmissionFilter)})
    rows, problem = asyncio.run(_fetch(wanted))
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(rows)
    else:
        print_table(COLUMNS, rows, title=f"{len(rows)} submissions", wide=wide)
    if problem:
        raise problem


async def _fetch(wanted: "SubmissionFilter") -> "tuple[list[dict[str, Any]], IncompleteList | None]":
    """Return the wanted rows, each once, and what keeps them from being the whole list."""
    from service.prolific import Page, Prolific
    from service.prolific.errors import IncompleteList
    from service.settings import Settings

    settings = Settings.from_environment()
    token = settings.require("PROLIFIC_TOKEN", "Prolific's list is read with it")
    async with Prolific(settings.prolific_url, token.read, concurrency=1) as prolific:
        if wanted.page is not None:
            return _wanted_rows([await prolific.page(wanted)], wanted), None
        pages = list[Page]()
        try:
            async for page in prolific.pages(wanted):
                pages.append(page)
        except IncompleteList as error:
            return _wanted_rows(pages, wanted), error
        return _wanted_rows(pages, wanted), None


def _wanted_rows(pages: "Iterable[Page]", wanted: "SubmissionFilter") -> list[dict[str, Any]]:
    """Return the rows of a wanted status, each once and as it was read last."""
    rows = {str(row.get("id") or row): dict(row) for page in pages for row in page.rows}
    return [row for row in rows.values() if wanted.accepts(Status.parse(str(row.get("status"))))]


def print_csv(rows: Sequence[dict[str, Any]]) -> None:
    """Return every field that occurs in a row."""
    names = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
    writer = csv.DictWriter(sys.stdout, names, restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    """Return plain values unchanged, others as JSON."""
    return csv_cell(json.dumps(value) if isinstance(value, dict | list) else value)
