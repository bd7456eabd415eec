"""The pure parts of a backtest: intervals, running statistics, conditions, limits, causes, Markdown."""

import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.backtest.causes import causes
from service.backtest.comparison import EXPLAINED, Comparison
from service.backtest.conditions import FailIf
from service.backtest.intervals import rate
from service.backtest.judged import Judged, Side, recorded_outcome, side_of
from service.backtest.limits import LimitSimulation
from service.backtest.markdown import markdown
from service.backtest.report import explained, html
from service.backtest.run import Result
from service.backtest.running import RunningTimes
from service.domain.decision import Facts, Outcome
from service.errors import ConfigurationError
from service.rules import Limits, RuleFile
from service.rules.file_reading import read_file
from service.rules.format.findings import Findings
from service.store.past import PastPayload

AT = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
HEAD = "version: 1\nname: A study\nstudies: all\nevidence: {survey: {from: push, fields: {failed: int}}}\n"
HOLD, LOOK = "{name: %s, when: evidence.survey.failed %s, hold: Look.}", "hold: Look."


def file(*rules: tuple[str, str], otherwise: str = "approve") -> RuleFile:
    listed = ", ".join(HOLD % rule for rule in rules)
    findings = Findings("a.yaml")
    found, _ = read_file("a.yaml", f"{HEAD}rules: [{listed}]\notherwise: {otherwise}\n".encode(), findings)
    assert found, findings.found
    return found


def facts(failed: int) -> Facts:
    return {"evidence": {"survey": {"received": True, "failed": failed}}, "study": {"reward": 150}}


def judged(
    old: Outcome | None, new: Outcome, *, name: str = "a", manual: bool = False, reason: str = "why"
) -> Judged:
    side = Side(old, "r", reason, Decimal(150 if old is Outcome.APPROVE else 0)) if old else None
    pays = Decimal(150 if new is Outcome.APPROVE else 0)
    return Judged(name, side, Side(new, "r", reason, pays), 150, AT, taken=60, is_manual=manual)


def comparison(*listed: Judged) -> Comparison:
    found = Comparison.of("s1", ["r"])
    for one in listed:
        found.add(one)
    return found


@pytest.mark.parametrize(
    ("number", "of", "low", "high"),
    [(0, 0, 0, 0), (0, 10, 0, 0.277533), (5, 10, 0.236593, 0.763407), (10, 10, 0.722467, 1)],
)
def test_rate_has_the_wilson_interval(number: int, of: int, low: float, high: float) -> None:
    found = rate(number, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=40))
def test_running_statistics_count_earlier_completions_only(times: list[int]) -> None:
    running = RunningTimes()
    for index, taken in enumerate(times):
        running.advance(AT + timedelta(seconds=index))
        before = running.times()
        running.add(taken)
        assert before.count == index
        if index >= 2:
            earlier = times[:index]
            assert before.mean == pytest.approx(statistics.fmean(earlier))
            assert before.sd == pytest.approx(statistics.stdev(earlier), abs=1e-6)
            assert before.median == statistics.median(earlier)


def test_running_statistics_leave_out_completions_at_the_same_time() -> None:
    running = RunningTimes()
    for taken in (10, 20):
        running.advance(AT)
        assert running.times().count == 0
        running.add(taken)
    running.advance(AT + timedelta(seconds=1))
    assert running.times().count == 2


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("reject > 2%", True),
        ("reject > 50%", False),
        ("changed > 0", True),
        ("changed>=2", False),
        ("hold == 0", True),
        ("contradictions < 1", True),
        ("approve <= 49.9%", False),
    ],
)
def test_fail_if_compares_a_number_or_a_share(text: str, fails: bool) -> None:
    found = comparison(
        judged(Outcome.APPROVE, Outcome.REJECT), judged(Outcome.APPROVE, Outcome.APPROVE, name="b")
    )
    assert (FailIf.parse(text).failure(found) is not None) is fails


@pytest.mark.parametrize("text", ["reject 2%", "rejects > 2%", "reject > two", "reject > -1", ""])
def test_fail_if_error_shows_the_valid_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match="contradictions"):
        FailIf.parse(text)


def test_new_hold_does_not_contradict_a_manual_decision() -> None:
    held = judged(Outcome.APPROVE, Outcome.HOLD, manual=True)
    rejected = judged(Outcome.APPROVE, Outcome.REJECT, name="b", manual=True)
    found = comparison(judged(Outcome.APPROVE, Outcome.HOLD, name="c"), held, rejected)
    assert [one.submission_id for one in found.in_order()] == ["b", "c"]
    assert found.contradictions == 1


def test_money_is_counted_by_old_and_new_outcome() -> None:
    found = comparison(
        judged(Outcome.APPROVE, Outcome.REJECT),
        judged(Outcome.REJECT, Outcome.APPROVE, name="b"),
        judged(None, Outcome.HOLD, name="c"),
    ).as_json()
    assert found["money"] == {
        "approved": {"old": 150, "new": 150},
        "saved": 150,
        "newly_paid": 150,
        "held": 150,
    }
    assert found["matrix"]["undecided"] == {"hold": 1}


def test_simulated_limit_holds_from_the_first_excess_on() -> None:
    limits = LimitSimulation(Limits())
    side = Side(Outcome.REJECT, "r", "why")
    outcomes = [limits.apply(side, AT + timedelta(minutes=index)).outcome for index in range(5)]
    assert outcomes == [Outcome.REJECT] * 3 + [Outcome.HOLD] * 2


def test_causes_count_each_difference_alone() -> None:
    old = file(("many", ">= 5"), ("gone", "== 0"))
    new = file(("added", "== 1"), ("many", ">= 4"), otherwise="hold")
    found = causes(old, new)
    for failed in range(6):
        for cause in found:
            cause.add(str(failed), facts(failed), side_of(old, facts(failed)).outcome)
    assert [(cause.rule, cause.difference, cause.changes) for cause in found] == [
        ("many", "changed", 1),
        ("gone", "removed", 1),
        ("added", "added", 1),
        ("otherwise", "changed", 4),
    ]


def test_causes_report_a_moved_rule_and_nothing_for_equal_files() -> None:
    first, second, third = ("a", "> 1"), ("b", "> 2"), ("c", "> 3")
    found = causes(file(first, second, third), file(third, first, second))
    assert [(cause.rule, cause.difference) for cause in found] == [("c", "moved")]
    assert causes(file(first, second), file(first, second)) == []


def test_markdown_escapes_texts() -> None:
    found = comparison(judged(Outcome.APPROVE, Outcome.REJECT, reason="| **x** @team <b>\n\x1b"))
    text = markdown(found, [], ["changed > 0: changed is 1"])
    assert r"\| \*\*x\*\* \@team \<b\>\n\x1b" in text.replace("\\\\", "\\")
    assert "**Fails:**" in text


def test_html_report_escapes_texts_and_loads_nothing_from_other_hosts() -> None:
    found = comparison(judged(Outcome.APPROVE, Outcome.REJECT, reason="<script>alert(1)</script>"))
    page = html(Result(found, file(("many", ">= 5"))), {}, ["changed > 0"], "what was decided here")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert 'href="#approve-reject"' in page


def test_report_gives_the_waiting_time_of_holds_in_days() -> None:
    holds = [judged(Outcome.APPROVE, Outcome.HOLD, name=name) for name in "ab"]
    rules = file(("many", ">= 5"))
    page = html(Result(comparison(*holds), rules), {}, [], "what was decided here")
    assert "2 holds. Unresolved, each waits 21 days, together 42 days." in page
    soon = html(
        Result(comparison(holds[0]), replace(rules, hold_at_most=timedelta(hours=36))), {}, [], "others"
    )
    assert "1 hold. Unresolved, each waits 36 hours, together 36 hours." in soon
    none = html(Result(comparison(), rules), {}, [], "others")
    assert "0 holds.</p>" in none


def test_outputs_say_what_an_observed_rule_would_have_done() -> None:
    trace = rule_trace("observed", observe=True, would="request_return"), rule_trace("decides")
    one = judged(Outcome.APPROVE, Outcome.HOLD)
    found = comparison(replace(one, new=replace(one.new, trace=trace)))
    label = "observed (only observed: would request return)"
    assert label in html(Result(found, file()), {}, [], "others").replace(" <small>", " ")
    assert label in markdown(found, [], [])
    assert [(rule["rule"], rule["matched"]) for rule in found.as_json()["rules"][-2:]] == [
        ("observed", 1),
        ("decides", 1),
    ]


def rule_trace(name: str, **more: Any) -> dict[str, Any]:
    return {"rule": name, "result": "matched", "values": {}, "why": "", "conditions": [], **more}


def test_comparison_keeps_explanations_of_the_first_changes_only() -> None:
    changed = [judged(Outcome.APPROVE, Outcome.REJECT, name=f"{index:04}") for index in range(EXPLAINED + 5)]
    trace = ({"rule": "r", "result": "matched", "values": {}, "why": "", "conditions": []},)
    found = comparison(*(replace(one, new=replace(one.new, trace=trace)) for one in changed))
    assert len(found.changed) == EXPLAINED + 5
    assert len(explained(found)) == EXPLAINED


@given(st.lists(st.integers(0, 6), max_size=12))
def test_same_rules_change_no_outcome(failures: list[int]) -> None:
    rules = file(("many", ">= 5"), ("none", "== 0"))
    found = Comparison.of("s1", [rule.name for rule in rules.rules])
    for index, failed in enumerate(failures):
        verdict = rules.decide(facts(failed))
        old = recorded_outcome(verdict.proposed, verdict.guard)
        new = side_of(rules, facts(failed))
        found.add(Judged(str(index), Side(old, verdict.rule, verdict.reason), new, 150, AT))
    assert found.changed == []
    assert all(old == new for old, new in found.matrix)


def test_past_payload_has_the_values_that_the_rule_file_reads() -> None:
    readings = {"a.yaml": {"failed": 2, "same": 1}, "b.yaml": {"failed": 0, "same": 1, "more": 3}}
    read = PastPayload({"failed": 2}, readings=readings)
    assert read.read_by("a.yaml") == readings["a.yaml"]
    assert read.read_by("edited.yaml") == {"same": 1}
    assert PastPayload({"failed": 2}).read_by("edited.yaml") == {"failed": 2}
    assert PastPayload({"failed": 2}, readings={}).read_by("edited.yaml") == {}
