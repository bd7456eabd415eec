"""Prolific's workspaces, which own webhooks and money."""

from dataclasses import dataclass
from typing import Any

from service.prolific.fields import mapping, required, results, text, whole


@dataclass(frozen=True, slots=True)
class Workspace:
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance in minor units (pence, cents). ``available`` excludes what active studies have reserved."""

    currency: str | None
    total: int | None
    available: int | None


def read_workspaces(body: Any) -> tuple[Workspace, ...]:
    rows = [mapping(row) for row in results(body)]
    return tuple(Workspace(required(row, "id"), text(row.get("title")) or "") for row in rows)


def read_balance(body: Any) -> Balance:
    body = mapping(body)
    return Balance(
        currency=text(body.get("currency_code")),
        total=whole(body.get("total_balance")),
        available=whole(body.get("available_balance")),
    )
