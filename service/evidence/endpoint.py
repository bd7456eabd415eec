"""``PUT /evidence/{source}/{submission_id}``: what the researcher's own code knows of a submission."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.domain.decision import Trigger
from service.domain.evidence import EvidenceOrigin
from service.domain.submission import IDENTIFIER
from service.evidence.access import Access
from service.evidence.cors import files_for_pages, with_cors
from service.evidence.refusals import DeliveryRefused, RefusalLog
from service.evidence.study_link import HEADER, StudyLinks
from service.postgres.database import Database, within
from service.rules import RuleBook, RuleFile
from service.store.evidence import NewEvidence, add_evidence
from service.store.queue import enqueue_reviews
from service.store.submissions import study_and_parent
from service.telemetry.metrics import Metrics
from service.web.http import MAX_BODY, DuplicateKey, body_within, quotable, read_json

MAX_COMMIT_TIME = 10.0  # seconds; a payload committed later is replaced by the next try


@dataclass(frozen=True, slots=True)
class EvidenceEndpoint:
    """Stores what a source sends, with the review that it starts, in one commit."""

    access: Access
    rules: Callable[[], RuleBook]
    database: Database
    metrics: Metrics
    refusals: RefusalLog
    links: StudyLinks

    async def __call__(self, request: Request) -> Response:
        source = quotable(request.path_params["source"])
        try:
            answer = await self._take(request, source)
        except DeliveryRefused as refused:
            declared = {name for file in self.rules().files for name in file.evidence}
            await self.refusals.record(source, [refused], declared)
            answer = refused.response()
        self.metrics.evidence.labels(answer.status_code).inc()
        return with_cors(answer, self.rules().files_receiving(source), source, request.headers.get("origin"))

    async def _take(self, request: Request, source: str) -> Response:
        """Store what was sent. Raise DeliveryRefused."""
        submission = request.path_params["submission_id"]
        book = self.rules()  # the same until the end: a reload between would find other files
        files = book.files_receiving(source)
        body = await body_within(request)
        if body is None:
            raise DeliveryRefused(413, "too_large", f"The body is over {MAX_BODY} bytes.")
        is_page = HEADER in request.headers
        if is_page:
            accepted = await self._from_page(request, source, submission, files)
        else:
            accepted = self.access.check(request, body, source, files, accepts_basic=False)
        if not accepted:
            message = f"No rule file declares the evidence source {source!r}."
            raise DeliveryRefused(404, "no_such_source", message)
        if not IDENTIFIER.fullmatch(submission):
            raise DeliveryRefused(422, "submission_id", f"{submission!r} is no submission id.")
        payload = _json_object(body)
        origin = EvidenceOrigin.BROWSER if is_page else EvidenceOrigin.PUSH
        try:
            if (
                payload or not is_page
            ):  # an empty object of a page only has its link verified while that is valid
                await within(
                    MAX_COMMIT_TIME, self._store(book, source, submission, accepted, payload, origin)
                )
        except (SQLAlchemyError, TimeoutError):
            message = "The evidence could not be stored; send it again."
            headers = {"Retry-After": "10"}
            raise DeliveryRefused(
                503, "not_stored", message, submission=submission, headers=headers
            ) from None
        return JSONResponse(
            {"source": source, "submission_id": submission, "status": "accepted"}, status_code=202
        )

    async def _from_page(
        self, request: Request, source: str, submission: str, files: Sequence[RuleFile]
    ) -> tuple[RuleFile, ...]:
        """Return the files that accept evidence of this page, whose link is verified. Raise DeliveryRefused."""
        origin = request.headers.get("origin")
        accepted = files_for_pages(files, source, origin)
        # Browsers send their page's origin, and page code can't change it. Without a declared source the
        # answer is 404, below.
        if files and not accepted:
            message = f"No rule file names the origin of this page under `cors` of source {source!r}."
            raise DeliveryRefused(403, "origin_not_allowed", message)
        if accepted:
            try:
                await within(MAX_COMMIT_TIME, self.links.check(request.headers[HEADER], submission))
            except (SQLAlchemyError, TimeoutError):
                message = "The signed study link could not be checked; send it again."
                headers = {"Retry-After": "10"}
                raise DeliveryRefused(503, "not_stored", message, headers=headers) from None
            except DeliveryRefused as refused:
                # Each wrong link costs a query and a check of its signature, and anybody can send links.
                if refused.status == 401 and self.access.is_flooding(request, "study_link"):
                    message = "Too many wrong links came from this address within a minute."
                    headers = {"Retry-After": "60"}
                    raise DeliveryRefused(429, "too_many_wrong_tokens", message, headers=headers) from None
                raise
        return accepted

    async def _store(
        self,
        book: RuleBook,
        source: str,
        submission: str,
        declaring: Sequence[RuleFile],
        payload: dict[str, Any],
        origin: EvidenceOrigin,
    ) -> None:
        async with self.database.begin() as connection:
            files = _candidates(book, declaring, *await study_and_parent(connection, submission))
            if not files:
                message = f"The rule file of this submission's study declares no source {source!r}."
                raise DeliveryRefused(404, "no_such_source", message, submission=submission)
            refused = [
                problems for file in files if (problems := file.evidence[source].validate(payload).problems)
            ]
            # Of an unknown study several files may be meant: it is enough that one of them can use the
            # payload.
            if len(refused) == len(files):
                raise _unfit(submission, refused[0])
            await add_evidence(connection, [NewEvidence(source, submission, payload, origin)])
            await enqueue_reviews(connection, [submission], Trigger.EVIDENCE)


def _candidates(
    book: RuleBook, declaring: Sequence[RuleFile], study: str | None, parent: str | None
) -> Sequence[RuleFile]:
    """Return the file of the submission's study; while that is not known, each that declares the source."""
    if study is None:
        return declaring
    file = book.file_for(study, parent)
    return [file] if file and file in declaring else []


def _unfit(submission: str, problems: tuple[tuple[str, str], ...]) -> DeliveryRefused:
    fields = {quotable(field): quotable(field) + text.removeprefix(field) for field, text in problems}
    return DeliveryRefused(422, "evidence", "; ".join(fields.values()), submission=submission, fields=fields)


def _json_object(body: bytes) -> dict[str, Any]:
    """Return the object in the body. Raise DeliveryRefused."""
    try:
        parsed = read_json(body)
    except DuplicateKey as error:
        raise DeliveryRefused(422, "duplicate_key", str(error), fields={error.key: str(error)}) from None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise DeliveryRefused(422, "not_an_object", "The body must be one JSON object.")
    return parsed
