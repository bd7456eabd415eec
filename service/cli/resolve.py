"""``autoreview resolve``: a manual decision, on one submission or on a sheet of them."""

import re
from typing import Annotated, Any

import typer

from service.cli.resolve_sheet import resolve_sheet
from service.console.output import Json, echo, print_json
from service.domain.decision import Action
from service.errors import ConfigurationError

# The fields of an action as commands and sheets name them, each with its option.
OPTIONS = {
    "category": "--category",
    "message": "--message",
    "reasons": "--reason",
    "code_type": "--code-type",
    "code": "--code",
    "percentage": "--percentage",
}


By = Annotated[str, typer.Option(metavar="NAME", help="Your name, for the record.")]
Submission = Annotated[str | None, typer.Argument(help="The submission's id. For many use --from.")]
ActionName = Annotated[str | None, typer.Argument(help="approve, reject, request-return, complete or hold.")]
Category = Annotated[str | None, typer.Option(help="reject: a category of Prolific's, as in rules.")]
Message = Annotated[
    str | None, typer.Option(metavar="TEXT", help="reject, complete: the text to the participant.")
]
Reason = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="request-return: one or more times. hold: once.")
]
CodeType = Annotated[
    str | None, typer.Option(metavar="TYPE", help="complete: the type of the study's researcher code.")
]
Code = Annotated[str | None, typer.Option(help="complete: the code itself, in place of its type.")]
Percentage = Annotated[
    float | None, typer.Option(metavar="N", help="complete: share of the reward, 8 to 99.")
]
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="A note for the record.")]
SheetFile = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="FILE", help="A sheet as `holds --csv` prints it. - reads standard input."
    ),
]
Fill = Annotated[
    str | None,
    typer.Option("--action", metavar="ACTION", help="With --from: the action of rows without one."),
]
Yes = Annotated[
    bool, typer.Option("--yes", help="With --from: decide. Without it, only show what would be done.")
]


def resolve(
    by: By,
    submission: Submission = None,
    action: ActionName = None,
    category: Category = None,
    message: Message = None,
    reason: Reason = None,
    code_type: CodeType = None,
    code: Code = None,
    percentage: Percentage = None,
    note: Note = None,
    sheet: SheetFile = None,
    fill: Fill = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Decide a submission that awaits review. The service's worker sends the decision to Prolific.

    With --from decide many at once: shown first, done with --yes. Exit 1 if any is refused.
    """
    _check_usage(submission, action, sheet, fill, yes=yes)
    given = (category, message, reason, code_type, code, percentage)
    chosen = _action(action or fill, dict(zip(OPTIONS, given, strict=True)))
    if sheet is not None:
        resolve_sheet(sheet, chosen, by, note, yes=yes, as_json=as_json)
    elif submission and chosen:
        _resolve_one(submission, chosen, by, note, as_json=as_json)


def _check_usage(
    submission: str | None, action: str | None, sheet: str | None, fill: str | None, *, yes: bool
) -> None:
    if sheet is not None and (submission or action):
        raise typer.BadParameter("name a submission and its action, or a sheet with --from (and --action)")
    if sheet is None and not (submission and action):
        raise typer.BadParameter("name a submission and an action, such as: resolve SUBMISSION approve")
    if sheet is None and (fill or yes):
        raise typer.BadParameter("--action and --yes go with --from")


def _action(name: str | None, fields: dict[str, Any]) -> Action | None:
    """Return the action in the options, None if there is none."""
    from service.manual.actions import InvalidAction, action_of, filled

    # A sheet may have an action in each row, and then needs none here.
    if name is None:
        if filled(fields):
            raise ConfigurationError("Name the action of the other options with --action.")
        return None
    try:
        return action_of(name, fields)
    except InvalidAction as error:
        lines = [_by_option(field, problem) for field, problem in error.problems]
        raise ConfigurationError("\n".join(lines)) from None


def _by_option(field: str, problem: str) -> str:
    option = OPTIONS.get(field)
    # A problem of the whole action names its fields, which are options here.
    if option is None:
        return re.sub(r"\b(code_type|code)\b", lambda name: OPTIONS[name[0]], problem)
    return f"{option}{' ' if problem.startswith(('is ', 'must ')) else ': '}{problem}"


def _resolve_one(submission: str, action: Action, by: str, note: str | None, *, as_json: bool) -> None:
    from service.cli.database import order
    from service.manual.actions import InvalidAction
    from service.manual.decide import ManualDecision
    from service.manual.decide import resolve as decide
    from service.postgres.database import database_now
    from service.store.audit import show_decision

    async def record(connection: Any) -> dict[str, Any] | None:
        now = await database_now(connection)
        recorded = await decide(connection, ManualDecision(submission, action, by, note, now))
        return await show_decision(connection, recorded.id)

    try:
        decision = order(record)
    except InvalidAction as error:
        raise ConfigurationError(str(error)) from None
    assert decision is not None
    if as_json:
        print_json(decision)
        return
    then = "The service's worker sends it." if decision["action"] else "It stays held until somebody decides."
    echo(f"Decision {decision['id']} on {submission}: {decision['reason']}. {then}")
