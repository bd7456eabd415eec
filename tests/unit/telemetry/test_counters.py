"""Counters start at 0 for known labels, so that alerts notice the first event."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.app import build
from service.counters import REFUSALS, start_source_counters
from service.domain.decision import Mode
from service.rulebook.current import RulesInForce
from service.rules import load
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.unit.deploy.chart import ci, of_kind, render
from tests.unit.docs.interfaces import SOURCES
from tests.world import rules_text, write_rules

ASKED = (
    '  lab: {from: http, url: "https://lab.example.org/{submission.id}", fields: {passed: bool}, wait: 30m}'
)


def samples(metrics: Metrics) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


@pytest.fixture
def started(tmp_path: Path) -> Metrics:
    """Return the metrics of a new service with loaded rules."""
    text = rules_text().replace("evidence:\n", f"evidence:\n{ASKED}\n")
    rules = RulesInForce(load(write_rules(tmp_path, text)), datetime.now(UTC))
    settings = Settings(prolific_token="t", webhook_secrets="s", mode=Mode.APPROVE_ONLY)
    service = build(settings, "postgresql://nobody@127.0.0.1:9/none", rules)
    start_source_counters(service.metrics, rules.book)
    return service.metrics


def test_counters_of_alerts_exist_at_the_start(started: Metrics) -> None:
    (rule,) = of_kind(render(ci("production")), "PrometheusRule")
    found = samples(started)
    for alert in rule["spec"]["groups"][0]["rules"]:
        for name, selector in re.findall(r"increase\((\w+)\{([^}]*)\}", alert["expr"]):
            wanted = re.findall(r'(\w+)=~?"([^"]*)"', selector)
            own = {label: pattern for label, pattern in wanted if label not in ("namespace", "pod")}
            series = [
                labels
                for sample, labels, value in found
                if sample == name
                and value == 0
                and all(re.fullmatch(pattern, labels[label]) for label, pattern in own.items())
            ]
            assert series, (alert["alert"], name, selector)


def test_counters_of_refused_evidence_exist_for_every_reason() -> None:
    evidence = "\n".join(text for path, text in SOURCES.items() if "evidence" in path.parts)
    assert set(re.findall(r'Refused\(\s*\d+,\s*"(\w+)"', evidence)) <= set(REFUSALS)


def test_version_and_mode_are_metrics(started: Metrics) -> None:
    found = {(name, *labels.values()): value for name, labels, value in samples(started)}
    assert found["autoreview_build_info", __version__] == 1
    modes = {mode: found["autoreview_mode", mode.value] for mode in Mode}
    assert modes == {Mode.OBSERVE: 0, Mode.APPROVE_ONLY: 1, Mode.LIVE: 0}
