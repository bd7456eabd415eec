"""Generated days of faults: each submission ends as its rules say, and nothing is lost or done twice."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from tests.databases import TEMPLATE, create, named
from tests.integration.faults.basis import APPROVING, LENIENT, OBSERVING, STRICT, VARIANTS
from tests.integration.faults.day import DONE, HALF_DONE, NO_CODE, WRONG_CODE, Day, bad_day
from tests.integration.faults.invariants import broken
from tests.world import TOKEN

MORE = int(os.environ.get("BAD_DAYS", "0"))

T = TypeVar("T")

FEW = 2  # changes of rules in a day: each takes seconds
LIMIT = 120.0  # seconds for anything that a step does
NUMBER = st.integers(0, 50)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda status: status.replace(" ", "_"),
    lambda status: status.replace(" ", "-").lower(),
    str.title,
)
CODES = st.sampled_from([DONE, DONE, HALF_DONE, NO_CODE, WRONG_CODE])
TROUBLES: tuple[dict[str, Any], ...] = (
    {"status": 429},
    {"status": 429, "retry_after": 1},
    {"status": 500},
    {"status": 502, "body": b"<html>Bad Gateway</html>"},
    {"status": 200, "body": b"<html>Maintenance</html>"},
    {"reset": True},
    {"truncate": True},
    {"latency": 0.3},
    {"status": 400},
    {"status": 403},
    {"status": 409},
    {"then_status": Status.APPROVED},
    {"then_status": Status.REJECTED},
)

FAULTS = st.builds(
    lambda trouble, **how: Fault(**trouble, **how),
    st.sampled_from(TROUBLES),
    endpoint=st.sampled_from(["transition", "transition", "request-return", "submission", "study", "any"]),
    took_effect=st.booleans(),
    count=st.integers(1, 3),
)


class Loop:
    """An event loop in a thread of its own, for steps that are not asynchronous."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(LIMIT)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def database(postgres: str) -> Iterator[str]:
    name = f"day_{uuid4().hex}"
    create(postgres, name, like=TEMPLATE)
    try:
        yield named(postgres, name)
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class BadDays(RuleBasedStateMachine):
    """Steps may come in any order and at any moment of a review; only the evening is looked at."""

    working = Bundle("working")
    submissions = Bundle("submissions")

    def __init__(self, loop: Loop, postgres: str, folder: Path) -> None:
        super().__init__()
        self._loop = loop
        self._stack = AsyncExitStack()
        url = self._stack.enter_context(database(postgres))
        self.day: Day = loop.run(self._stack.enter_async_context(bad_day(url, folder / uuid4().hex)))

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(doing)

    @rule(target=working)
    def somebody_begins(self) -> SimSubmission:
        return self.run(self.day.begin())

    @rule(target=submissions, one=consumes(working), code=CODES)
    def somebody_completes(self, one: SimSubmission, code: str | None) -> SimSubmission:
        self.run(self.day.complete(one, code))
        return one

    @initialize(
        target=submissions,
        cases=st.lists(st.tuples(CODES, st.sampled_from([None, 0, 2])), min_size=2, max_size=4),
        troubles=st.lists(FAULTS, max_size=2),
        told=st.booleans(),
    )
    def a_day_begins(
        self, cases: list[tuple[str | None, int | None]], troubles: list[Fault], told: bool
    ) -> MultipleResults[SimSubmission]:
        """No day is without participants."""
        found = []
        for fault in troubles:
            self.run(self.day.trouble(fault))
        for code, attention_failed in cases:
            one = self.run(self.day.begin())
            self.run(self.day.complete(one, code))
            if attention_failed is not None:
                self.run(self.day.push(one, attention_failed))
            found.append(one)
        if told:
            self.run(self.day.deliver_all())
        return multiple(*found)

    @rule(one=working | submissions, attention_failed=st.sampled_from([0, 2]))
    def the_survey_tells(self, one: SimSubmission, attention_failed: int) -> None:
        self.run(self.day.push(one, attention_failed))

    @precondition(lambda self: len(self.day.rules.changes) <= FEW)
    @rule(
        target=submissions,
        trouble=st.sampled_from(TROUBLES),
        seconds=st.floats(0.2, 0.5),
        variant=st.sampled_from([LENIENT, APPROVING, OBSERVING]),
        restart=st.booleans(),
        and_back=st.booleans(),
    )
    def the_rules_change_their_mind(
        self, trouble: dict[str, Any], seconds: float, variant: str, restart: bool, and_back: bool
    ) -> SimSubmission:
        """While a rejection is on its way to Prolific, and has trouble there."""
        one = self.run(self.day.begin())
        self.run(self.day.complete(one, DONE))
        self.run(self.day.only_trouble(Fault("transition", **trouble)))
        self.run(self.day.push(one, 2))
        self.run(self.day.work(seconds))
        self.run(self.day.change_rules(variant, restart=restart))
        if and_back:
            self.run(self.day.change_rules(STRICT, restart=True))
        return one

    @precondition(lambda self: len(self.day.rules.changes) <= FEW)
    @rule(variant=st.sampled_from([STRICT, *VARIANTS]))
    def the_rules_change(self, variant: str) -> None:
        self.run(self.day.change_rules(variant, restart=True))

    @rule(seconds=st.sampled_from([30, -30, 600, -600]))
    def a_clock_moves(self, seconds: int) -> None:
        self.run(self.day.clock_moves(seconds))

    @rule(one=submissions, status=st.sampled_from([Status.REJECTED, Status.RETURNED]))
    def the_end_of_before_is_told_late(self, one: SimSubmission, status: Status) -> None:
        self.run(self.day.ended_and_reopened(one, status))

    @rule(
        target=submissions,
        attention_failed=st.sampled_from([0, 2]),
        trouble=st.sampled_from(TROUBLES),
        seconds=st.floats(0.2, 0.5),
    )
    def the_survey_changes_its_mind(
        self, attention_failed: int, trouble: dict[str, Any], seconds: float
    ) -> SimSubmission:
        """While what it said first is on its way to Prolific, and has trouble there."""
        one = self.run(self.day.begin())
        self.run(self.day.complete(one, DONE))
        self.run(self.day.only_trouble(Fault("transition", **trouble)))
        self.run(self.day.push(one, attention_failed))
        self.run(self.day.work(seconds))
        self.run(self.day.push(one, 2 - attention_failed))
        return one

    @rule(one=submissions, status=st.sampled_from([Status.APPROVED, Status.REJECTED, Status.RETURNED]))
    def somebody_else_decides(self, one: SimSubmission, status: Status) -> None:
        self.run(self.day.meddle(one, status))

    @rule(number=NUMBER, spelt=st.sampled_from(SPELLINGS))
    def a_webhook_comes(self, number: int, spelt: Callable[[str], str]) -> None:
        self.run(self.day.deliver(number, spelt))

    @rule(number=NUMBER)
    def a_webhook_comes_again(self, number: int) -> None:
        self.run(self.day.repeat(number))

    @rule(number=NUMBER)
    def a_webhook_is_lost(self, number: int) -> None:
        self.run(self.day.lose(number))

    @rule(fault=FAULTS)
    def prolific_has_trouble(self, fault: Fault) -> None:
        self.run(self.day.trouble(fault))

    @rule(seconds=st.sampled_from([0.5, 3.0]), refuses=st.booleans())
    def prolific_is_down(self, seconds: float, refuses: bool) -> None:
        self.run(self.day.down(seconds, refuses=refuses))

    @rule(token=st.sampled_from([TOKEN, "another-token"]))
    def the_token_is_replaced(self, token: str) -> None:
        self.run(self.day.set_token(token))

    @rule(amid=st.integers(0, 4), after=st.floats(0, 0.1))
    def the_service_is_killed(self, amid: int, after: float) -> None:
        self.run(self.day.crash(amid, after))

    @precondition(lambda self: not self.day.frozen)
    @rule()
    def a_replica_sleeps(self) -> None:
        self.run(self.day.freeze())

    @precondition(lambda self: self.day.frozen)
    @rule()
    def those_that_slept_wake(self) -> None:
        self.run(self.day.thaw())

    @rule()
    def somebody_sweeps(self) -> None:
        self.run(self.day.sweep())

    @rule(seconds=st.floats(0, 0.5))
    def the_service_works(self, seconds: float) -> None:
        self.run(self.day.work(seconds))

    @rule()
    def time_passes(self) -> None:
        self.run(self.day.time_passes())

    @rule(days=st.sampled_from([-1, 1, 8]))
    def days_pass(self, days: int) -> None:
        self.run(self.day.days_pass(timedelta(days=days)))

    def teardown(self) -> None:
        try:
            self.run(self.day.evening())
            found = self.run(broken(self.day))
        finally:
            self.run(self._stack.aclose())
        assert not found, "\n".join([*found, f"The logs are in {self.day.replicas.rules.parent}"])


def live_through(days: int, postgres: str, tmp_path: Path) -> None:
    loop = Loop()
    try:
        run_state_machine_as_test(
            lambda: BadDays(loop, postgres, tmp_path),  # type: ignore[arg-type]
            settings=settings(
                max_examples=days,
                derandomize=not MORE,  # the same days each time; BAD_DAYS=100 tries others
                stateful_step_count=30,
                database=None,
                print_blob=True,
                # A failing day is reported as it was: timing decides what a shrunk one would do.
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.close()
