"""Logs of crashes as the service writes them: structlog's own take seconds each, in which nothing else runs."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def plain_tracebacks() -> Iterator[None]:
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    kept = structlog.get_config()["processors"]
    structlog.configure(processors=[*kept[:-1], renderer])
    yield
    structlog.reset_defaults()
