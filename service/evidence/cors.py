"""Evidence from the participant's browser: the allowed pages, and the browser's preflight request."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from service.evidence.study_link import HEADER
from service.rules import RuleBook, RuleFile
from service.web.http import problem

MAX_AGE = "600"  # seconds that a browser remembers what it may send


def files_for_pages(files: Sequence[RuleFile], source: str, origin: str | None) -> tuple[RuleFile, ...]:
    """Return the files that accept the source's evidence from pages, of this origin where the browser names it."""
    return tuple(
        file
        for file in files
        if (allowed := file.evidence[source].cors) and (origin is None or origin in allowed)
    )


def with_cors(answer: Response, files: Sequence[RuleFile], source: str, origin: str | None) -> Response:
    """Let the page read the answer, if its origin is declared."""
    if any(file.evidence[source].cors for file in files):
        # Without it a cache may give one page the answer for another.
        answer.headers.add_vary_header("Origin")
        if origin is not None and files_for_pages(files, source, origin):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = "Retry-After"
    return answer


class Preflight:
    """``OPTIONS /evidence/{source}/{submission_id}``: the preflight request of a browser."""

    def __init__(self, rules: Callable[[], RuleBook]) -> None:
        self._rules = rules

    async def __call__(self, request: Request) -> Response:
        source, origin = request.path_params["source"], request.headers.get("origin")
        files = self._rules().files_receiving(source)
        if origin is None or not files_for_pages(files, source, origin):
            message = f"No rule file names the origin of this page under `cors` of source {source!r}."
            return with_cors(problem(403, "origin_not_allowed", message), files, source, origin)
        headers = {
            "Access-Control-Allow-Methods": "PUT",
            "Access-Control-Allow-Headers": f"Content-Type, {HEADER}",
            "Access-Control-Max-Age": MAX_AGE,
        }
        return with_cors(Response(status_code=204, headers=headers), files, source, origin)
