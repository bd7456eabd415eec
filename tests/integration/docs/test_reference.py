"""``docs/reference.md`` and the other tables have what the code has, and nothing else."""

import re

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase

from service.domain.decision import DecisionStatus, Guard, Mode, Outcome, Trigger
from service.review.guards import GUARDS
from service.settings import Settings, variables
from tests.conftest import Start
from tests.unit.docs.interfaces import commands, defined, error_codes, log_events, texts
from tests.unit.docs.pages import first_names, names, section, table
from tests.world import ADMIN, bearer

REFERENCE, DECIDING, OPERATING = "docs/reference.md", "docs/deciding.md", "docs/operating.md"
BY_SOURCE = "AUTOREVIEW_SOURCE_<NAME>"
BY_KIND = {f"database.{kind}" for kind in ("unreachable", "disk_full", "read_only", "forbidden")}
BY_TASK = {
    f"{name}.crashed"
    for name in (
        "also",
        "evidence.fetches",
        "gauges",
        "notify",
        "planned_decisions",
        "rescue",
        "shadow",
        "sweep",
    )
}


def test_settings_table_has_each_variable_with_its_default() -> None:
    rows = [row for row in table(REFERENCE, "Settings", "variable") if BY_SOURCE not in row[0]]
    assert {names(row[0])[0] for row in rows} == {name for name in variables() if not name.endswith("_FILE")}
    for first, default, _ in rows:
        field = Settings.model_fields[names(first)[0].removeprefix("AUTOREVIEW_").lower()]
        shown = names(default)[0] if default else ""
        expected = {"10m": "0:10:00", "7d": "7 days, 0:00:00"}.get(shown, shown)
        assert expected == ("" if field.default in (None, ()) else str(field.default)), first


def test_settings_table_marks_each_secret() -> None:
    marked = {names(row[0])[0] for row in table(REFERENCE, "Settings", "variable") if "†" in row[0]}
    assert BY_SOURCE in marked
    assert marked - {BY_SOURCE} == {
        name.removesuffix("_FILE") for name in variables() if name.endswith("_FILE")
    }


def test_commands_table_has_each_command_with_each_option() -> None:
    documented = {}
    for command, options, _ in table(REFERENCE, "Commands", "command"):
        (shown,) = names(command)
        documented[re.sub(r" \[?[A-Z].*", "", shown)] = set(names(options))
    assert documented == commands()


async def test_http_table_has_each_route(start: Start) -> None:
    async with start() as world:
        described = (await world.http.get("/api/openapi.json", headers=bearer(ADMIN))).json()["paths"]
        documented = first_names(REFERENCE, "HTTP", "route")
        assert sorted(documented) == sorted(
            f"{method.upper()} {path}" for path, methods in described.items() for method in methods
        )
        for route in documented:
            method, path = route.split()
            answer = await world.http.request(method, re.sub(r"\{\w+\}", "1", path))
            assert answer.status_code != httpx.codes.METHOD_NOT_ALLOWED, route
            assert '"not_found"' not in answer.text, route


async def test_http_table_names_the_token_of_each_route(start: Start) -> None:
    async with start() as world:
        for route, token, _ in table(REFERENCE, "HTTP", "route"):
            method, path = names(route)[0].split()
            answer = await world.http.request(method, re.sub(r"\{\w+\}", "1", path))
            assert (answer.status_code == httpx.codes.UNAUTHORIZED) == (token != "none"), route


async def test_metrics_table_has_each_metric_with_its_labels(start: Start) -> None:
    rows = table(REFERENCE, "Metrics", "metric")
    async with start() as world:
        shown = (await world.http.get("/metrics")).text
    served = set(re.findall(r"^# TYPE (autoreview_\w+) ", shown, flags=re.MULTILINE))
    assert {names(row[0])[0] for row in rows} == {name for name in served if not name.endswith("_created")}
    labels = {}
    for metric in vars(defined("Metrics")()).values():
        if isinstance(metric, MetricWrapperBase):
            (described,) = metric.describe()
            name = f"{described.name}_total" if described.type == "counter" else described.name
            labels[name] = list(metric._labelnames)
    assert {names(row[0])[0]: names(row[1]) for row in rows} == labels


def test_error_codes_table_has_each_code() -> None:
    documented = first_names(REFERENCE, "Error codes", "code")
    assert len(documented) == len(set(documented))
    # Starlette answers an unknown method; the code is made from the status.
    assert set(documented) == error_codes() | {"method_not_allowed"}


def test_log_events_table_has_each_event() -> None:
    documented = first_names(REFERENCE, "Log events", "event")
    assert len(documented) == len(set(documented))
    assert log_events() | BY_KIND | BY_TASK <= set(documented)
    assert set(documented) - BY_KIND - BY_TASK <= texts()


def test_computed_log_events_are_made_from_texts_in_the_code() -> None:
    kinds = {event.removeprefix("database.") for event in BY_KIND}
    tasks = {event.removesuffix(".crashed") for event in BY_TASK}
    assert kinds | tasks <= texts()


@pytest.mark.parametrize(
    ("heading", "column", "known"),
    [
        ("Outcomes", "outcome", [*Outcome]),
        ("Modes", "mode", [*Mode]),
        ("Statuses and triggers", "status", [*DecisionStatus]),
        ("Statuses and triggers", "trigger", [*Trigger]),
    ],
)
def test_deciding_tables_have_each_value(heading: str, column: str, known: list[str]) -> None:
    assert sorted(first_names(DECIDING, heading, column)) == sorted(known)


def test_guards_table_has_each_guard_in_the_order_of_the_checks() -> None:
    assert first_names(DECIDING, "Guards", "guard") == [guard.value for guard, _ in GUARDS]
    assert {guard.value for guard, _ in GUARDS} | {Guard.HOLD_EXPIRED.value} == {*Guard}
    assert f"`{Guard.HOLD_EXPIRED}`" in section(DECIDING, "Guards")


def test_sweep_table_has_each_cause() -> None:
    assert sorted(first_names(OPERATING, "The sweep", "cause")) == sorted(defined("Cause"))


def test_notifications_table_has_each_kind() -> None:
    assert sorted(first_names(OPERATING, "Notifications", "notification")) == sorted(
        defined("Kind", "service.notify")
    )
