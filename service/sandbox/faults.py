"""Faults of the simulated Prolific: which calls fail, and which webhooks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Literal

from service.domain.submission import Status
from service.sandbox.hooks import JsonStyle

ANY = "any"
KINDS = (
    "transition",
    "request-return",
    "bulk-approve",
    "submission",
    "submissions",  # a list of them
    "counts",
    "study",
    "studies",  # a list of them
    "messages",
    "participant-groups",
    "hooks",
    "users",
    "workspaces",
    "other",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with calls of an endpoint, one of ``KINDS`` or any. A call meets one fault at most.

    ``status`` or ``body`` replace the answer (a status alone comes with an envelope, a body alone with 200),
    ``reset`` cuts the connection without one, ``truncate`` in the middle of the body. What was asked is then
    not done, unless it ``took_effect`` first. With neither, the call is handled as ever: late (``latency``, in
    real seconds), or with half of its true answer (``truncate``).

    ``then_status`` is what somebody else makes of the submission just before the call is handled.
    ``count`` calls meet the fault (None: until removed), of those that match a ``share``; from ``after``
    seconds on and for ``seconds`` (None: for ever), both real and counted from when it is added.
    """

    endpoint: str = ANY
    status: int | None = None
    count: int | None = 1
    share: float = 1.0
    latency: float = 0.0
    reset: bool = False
    truncate: bool = False
    took_effect: bool = False
    retry_after: int | str | None = None
    body: bytes | None = None
    then_status: Status | None = None
    after: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        fitting = {
            "endpoint": self.endpoint in (ANY, *KINDS),
            "status": self.status is None or 200 <= self.status <= 599,
            "count": self.count is None or (isinstance(self.count, int) and self.count > 0),
            "share": 0 < self.share <= 1,
            "latency": 0 <= self.latency < inf,
            "reset": isinstance(self.reset, bool),
            "truncate": isinstance(self.truncate, bool),
            "took_effect": isinstance(self.took_effect, bool),
            "after": 0 <= self.after < inf,
            "seconds": self.seconds is None or self.seconds > 0,
        }
        _check(fitting)

    @property
    def replaces(self) -> bool:
        """Return True if an answer other than the true one is sent."""
        return self.status is not None or self.body is not None

    @property
    def is_handled(self) -> bool:
        """Return True if the request is carried out."""
        return self.took_effect or not (self.replaces or self.reset)


@dataclass(slots=True)
class Added:
    """A fault that waits for calls: ``left`` of them (None: any number), from ``begins`` until ``ends``."""

    fault: Fault
    left: int | None
    begins: float
    ends: float

    def fits(self, kind: str, now: float) -> bool:
        return self.fault.endpoint in (ANY, kind) and self.begins <= now < self.ends and self.left != 0


class Faults:
    """The faults of a sandbox's API. ``seen`` is the kind of every API call that came, in that order."""

    def __init__(self, random: Random, timer: Callable[[], float] = time.monotonic) -> None:
        self._random = random
        self._timer = timer
        self._added: list[Added] = []
        self.seen: list[str] = []

    def add(self, *faults: Fault) -> None:
        now = self._timer()
        for fault in faults:
            begins = now + fault.after
            ends = inf if fault.seconds is None else begins + fault.seconds
            self._added.append(Added(fault, fault.count, begins, ends))

    def down(self, seconds: float | None = None, how: Literal["refuse"] | int = 503) -> None:
        """Take the whole API away for so many real seconds, or until cleared."""
        status = None if how == "refuse" else how
        self.add(Fault(ANY, status, count=None, reset=how == "refuse", seconds=seconds))

    def clear(self) -> None:
        self._added.clear()

    def waiting(self) -> list[Added]:
        now = self._timer()
        return [added for added in self._added if now < added.ends and added.left != 0]

    def meet(self, kind: str) -> Fault | None:
        """Count a call and return its fault: first of those for any endpoint, then in the order of adding."""
        self.seen.append(kind)
        self._added, now = self.waiting(), self._timer()
        for added in sorted(self._added, key=lambda added: added.fault.endpoint != ANY):
            if added.fits(kind, now) and self._strikes(added.fault):
                added.left = None if added.left is None else added.left - 1
                return added.fault
        return None

    def _strikes(self, fault: Fault) -> bool:
        # Nothing is drawn where nothing hangs on it: a seed's crowd stays the same.
        return fault.share >= 1 or self._random.random() < fault.share


@dataclass(slots=True)
class WebhookFaults:
    """Faults of webhooks.

    ``lose`` and ``duplicate`` are the shares of events that are never sent, or sent twice under one id. A delivery
    begins up to ``reorder`` real seconds late. ``respace`` is the form of bodies after they were signed.
    """

    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    respace: JsonStyle | None = None

    def __post_init__(self) -> None:
        fitting = {
            "lose": 0 <= self.lose <= 1,
            "duplicate": 0 <= self.duplicate <= 1,
            "reorder": 0 <= self.reorder < inf,
        }
        _check(fitting)


def _check(fitting: dict[str, bool]) -> None:
    wrong = [name for name, fits in fitting.items() if not fits]
    if wrong:
        raise ValueError(f"not a possible value: {', '.join(wrong)}")
