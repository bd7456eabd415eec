"""``POST /evidence/{source}``: evidence in the shape of a survey platform."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.evidence.access import Access
from service.evidence.documents import parse
from service.evidence.refusals import DeliveryRefused, RefusalLog
from service.evidence.rows import Reading, RowAnswer, read_rows, store_rows
from service.postgres.database import Database, within
from service.rules import RuleBook
from service.telemetry.metrics import Metrics
from service.web.http import body_within, quotable

MAX_DOCUMENT = 1024 * 1024  # bytes
MAX_COMMIT_TIME = 20.0  # seconds; a payload committed later is a duplicate of the next try


@dataclass(frozen=True, slots=True)
class PostEndpoint:
    """Reads a delivery by what the rule files declare, and stores all its rows in one commit."""

    access: Access
    rules: Callable[[], RuleBook]
    database: Database
    metrics: Metrics
    refusals: RefusalLog

    async def __call__(self, request: Request) -> Response:
        source = quotable(request.path_params["source"])
        answer = await self._answer(request, source)
        self.metrics.evidence.labels(answer.status_code).inc()
        return answer

    async def _answer(self, request: Request, source: str) -> Response:
        try:
            rows, is_batch = await self._take(request, source)
        except DeliveryRefused as refused:
            await self._record(source, [refused])
            return refused.response()
        await self._record(source, [row.refused for row in rows if row.refused])
        return _batch(rows) if is_batch else _single(source, rows[0])

    async def _take(self, request: Request, source: str) -> tuple[list[RowAnswer], bool]:
        """Return the result of each row, and whether there could be several. Raise DeliveryRefused."""
        body = await body_within(request, MAX_DOCUMENT)
        if body is None:
            raise DeliveryRefused(413, "too_large", f"The body is over {MAX_DOCUMENT} bytes.")
        book = self.rules()  # the same until the end: a reload between would find other files
        files = self.access.check(request, body, source, book.files_receiving(source), accepts_basic=True)
        if not files:
            message = f"No rule file declares a source {source!r} that is pushed."
            raise DeliveryRefused(404, "no_such_source", message)
        if request.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
            raise DeliveryRefused(415, "content_encoding", "Send the body without a content encoding.")
        documents = await parse(request.headers.get("content-type", ""), body)
        read = await read_rows(source, files, documents.rows)
        try:
            return await within(MAX_COMMIT_TIME, self._store(source, read, book)), documents.is_batch
        except (SQLAlchemyError, TimeoutError):
            message = f"Source {source}: nothing was stored; send it again."
            raise DeliveryRefused(503, "not_stored", message, headers={"Retry-After": "10"}) from None

    async def _store(
        self, source: str, read: Sequence[list[Reading] | RowAnswer], book: RuleBook
    ) -> list[RowAnswer]:
        async with self.database.begin() as connection:
            return await store_rows(connection, source, read, book)

    async def _record(self, source: str, refused: Sequence[DeliveryRefused]) -> None:
        await self.refusals.record(
            source, refused, {name for file in self.rules().files for name in file.evidence}
        )


def _single(source: str, row: RowAnswer) -> Response:
    if row.refused:
        return row.refused.response()
    status = "accepted" if row.evidence else "duplicate"
    content = {"source": source, "submission_id": row.submission, "status": status}
    warnings = {"warnings": list(row.warnings)} if row.warnings else {}
    return JSONResponse(content | warnings, status_code=row.status)


def _batch(rows: Sequence[RowAnswer]) -> Response:
    statuses = {row.status for row in rows}
    # A platform that repeats what failed must see that a part of it did.
    status = statuses.pop() if len(statuses) == 1 else 207
    return JSONResponse({"results": [row.as_dict() for row in rows]}, status_code=status)
