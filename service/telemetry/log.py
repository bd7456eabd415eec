"""Structured logs: one line per event, JSON for machines or coloured text for a terminal."""

import io
import logging
import os
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo

from service.domain.printable import printable

MAX_VALUE_LENGTH = 60  # characters of a value in a line for people, except in warnings and errors
DECISION = (
    *("timestamp", "level", "event", "decision_id", "outcome", "status", "guard", "rule", "submission_id"),
    *("_record", "_from_structlog"),
)
QUIET = ("httpx", "httpcore", "uvicorn", "procrastinate", "alembic", "sqlalchemy", "asyncio")


def configure_logs(*, form: str, level: str) -> None:
    """Send all logs to standard error in one format. Libraries log warnings and errors only."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if form == "json" else "%Y-%m-%d %H:%M:%SZ", utc=True),
    ]
    # Tracebacks without local variables, which contain tokens, passwords and participants' answers.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    # The renderer adds colours, so text from outside is escaped before it.
    console = structlog.dev.ConsoleRenderer(
        colors=_has_colours(),
        exception_formatter=_plain_traceback,
        pad_event_to=24,
        pad_level=False,
        sort_keys=False,
    )
    ending: list[Any] = (
        [tracebacks, structlog.processors.JSONRenderer(default=str)]
        if form == "json"
        else [_short, _printable, console]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # At level info, httpx logs each request with its full address.
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _has_colours() -> bool:
    """See https://no-color.org."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _short(_: object, __: str, event: EventDict) -> EventDict:
    """Keep what a person needs who watches: one short line per decision. JSON has every field."""
    names = DECISION if event["event"] == "decision.recorded" else tuple(event)
    kept = {name: event[name] for name in names if event.get(name) is not None}
    # A warning or an error is worth its whole text.
    if event.get("level") != "info":
        return kept
    return {name: _cut(value) if name != "event" else value for name, value in kept.items()}


def _cut(value: object) -> object:
    text = str(value)
    return f"{text[:MAX_VALUE_LENGTH]}…" if len(text) > MAX_VALUE_LENGTH else value


def _printable(_: object, __: str, event: EventDict) -> EventDict:
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}


def _plain_traceback(out: TextIO, exception: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exception)
    out.write(printable(text.getvalue(), keep="\n\t"))
