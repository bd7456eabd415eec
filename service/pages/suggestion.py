"""The texts that the rules proposed for a held submission, as a start for a manual decision."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Reject, RequestReturn
from service.rulebook.recorded import parsed
from service.store.audit import show_decision
from service.store.rulebooks import kept_file


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Texts for the form, empty if the rules proposed none."""

    category: str = ""
    message: str = ""
    reasons: str = ""


async def suggestion_for(connection: AsyncConnection, decision: int) -> Suggestion:
    """Return what the rules proposed with a decision, its texts filled in."""
    found = await show_decision(connection, decision)
    if found is None or found["proposed"] not in {"reject", "request_return"} or not found["rules_hash"]:
        return Suggestion()
    kept = await kept_file(connection, found["rules_hash"])
    rule_file = parsed(kept) if kept else None
    if rule_file is None:
        return Suggestion()  # an older version took it, and this one reads it otherwise
    match rule_file.decide(found["facts"]).action:
        case Reject(category=category, message=message):
            return Suggestion(category=category, message=message)
        case RequestReturn(reasons=reasons):
            return Suggestion(reasons="\n".join(reasons))
        case _:
            return Suggestion()
