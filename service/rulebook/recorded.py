"""Recorded decisions together with the version of the rule file that made them."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from service.domain.decision import Guard, Outcome, Trigger
from service.postgres.database import Database
from service.rules import RuleFile
from service.rules.counterfactual import Counterfactual, of_decision
from service.rules.file_reading import read_file
from service.rules.format.findings import Findings
from service.store.audit import show_decision
from service.store.rulebooks import KeptFile, kept_file


async def explained_decision(database: Database, decision: int) -> dict[str, Any] | None:
    """Return one decision whole, with the ``counterfactual``; None if there is none of this id."""
    async with database.connect() as connection:
        row = await show_decision(connection, decision)
        kept = await kept_file(connection, row["rules_hash"]) if row and row["rules_hash"] else None
    if row is None:
        return None
    # Up to a tenth of a second of computing: a thread keeps webhooks from waiting for it.
    found = await asyncio.to_thread(would_have_changed, row, kept)
    return row | {"counterfactual": found.as_json() if found else None}


def would_have_changed(row: Mapping[str, Any], kept: KeptFile | None) -> Counterfactual | None:
    """Return what would have changed a decision; None for a person's, or if its rules are not known here."""
    file = parsed(kept) if kept and row["trigger"] != Trigger.PERSON else None
    if file is None:
        return None
    guard = Guard(row["guard"]) if row["guard"] else None
    return of_decision(file, row["facts"], Outcome(row["outcome"]), guard)


@lru_cache(maxsize=32)
def parsed(kept: KeptFile) -> RuleFile | None:
    """Return a rule file from its recorded text; None if this version of the service refuses it."""
    return read_file(kept.name, kept.text.encode(), Findings(kept.name))[0]
