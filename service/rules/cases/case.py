"""A test in a rule file: what is given, and what is expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from service.domain.decision import Facts
from service.rules.catalogue import CATALOGUE, Default
from service.rules.facts import Plain, parse_time

COMPLETED_AT = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
LATER = timedelta(minutes=1)  # from completion to the decision
CODE = "C0DE1234"
DEFAULTS: Mapping[str, Plain] = {
    fact.name: fact.default for fact in CATALOGUE.values() if not isinstance(fact.default, Default)
}


@dataclass(frozen=True, slots=True)
class Case:
    """``given`` are flat facts, None for one that is missing on purpose; ``sources`` those that are named.

    ``codes`` are the researcher's completion codes that the study has, None for every one that is needed.
    """

    name: str
    line: int
    given: Mapping[str, Plain | None]
    sources: frozenset[str]
    codes: tuple[str, ...] | None
    expected: Mapping[str, Any]

    def facts(self, sources: Sequence[str], study: str, compared: Mapping[str, str] | None = None) -> Facts:
        """Return all facts of the test, nested as in a review. ``sources`` are those that the file declares.

        ``compared`` are facts that count other submissions, with the fact they compare: 0 where that is given.
        """
        study = str(self.given.get("study.id") or study)
        flat: dict[str, Plain | None] = {**DEFAULTS, "study.id": study, "submission.study_id": study}
        flat |= self._times() | self._code()
        for source in sources:
            flat[f"evidence.{source}.received"] = source in self.sources
        flat |= {fact: 0 for fact, of in (compared or {}).items() if self.given.get(of) is not None}
        if self.given.get("submission.return_requested_at") is not None:
            flat["submission.return_requested"] = True
        return nested({**flat, **self.given})

    def _times(self) -> dict[str, Plain | None]:
        """Compute time taken, pace and the times from those that are given, so that they agree."""
        minutes = self._number("study.estimated_completion_time", 10.0)
        seconds = self._number("submission.time_taken", self._number("submission.pace", 1.0) * minutes * 60)
        pace = seconds / (minutes * 60) if minutes else 1.0
        completed = self._time("submission.completed_at", COMPLETED_AT)
        return {
            "submission.time_taken": round(seconds) if isfinite(seconds) else None,
            "submission.pace": pace if isfinite(pace) else None,
            "submission.completed_at": completed.isoformat(),
            "submission.started_at": _moved(completed, -seconds).isoformat(),
            "now": _moved(completed, LATER.total_seconds()).isoformat(),
        }

    def _code(self) -> dict[str, Plain | None]:
        return {"submission.entered_code": None if self.given.get("submission.code_type") == "NONE" else CODE}

    def _number(self, fact: str, default: float) -> float:
        value = self.given.get(fact)
        return float(value) if isinstance(value, int | float) else default

    def _time(self, fact: str, default: datetime) -> datetime:
        value = self.given.get(fact)
        return (parse_time(value) if isinstance(value, str) else None) or default


def _moved(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # beyond the calendar, or no number
        return moment


def nested(flat: Mapping[str, Plain | None]) -> Facts:
    """Return flat facts as nested ones. A fact that is None is left out: it is missing."""
    facts: Facts = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        inner = facts
        for group in groups:
            inner = inner.setdefault(group, {})
        if value is not None:
            inner[last] = value
    return facts
