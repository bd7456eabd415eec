"""Filters of lists refuse impossible values instead of showing an empty list."""

import pytest
from starlette.datastructures import QueryParams
from typer.testing import CliRunner

from service.api.queries import BadQuery, decision_query, hold_query
from service.cli import app

STUDY = "60aca280709ee40ec37d4885"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("decisions list --outcome foo", "request_return"),
        ("decisions list --status done", "superseded"),
        ("decisions list --trigger hook", "webhook"),
        ("decisions list --guard foo", "limit.reject"),
        ("holds --guard foo", "limit.reject"),
        (f"submissions list --study {STUDY} --status done", "AWAITING_REVIEW"),
        (f"submissions list --study {STUDY} --ordering name", "started_at"),
    ],
)
def test_command_filter_refuses_an_unknown_value_and_names_known_ones(
    command: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    ended = CliRunner().invoke(app, command.split())
    assert ended.exit_code == 2
    assert named in ended.output


@pytest.mark.parametrize("name", ["outcome", "status", "trigger", "guard"])
def test_api_filter_refuses_an_unknown_value_and_names_known_ones(name: str) -> None:
    with pytest.raises(BadQuery, match=f"{name} must be one of .*, not 'foo'"):
        decision_query(QueryParams({name: "foo"}))
    assert decision_query(QueryParams({name: ""}))


def test_api_filter_of_holds_refuses_an_unknown_guard() -> None:
    with pytest.raises(BadQuery, match=r"guard must be one of .*limit\.reject"):
        hold_query(QueryParams({"guard": "foo"}))
