"""``PUT /evidence/{source}/{submission_id}``: what the researcher's survey knows of a submission."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.domain.decision import Trigger
from service.domain.submission import IDENTIFIER
from service.postgres.database import Database, within
from service.rules import RuleBook, RuleFile
from service.store.evidence import add_evidence
from service.store.queue import enqueue_reviews
from service.store.submissions import study_and_parent
from service.telemetry.metrics import Metrics
from service.web.bearer import Bearer
from service.web.http import MAX_BODY, DuplicateKey, body_within, problem, quotable, read_json

LONGEST_COMMIT = 10.0  # seconds; what is committed later all the same is replaced by the next try


class EvidenceEndpoint:
    """Stores what a source says, with the review it calls for, in one commit."""

    def __init__(
        self,
        bearer: Bearer,
        rules: Callable[[], RuleBook],
        database: Database,
        metrics: Metrics,
    ) -> None:
        self._bearer = bearer
        self._rules = rules
        self._database = database
        self._metrics = metrics

    async def __call__(self, request: Request) -> Response:
        answer = await self._answer(request)
        self._metrics.evidence.labels(answer.status_code).inc()
        return answer

    async def _answer(self, request: Request) -> Response:
        if refusal := self._bearer.refusal(request):
            return refusal
        body = await body_within(request)
        if body is None:
            return problem(413, "too_large", f"The body is over {MAX_BODY} bytes.")
        source, submission = request.path_params["source"], request.path_params["submission_id"]
        return await self._take(source, submission, body)

    async def _take(self, source: str, submission: str, body: bytes) -> Response:
        if not self._rules().files_declaring(source):
            return problem(404, "no_such_source", f"No rule file declares the evidence source {source!r}.")
        if not IDENTIFIER.fullmatch(submission):
            return problem(422, "submission_id", f"{submission!r} is no submission id.")
        try:
            payload = _json_object(body)
        except DuplicateKey as error:
            return problem(422, "duplicate_key", str(error), fields={error.key: str(error)})
        if payload is None:
            return problem(422, "not_an_object", "The body must be one JSON object.")
        try:
            return await within(LONGEST_COMMIT, self._store(source, submission, payload))
        except (SQLAlchemyError, TimeoutError):
            return problem(
                503,
                "not_stored",
                "The evidence could not be stored; send it again.",
                headers={"Retry-After": "10"},
            )

    async def _store(self, source: str, submission: str, payload: dict[str, Any]) -> Response:
        async with self._database.begin() as connection:
            files = self._candidates(source, *await study_and_parent(connection, submission))
            if not files:
                return problem(
                    404,
                    "no_such_source",
                    f"The rule file of this submission's study declares no source {source!r}.",
                )
            refused = [
                problems for file in files if (problems := file.evidence[source].validate(payload).problems)
            ]
            if len(refused) == len(files):
                return _unfit(refused[0])
            await add_evidence(connection, source, submission, payload)
            await enqueue_reviews(connection, [submission], Trigger.EVIDENCE)
        return JSONResponse(
            {"source": source, "submission_id": submission, "status": "accepted"}, status_code=202
        )

    def _candidates(self, source: str, study: str | None, parent: str | None) -> tuple[RuleFile, ...]:
        """The file of the submission's study; while that is not known, each that declares the source."""
        declaring = self._rules().files_declaring(source)
        if study is None:
            return declaring
        file = self._rules().file_for(study, parent)
        return (file,) if file in declaring and file else ()


def _unfit(problems: tuple[tuple[str, str], ...]) -> Response:
    fields = {quotable(field): quotable(field) + text.removeprefix(field) for field, text in problems}
    return problem(422, "evidence", "; ".join(fields.values()), fields=fields)


def _json_object(body: bytes) -> dict[str, Any] | None:
    """The object in the body, None if there is none. Raises DuplicateKey."""
    try:
        parsed = read_json(body)
    except DuplicateKey:
        raise
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
