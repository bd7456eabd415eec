"""``autoreview resolve``: a person's decision, on one submission or on a sheet of them."""

from typing import Annotated, Any

import typer

from service.cli.resolve_sheet import resolve_sheet
from service.console.output import Json, echo, print_json
from service.domain.decision import Action
from service.errors import ConfigurationError


def resolve(
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides.")],
    submission: Annotated[str | None, typer.Argument(help="The submission; or --from for many.")] = None,
    action: Annotated[
        str | None, typer.Argument(help="approve, reject, request-return, complete or hold.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="reject: one of Prolific's, as in rules.")] = None,
    message: Annotated[str | None, typer.Option(help="reject, complete: to the participant.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="request-return: for each reason; hold: one.")
    ] = None,
    code_type: Annotated[
        str | None, typer.Option(help="complete: the researcher's code by its type.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="complete: or the code itself.")] = None,
    percentage: Annotated[float | None, typer.Option(help="complete: 8 to 99, of the reward.")] = None,
    note: Annotated[str | None, typer.Option(help="For the record.")] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="A sheet as `holds --csv` prints it; - reads it from a pipe."
        ),
    ] = None,
    fill: Annotated[
        str | None, typer.Option("--action", help="With --from: for rows that say no action.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --from: do it, instead of showing it.")] = False,
    as_json: Json = False,
) -> None:
    """Decide what is held, or anything else that awaits review; the service's worker tells Prolific.

    With --from many at once: shown first, done with --yes; exit 1 if any is refused.
    """
    _check_usage(submission, action, sheet, fill, yes=yes)
    name, fields = action or fill, {
        "category": category,
        "message": message,
        "reasons": reason,
        "code_type": code_type,
        "code": code,
        "percentage": percentage,
    }  # fmt: skip
    chosen = _action(name, fields)
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
        raise typer.BadParameter("name a submission and what is decided, such as: resolve SUBMISSION approve")
    if sheet is None and (fill or yes):
        raise typer.BadParameter("--action and --yes go with --from")


def _action(name: str | None, fields: dict[str, Any]) -> Action | None:
    """What the options say; None where they say nothing."""
    from service.manual.actions import InvalidAction, action_of, filled

    if name is None:
        if filled(fields):
            raise ConfigurationError("Say with --action what the other options are for.")
        return None
    try:
        return action_of(name, fields)
    except InvalidAction as error:
        raise ConfigurationError(str(error)) from None


def _resolve_one(submission: str, action: Action, by: str, note: str | None, *, as_json: bool) -> None:
    from service.cli.database import order
    from service.manual.actions import InvalidAction
    from service.manual.decide import resolve as decide
    from service.postgres.database import database_now
    from service.store.audit import show_decision

    async def record(connection: Any) -> dict[str, Any] | None:
        now = await database_now(connection)
        recorded = await decide(connection, submission, action, by=by, note=note, now=now)
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
