"""Refused deliveries: counted, logged and stored, with a limit on their number."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from service.domain.printable import printable
from service.errors import AutoreviewError
from service.postgres.database import Database, within
from service.store.refusals import Refusal, add_refusals
from service.telemetry.metrics import Metrics
from service.web.http import problem

WINDOW = 60.0  # seconds
MAX_WRITTEN = 30  # refusals of one source for one reason that a window writes; the others are only counted
STORE_TIMEOUT = 2.0  # seconds that an answer waits for its refusal to be stored

log = structlog.get_logger(__name__)


class DeliveryRefused(AutoreviewError):
    """A delivery of evidence is refused."""

    code = "delivery_refused"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        submission: str | None = None,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.submission = submission
        self.headers = headers
        self._more = {} if fields is None else {"fields": dict(fields)}
        super().__init__(message)

    def response(self) -> Response:
        return problem(self.status, self.code, str(self), headers=self.headers, **self._more)


@dataclass(slots=True)
class RefusalLog:
    """Records refusals. Anybody can send wrong tokens, so the number of records is limited."""

    database: Database
    metrics: Metrics
    timer: Callable[[], float] = time.monotonic
    _window_began: float = float("-inf")
    _written: dict[tuple[str, str], int] = field(default_factory=dict)
    _unwritten: dict[tuple[str, str], int] = field(default_factory=dict)

    async def record(
        self, source: str, refused: Iterable[DeliveryRefused], declared: Collection[str]
    ) -> None:
        """Record refusals. ``declared`` are the names of sources: no other becomes a label of the metric."""
        label = source if source in declared else "unknown"
        name = printable(source)
        kept: list[Refusal] = []
        for one in refused:
            self.metrics.evidence_refused.labels(label, one.code).inc()
            if self._is_written((label, one.code)):
                number = 1 + self._unwritten.pop((label, one.code), 0)
                refusal = Refusal(name, one.submission, one.code, printable(str(one)), number)
                kept.append(refusal)
                log.warning("evidence.refused", **asdict(refusal))
        if kept:
            await self._store(kept)

    def _is_written(self, kind: tuple[str, str]) -> bool:
        now = self.timer()
        if now - self._window_began >= WINDOW:
            self._window_began = now
            self._written.clear()
        # Counted, and added to the next one that is written: the sum stays right.
        if self._written.get(kind, 0) >= MAX_WRITTEN:
            self._unwritten[kind] = self._unwritten.get(kind, 0) + 1
            return False
        self._written[kind] = self._written.get(kind, 0) + 1
        return True

    async def _store(self, refusals: list[Refusal]) -> None:
        try:
            await within(STORE_TIMEOUT, self._written_down(refusals))
        # The answer to the platform does not wait for the record of it.
        except (SQLAlchemyError, TimeoutError) as error:
            log.warning("evidence.refusal_not_stored", error=type(error).__name__, number=len(refusals))

    async def _written_down(self, refusals: list[Refusal]) -> None:
        async with self.database.begin() as connection:
            await add_refusals(connection, refusals)
