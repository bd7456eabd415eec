"""The texts of decisions: reasons, and the trace of each rule."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from service.domain.decision import Outcome
from service.rules.facts import LONGEST_TEXT as LONGEST_FACT
from service.rules.facts import FactSheet, Plain
from service.rules.templates import written

LONGEST_TEXT = 80  # characters of a text fact in a sentence; the trace has it whole

DONE = {
    Outcome.APPROVE: "Approved",
    Outcome.REJECT: "Rejected",
    Outcome.REQUEST_RETURN: "Asked to return",
    Outcome.COMPLETE: "Completed",
    Outcome.HOLD: "Held",
}


NO_RULE_MATCHED = "No rule matched."


def decided(outcome: Outcome, rule: str | None, why: str) -> str:
    if rule is None:
        return f"{DONE[outcome]}: no rule matched."
    return f"{DONE[outcome]} by {quoted(rule)}: {why}"


def skipped(rules: Iterable[str]) -> str:
    """Return the addition to a reason if unknown rules were skipped."""
    return f" Passed over, not knowable: {_listed([quoted(rule) for rule in rules])}."


def observed(why: str, would: Outcome | None) -> str:
    """Return the trace's text for a rule that is only observed."""
    effect = f": it would {would.replace('_', ' ')}" if would else ""
    return f"{why} Only observed{effect}."


def waiting(sources: Iterable[str], unknowns: Iterable[str]) -> str:
    return f"Waiting for evidence of {_listed(list(sources))}: {'; '.join(unknowns)}."


def undecidable(unknowns: Iterable[str]) -> str:
    return f"Held: {'; '.join(unknowns)}."


def cannot_rule_out(rule: str, why: str) -> str:
    return f"can't rule out {quoted(rule)}: {why.removesuffix('.')}"


def text_lacks(decider: str | None, missing: Iterable[str], sheet: FactSheet) -> str:
    return f"the text of {_decider(decider)} can't be filled in: {missing_facts(missing, sheet)}"


def text_too_short(decider: str | None, length: int, wanted: int) -> str:
    return f"the message of {_decider(decider)} has {length} characters, Prolific wants {wanted}"


def text_empty(decider: str | None) -> str:
    return f"a text of {_decider(decider)} is empty when filled in"


def held_by_text(problem: str) -> str:
    return f"Held: {problem}."


def no_code_of_that_kind(wanted: str) -> str:
    return f"Held: the study has no completion code {wanted} for the researcher."


def seen(values: Mapping[str, Plain | None]) -> str:
    """Return the values of a rule as a sentence."""
    if not values:
        return "it asks for no fact."
    return f"{_listed([_described(name, value) for name, value in values.items()])}."


def _described(name: str, value: Plain | None) -> str:
    return f"{name} was {_shown(value)}" if isinstance(value, str) else _described_number(name, value)


@lru_cache(maxsize=1024, typed=True)  # many rules read the same facts; 1, 1.0 and true are not the same
def _described_number(name: str, value: float | None) -> str:
    return f"{name} is missing" if value is None else f"{name} was {_shown(value)}"


def would_change(fact: str, value: Plain, outcome: Outcome) -> str:
    """Return the text of a counterfactual."""
    return f"If {fact} had been {_shown(value)}, the outcome would have been {outcome.replace('_', ' ')}."


def seen_values(values: Mapping[str, Plain | None]) -> str:
    """Return a text with every fact that a rule read."""
    return seen(values).removesuffix(".")


def unknowable(missing: Iterable[str], errors: Iterable[str], sheet: FactSheet) -> str:
    names = list(missing)
    parts = [missing_facts(names, sheet)] if names else []
    parts += [f"the condition can't be evaluated ({error})" for error in errors]
    return f"{'; '.join(parts)}."


def missing_facts(names: Iterable[str], sheet: FactSheet) -> str:
    """Return a text with the missing facts, why their sources did not answer, and the facts that are too long."""
    listed = list(names)
    long = [name for name in listed if name in sheet.too_long]
    absent = [name for name in listed if name not in sheet.too_long]
    sources = dict.fromkeys(name.split(".")[1] for name in absent if name.startswith("evidence."))
    problems = [f"{source}: {sheet.problems[source]}" for source in sources if source in sheet.problems]
    why = f" ({'; '.join(problems)})" if problems else ""
    parts = [f"{_listed(absent)} {_are(absent)} missing{why}"] if absent else []
    parts += [f"{_listed(long)} {_are(long)} over {LONGEST_FACT:,} characters"] if long else []
    return " and ".join(parts)


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def quoted(name: str) -> str:
    return f"‘{name}’"


def _decider(rule: str | None) -> str:
    return quoted(rule) if rule is not None else "otherwise"


def _shown(value: Plain) -> str:
    if not isinstance(value, str):
        return written(value)
    cut = value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}…"
    return f'"{cut}"'


def _listed(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
