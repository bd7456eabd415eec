"""``autoreview explain``: shows what would be decided now, and why."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.console.decision import fact_value
from service.console.output import Json, console, plain, print_json, text
from service.domain.decision import Decision, Mode

if TYPE_CHECKING:
    from service.review.explain import Explanation
    from service.rulebook.at_work import AtWork


def explain(
    submission: Annotated[str, typer.Argument(help="The submission's id.")],
    as_json: Json = False,
) -> None:
    """Show what would be decided now for a submission, with every fact and rule. Apply nothing.

    Exit 1 if Prolific does not know the submission, or no rule file claims its study.
    """
    found, service = _ask(submission)
    if as_json:
        print_json(as_dict(found) | {"service": service.as_dict()})
    else:
        print_explanation(found, service)


def _ask(submission: str) -> "tuple[Explanation, AtWork]":
    from sqlalchemy.ext.asyncio import AsyncConnection

    from service.cli.database import ask
    from service.prolific.client import Prolific
    from service.review.explain import explain as explained
    from service.review.limits import service_limits
    from service.rulebook.at_work import at_work
    from service.settings import Settings

    settings = Settings.from_environment()
    token = settings.require("PROLIFIC_TOKEN", "the submission is fetched from Prolific with it")

    async def question(connection: AsyncConnection) -> "tuple[Explanation, AtWork]":
        found = await at_work(connection, settings)
        # One call at a time: the service shares the limits of the token.
        async with Prolific(settings.prolific_url, token.read, concurrency=1) as prolific:
            limits = service_limits(found.settings)
            return await explained(
                submission, prolific, connection, found.book, found.settings.mode, limits
            ), found

    return ask(question)


def as_dict(found: "Explanation") -> dict[str, Any]:
    """Return the JSON for scripts: the decision with all its facts."""
    decision, last = found.decision, found.last
    names = ("outcome", "proposed", "guard", "rule", "rule_file", "rules_hash", "mode", "action", "reason")
    return {
        "submission_id": found.submission.id,
        "study_id": found.submission.study_id,
        "participant_id": found.submission.participant_id,
        "status": found.submission.status,
        "summary": found.summary,
        **{name: getattr(decision, name) for name in names},
        "tag": decision.tag,
        "recheck_at": decision.recheck_at,
        "rules": list(found.rules),
        "counterfactual": found.counterfactual.as_json() if found.counterfactual else None,
        "facts": decision.facts,
        "last_decision": {"id": last.id, "status": last.status, "same": found.same_as_last} if last else None,
    }


def print_explanation(found: "Explanation", service: "AtWork") -> None:
    """Print the reason first, then the rules and facts."""
    out, decision = console(), found.decision
    out.print(text(found.summary, style="bold"))
    guard = f" (the rules say {decision.proposed}, held by {decision.guard})" if decision.guard else ""
    for name, value in (
        ("outcome", f"{decision.outcome}{guard}"),
        ("mode", f"{decision.mode} ({service.origin})"),
        ("rule file", f"{decision.rule_file} {decision.rules_hash}"),
        ("would send", _sent(decision)),
        ("on record", _on_record(found)),
    ):
        out.print(text(f"  {name:12} {value}"))
    if found.counterfactual:
        out.print(text(f"  {found.counterfactual}"))
    for entry in found.rules:
        out.print(text(f"  {entry['result']:12} {entry['rule']}: {entry['why']}"))
        for fact in entry["facts"]:
            value = "missing" if fact["value"] is None else fact_value(fact["value"])
            out.print(text(f"    {fact['fact']} = {value}  ({fact['source']})"))


def _sent(decision: Decision) -> str:
    if decision.mode is Mode.OBSERVE or decision.action is None:
        return "nothing"
    return json.dumps(plain(decision.action), ensure_ascii=False)


def _on_record(found: "Explanation") -> str:
    if found.last is None:
        return "no decision yet"
    same = ", the same as this" if found.same_as_last else ""
    return f"decision {found.last.id}: {found.last.decision.outcome}, {found.last.status}{same}"
