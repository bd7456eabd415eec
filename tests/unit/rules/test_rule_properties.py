"""Properties of every rule file for every submission."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.decision import Outcome
from service.rules import FACTS, FieldType, InvalidRules, RuleFile, check, load, run

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, gibberish: double, consented: bool, note: string}
"""

BEST_FIRST = [Outcome.APPROVE, Outcome.COMPLETE, Outcome.HOLD, Outcome.REQUEST_RETURN, Outcome.REJECT]
LONG = "We looked at your answers with care, and this is what we found in them. " * 2
CONDITIONS = [
    "evidence.survey.failed >= 1",
    "evidence.survey.consented == false",
    "evidence.survey.gibberish > 0.5 || submission.pace < 1.0",
    "submission.code_type == 'NONE' && evidence.survey.failed > 0",
    "{any: [evidence.survey.failed > 0, submission.pace > 1.0]}",
    "{all: [evidence.survey.consented, submission.pace > 1.0]}",
    "{none: [evidence.survey.consented, evidence.survey.gibberish > 0.5]}",
    "10 / evidence.survey.failed > 3",
    "submission.completed_at < now",
    "evidence.survey.note.matches('a') ? submission.return_requested : submission.pace > 1.0",
    "[1, 2].exists(x, x == evidence.survey.failed)",
    "evidence.survey.note in ['', 'a']",
    "stats.fast_outlier && stats.count >= 2",
    "{any: [stats.z < 1.0, participant.rejected > 1]}",
    "double(submission.time_taken) < stats.mean - 3.0 * stats.sd",
]
ACTIONS = [
    "approve:",
    "hold: 'Look at {evidence.survey.note}'",
    "complete: {code_type: HALF}",
    "complete: {code: X, message_to_participant: 'Thanks {submission.pace}'}",
    "request_return: {reasons: [Please.]}",
    f"reject: {{category: OTHER, message: '{LONG}{{evidence.survey.failed}}'}}",
]
TYPES = dict(FACTS) | {
    "evidence.survey.failed": FieldType.INT,
    "evidence.survey.gibberish": FieldType.DOUBLE,
    "evidence.survey.consented": FieldType.BOOL,
    "evidence.survey.note": FieldType.STRING,
}
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.INT: st.integers(0, 3),
    FieldType.DOUBLE: st.sampled_from([0.0, 0.4, 0.6, 1, 2.0]),
    FieldType.BOOL: st.booleans(),
    FieldType.STRING: st.sampled_from(["", "a", "NONE", "COMPLETED"]),
    FieldType.TIMESTAMP: st.sampled_from(["2026-01-01T10:00:00Z", "2026-01-02T10:00:00.5+02:00"]),
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        inner = facts
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return facts


@st.composite
def rules(draw: st.DrawFn, name: str, observed: bool) -> str:
    action = draw(st.sampled_from(ACTIONS))
    skippable = action.startswith(("reject", "request_return")) and draw(st.booleans())
    when = draw(st.sampled_from(CONDITIONS))
    text = f"  - name: {name}\n    when: {when if when.startswith('{') else json.dumps(when)}\n"
    text += f"    {action}\n" + ("    if_unknown: skip\n" if skippable else "")
    return text + ("    observe: true\n" if observed else "")


@st.composite
def rule_lists(draw: st.DrawFn) -> list[str]:
    return [draw(rules(f"rule {index}", draw(st.booleans()))) for index in range(draw(st.integers(1, 5)))]


def file_of(listed: list[str], otherwise: str) -> RuleFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(f"{HEAD}rules:\n{''.join(listed)}otherwise: {otherwise}\n", encoding="utf-8")
        return load(path).files[0]


OTHERWISE = st.sampled_from(["approve", "hold"])
rule_files = st.builds(file_of, rule_lists(), OTHERWISE)

known_facts = st.fixed_dictionaries(
    {"evidence.survey.received": st.just(value=True)},
    optional={name: VALUES[kind] for name, kind in TYPES.items()},
)
wild_groups = st.dictionaries(
    st.sampled_from(["submission", "study", "evidence", "stats", "participant", "now"]), ANY_JSON
)
wild_values = st.dictionaries(st.sampled_from([*TYPES, "evidence.survey.received"]), ANY_JSON)
wild_facts = wild_groups | wild_values.map(nested)

# Every example loads a rule file, which may take longer than hypothesis allows on a busy machine.
UNHURRIED = settings(suppress_health_check=[HealthCheck.too_slow])


@settings(UNHURRIED, max_examples=75)
@given(rule_files, wild_facts)
def test_any_facts_have_a_verdict(file: RuleFile, facts: dict[str, Any]) -> None:
    verdict = file.decide(facts)
    assert verdict.action.outcome in Outcome
    assert (verdict.guard is None) or verdict.action.outcome is Outcome.HOLD
    assert json.dumps(verdict.trace, allow_nan=False) == json.dumps(file.decide(facts).trace)
    assert verdict == file.decide(facts)


@settings(UNHURRIED, max_examples=150)
@given(rule_lists(), rules("new", observed=True), OTHERWISE, wild_facts | known_facts.map(nested), st.data())
def test_observed_rule_changes_only_the_trace(
    listed: list[str],
    new: str,
    otherwise: str,
    facts: dict[str, Any],
    data: st.DataObject,
) -> None:
    at = data.draw(st.integers(0, len(listed)))
    before = file_of(listed, otherwise)
    after = file_of([*listed[:at], new, *listed[at:]], otherwise)
    verdict, with_new = before.decide(facts), after.decide(facts)
    others = tuple(entry for entry in with_new.trace if entry["rule"] != "new")
    assert replace(with_new, trace=others) == verdict
    assert after.policy_problem(with_new, facts) == before.policy_problem(verdict, facts)


@settings(UNHURRIED, max_examples=200)
@given(rule_files, known_facts, st.data())
def test_missing_facts_lead_to_a_hold_or_no_worse_outcome(
    file: RuleFile,
    flat: dict[str, Any],
    data: st.DataObject,
) -> None:
    removable = sorted(set(flat) - {"evidence.survey.received"})
    taken = data.draw(st.sets(st.sampled_from(removable))) if removable else set()
    before = file.decide(nested(flat)).action.outcome
    after = file.decide(
        nested({name: value for name, value in flat.items() if name not in taken})
    ).action.outcome
    assert after is Outcome.HOLD or BEST_FIRST.index(after) <= BEST_FIRST.index(before)


@settings(UNHURRIED, max_examples=100)
@given(rule_files, known_facts)
def test_undecidable_rules_wait_for_evidence(file: RuleFile, flat: dict[str, Any]) -> None:
    del flat["evidence.survey.received"]
    verdict = file.decide(nested(flat))
    unknown = any(entry["result"] == "unknown" and "observe" not in entry for entry in verdict.trace)
    assert not unknown or verdict.guard == "waiting"


@settings(UNHURRIED, max_examples=150)
@given(
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.sampled_from(["", HEAD, f"{HEAD}rules:\n  - name: r\n    approve:\n    when: "]),
)
def test_any_text_loads_or_has_findings(text: str, head: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(head + text, encoding="utf-8")
        if any(finding.severity == "error" for finding in check(path)):
            with pytest.raises(InvalidRules):
                load(path)
        else:
            assert load(path).files


SIMPLE = [
    *(
        "evidence.survey.failed >= 1",
        "evidence.survey.consented",
        "submission.pace < 0.5",
        "stats.fast_outlier",
    ),
    *("evidence.survey.received", "submission.code_type in ['NONE', 'x']", "1 < evidence.survey.failed"),
    *(
        "'(' == evidence.survey.note",
        "now - submission.started_at < duration('1h')",
        "size('a||b') > 2",
        "true",
    ),
]
CONNECTED = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({}) ? ({}) : ({})".format, inner, inner, inner),
    ),
    max_leaves=8,
)


@settings(UNHURRIED, max_examples=75)
@given(CONNECTED, st.sampled_from(["{}", "{{all: [{}]}}", "{{any: [{}]}}", "{{none: [{}]}}"]))
def test_policy_check_accepts_any_condition(condition: str, form: str) -> None:
    text = f"{HEAD}rules:\n  - name: r\n    when: {form.format(json.dumps(condition))}\n    {ACTIONS[-1]}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(text, encoding="utf-8")
        findings = check(path)
        assert {finding.severity for finding in findings} <= {"warning"}
        assert {finding.line for finding in findings} <= {10, 11}


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(0, 3).map(str)
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.just("null")


@settings(UNHURRIED, max_examples=75)
@given(NUMBERS, NUMBERS, st.integers(-(10**18) + 1, 10**18 - 1), TIMES)
def test_rule_test_with_any_given_facts_runs(pace: str, minutes: str, taken: int, at: str) -> None:
    given_ = [f"submission: {{pace: {pace}}}", f"submission: {{time_taken: {taken}, completed_at: {at}}}"]
    cases = "".join(
        f"  - name: t\n    given: {{{each}, study: {{estimated_completion_time: {minutes}}}}}\n    expect: {{rule: null}}\n"
        for each in given_
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(f"{HEAD}tests:\n{cases}", encoding="utf-8")
        results = run(load(path).files[0])
    assert all(result.ok for result in results)
    assert json.dumps([result.facts for result in results], allow_nan=False)
