"""Runs the tests in a rule file: a pure function of the file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from service.domain.decision import Action, Approve, Complete, Facts, Hold, Reject, RequestReturn, Verdict
from service.rules.cases.case import Case
from service.rules.format.case_model import WOULD
from service.rules.rulefile import RuleFile
from service.rules.sentences import no_code_of_that_kind, quoted

CONTAINED = ("reason", "message")  # these are expected to stand in what came


@dataclass(frozen=True, slots=True)
class Failure:
    """A ``key`` of ``expect`` and the actual result; for ``would`` also the rule."""

    key: str
    expected: Any
    came: Any


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of a test. ``facts`` include defaults; ``came`` has the results that ``expect`` may name."""

    file: str
    case: Case
    facts: Facts
    verdict: Verdict
    came: dict[str, Any]
    failures: tuple[Failure, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


def run(file: RuleFile) -> tuple[CaseResult, ...]:
    """Run every test of a file, in order."""
    return tuple(_result(file, case) for case in file.tests)


def unreached(file: RuleFile, results: Iterable[CaseResult]) -> tuple[str, ...]:
    """Return the rules that match in no test, observed ones too."""
    reached = {
        entry["rule"]
        for result in results
        if result.file == file.path
        for entry in result.verdict.trace
        if entry["result"] == "matched"
    }
    return tuple(rule.name for rule in file.rules if rule.name not in reached)


def _result(file: RuleFile, case: Case) -> CaseResult:
    study = file.studies[0] if file.studies else "study"
    facts = case.facts(list(file.evidence), study, file.compared_facts)
    verdict = file.decide(facts)
    came = _came(verdict, _guard(file, case, verdict, facts))
    return CaseResult(file.path, case, facts, verdict, came, tuple(_failures(case, came)))


def _failures(case: Case, came: dict[str, Any]) -> Iterator[Failure]:
    for key, wanted in case.expected.items():
        if key == WOULD:
            would = came[WOULD]
            for rule, outcome in wanted.items():
                if would.get(rule) != outcome:
                    yield Failure(f"would of {quoted(rule)}", outcome, would.get(rule))
        elif not _meets(key, wanted, came[key]):
            yield Failure(key, wanted, came[key])


def _guard(file: RuleFile, case: Case, verdict: Verdict, facts: Facts) -> tuple[str, str] | None:
    """Return the guard that would hold the verdict beyond the rules' own guards, and why."""
    if problem := file.policy_problem(verdict, facts):
        return "policy", problem
    action = verdict.action
    if isinstance(action, Complete) and case.codes is not None:
        wanted = action.code_type or action.code or ""
        if wanted not in case.codes:
            return "no_such_code", no_code_of_that_kind(wanted)
    return None


def _came(verdict: Verdict, guard: tuple[str, str] | None) -> dict[str, Any]:
    action = Hold(guard[1]) if guard else verdict.action
    name = guard[0] if guard else verdict.guard and verdict.guard.value
    return {
        "outcome": action.outcome.value,
        "rule": verdict.rule,
        "reason": guard[1] if guard else verdict.reason,
        "message": _message(action),
        "category": action.category if isinstance(action, Reject) else None,
        "tag": None if guard else verdict.tag,
        "guard": name,
        "undecidable": name == "undecidable",
        WOULD: {entry["rule"]: entry["would"] for entry in verdict.trace if "observe" in entry},
    }


def _message(action: Action) -> str | None:
    """Return the texts for participants."""
    match action:
        case Approve():
            return None
        case Reject(message=message):
            return message
        case RequestReturn(reasons=reasons):
            return "\n".join(reasons)
        case Complete(message_to_participant=message):
            return message
        case Hold(reason=reason):
            return reason
        case _:
            assert_never(action)


def _meets(key: str, wanted: Any, came: Any) -> bool:
    if key in CONTAINED:
        return came is not None and _in_one_line(wanted) in _in_one_line(came)
    return bool(wanted == came)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
