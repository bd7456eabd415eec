"""The dashboard for Grafana uses existing metrics and labels."""

import json
import re
from typing import Any

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from service.telemetry.metrics import Metrics
from tests.unit.deploy.chart import FOLDER, ci, of_kind, render

TEXT = (FOLDER / "dashboard.json").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
BY_PROMETHEUS = {"namespace", "pod", "le"}


def labels_by_metric() -> dict[str, set[str]]:
    """Return the labels of each metric by its name in Prometheus."""
    found = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (described,) = metric.describe()
            endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            assert isinstance(metric, Histogram) == (described.type == "histogram")
            for ending in endings.get(described.type, [""]):
                found[described.name + ending] = {*metric._labelnames, *BY_PROMETHEUS}
    return found


def queries() -> list[tuple[str, str]]:
    """Yield each query with its legend."""
    return [
        (target["expr"], target["legendFormat"])
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]


def test_every_metric_and_label_of_the_dashboard_exists() -> None:
    known = labels_by_metric()
    assert len(queries()) > 20
    for query, legend in queries():
        metrics = re.findall(r"\bautoreview_\w+", query)
        assert metrics, query
        for metric in metrics:
            assert metric in known, metric
            grouped = re.findall(r"by \(([^)]*)\)", query)
            labels = {label.strip() for group in grouped for label in group.split(",")}
            labels |= set(re.findall(r"{{(\w+)}}", legend))
            assert labels <= known[metric], query


def test_the_dashboard_shows_the_metrics_of_all_alerts() -> None:
    (rule,) = of_kind(render(ci("production")), "PrometheusRule")
    asked = {
        metric
        for alert in rule["spec"]["groups"][0]["rules"]
        for metric in re.findall(r"\bautoreview_\w+", alert["expr"])
    }
    assert asked
    assert asked <= {metric for query, _ in queries() for metric in re.findall(r"\bautoreview_\w+", query)}


def test_every_query_is_limited_to_the_chosen_namespace() -> None:
    for query, _ in queries():
        assert query.count('{namespace=~"$namespace"}') == len(re.findall(r"\bautoreview_\w+", query)), query


def test_panels_do_not_overlap_and_have_different_titles() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(titles) == len(set(titles))


def test_dashboard_config_map_exists_only_if_enabled() -> None:
    assert not of_kind(render(ci("minimal")), "ConfigMap")
    (found,) = of_kind(render(ci("minimal", monitoring={"dashboard": {"enabled": True}})), "ConfigMap")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["data"] == {"autoreview.json": TEXT}
