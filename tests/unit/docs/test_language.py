"""The code uses standard terms."""

import re

import pytest

from tests.unit.docs.pages import ROOT

# A term, and what to use instead.
FORBIDDEN = {
    r"told|tells?|telling": "report, record, log, return",
    r"said": "the name of the value: text, body, reason",
    r"nobody|whoever|whichever": "a noun: a person, the caller",
    r"reckon\w*": "compute, count",
    r"stumbl\w*|troubled?|troubles": "failure, error",
    r"patience": "timeout",
    r"loud(ly)?": "logged",
    r"chores?|duties": "background task",
    r"leftovers?": "overdue, missing",
    r"brakes?": "pause, circuit breaker",
    r"notices?": "notification",
    r"rings?|wakes?|waking": "the timer fires",
    r"all the same|once more|in vain|now and then|made anew": "nothing, again, periodically",
    r"(a person|people)'s word": "manual decision",
    r"signs? of life": "heartbeat",
    r"what (became|came|comes) of": "the result of",
    r"\(reference \d": "the fact itself",
}

# Names that are stored or that people use, and words with their plain meaning: file -> terms.
EXCEPTIONS = {
    "service/notify/alerts.py": {"told"},  # a key in stored results
    "service/notify/notifier.py": {"notice", "notices"},  # log event, metric
    "service/app.py": {"notices"},  # metric
    "service/counters.py": {"notices"},
    "service/telemetry/metrics.py": {"notices"},
    "service/store/tables.py": {"brakes", "notices", "said", "troubled"},  # tables and columns
    "service/store/schedule.py": {"said"},
    "service/store/history.py": {"brakes"},
    "service/store/notifications.py": {"brakes", "notices"},
    "service/store/overview.py": {"brakes"},
    "service/store/pauses.py": {"brakes"},
    "service/store/queue.py": {"wake"},  # the task of timers
    "service/store/reviews.py": {"troubled"},
    "service/store/rights.py": {"notices"},
    "service/postgres/embedded_home.py": {"nobody"},  # the user
}


@pytest.mark.parametrize("term", FORBIDDEN)
def test_code_does_not_use_the_term(term: str) -> None:
    pattern = re.compile(rf"(?<![a-z])(?:{term})(?![a-z])", flags=re.IGNORECASE)
    found = [
        f"{name}:{number}: {match[0]} (use {FORBIDDEN[term]})"
        for path in sorted((ROOT / "service").rglob("*"))
        if path.suffix in {".py", ".yaml"}
        for name in [str(path.relative_to(ROOT))]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in pattern.finditer(line)
        if match[0].lower() not in EXCEPTIONS.get(name, set())
    ]
    assert found == []
