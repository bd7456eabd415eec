"""``GET /api/openapi.json``: the routes and their answers, for people and for generators of clients."""

from typing import Any

from service import __version__
from service.api.schemas import ANYTHING, MAYBE_TEXT, SCHEMAS, TEXT, Schema, list_of, named, object_of
from service.store.audit import FILTERS
from service.web.http import PROBLEM_TYPE


def description() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Autoreview",
            "version": __version__,
            "description": "The unattended reviewer of a study's submissions on Prolific.",
        },
        "paths": _outside() | _records() | _people(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "admin": {"type": "http", "scheme": "bearer", "description": "AUTOREVIEW_ADMIN_TOKEN"},
                "evidence": {"type": "http", "scheme": "bearer", "description": "AUTOREVIEW_EVIDENCE_TOKEN"},
            },
        },
    }


def _outside() -> dict[str, Any]:
    """Describe the routes for Prolific, surveys, probes and Prometheus."""
    receipt = object_of({"event_id": TEXT, "status": {"enum": ["accepted", "duplicate"]}})
    stored = {"200": _answer("Seen before.", receipt), "202": _answer("Stored.", receipt)}
    taken = {"202": _answer("Taken; the submission is reviewed again.", ANYTHING)}
    posted = {
        "200": _answer("The newest payload of the source says the same.", ANYTHING),
        "202": _answer("Stored; the submissions are reviewed again.", ANYTHING),
        "207": _answer("The rows differ: each has its own status.", named("Rows")),
    }
    plain = {"200": {"description": "Well."}, "503": {"description": "Not well; the body says why."}}
    return {
        "/webhooks/prolific": {
            "post": _route("Prolific's signed webhooks", stored | _refusals(401, 413, 503), body=ANYTHING)
        },
        "/evidence/{source}": {
            "post": _route(
                "Evidence in the shape of a survey platform: an object, an array, lines of JSON or a form",
                posted | _refusals(401, 403, 404, 413, 415, 422, 429, 503),
                [_in_path("source")],
                body=ANYTHING,
                security="evidence",
            )
        },
        "/evidence/{source}/{submission_id}": {
            "options": _route(
                "What a browser asks before a page sends evidence",
                {"204": {"description": "The page's origin may send it."}} | _refusals(403),
                [_in_path("source"), _in_path("submission_id")],
            ),
            "put": _route(
                "What a source of evidence says of a submission now",
                taken | _refusals(401, 403, 404, 413, 422, 429, 503),
                [_in_path("source"), _in_path("submission_id")],
                body=ANYTHING,
                security="evidence",
            ),
        },
        "/livez": {"get": _route("Whether the process answers at all", plain)},
        "/healthz": {"get": _route("The same as /livez", plain)},
        "/readyz": {"get": _route("Whether it can do its work", plain, [_in_query("verbose")])},
        "/metrics": {"get": _route("For Prometheus", {"200": {"description": "The text format."}})},
    }


def _records() -> dict[str, Any]:
    """Describe the routes that read records."""
    return {
        "/api/decisions": {
            "get": _read(
                "Decisions, newest first",
                list_of("Decision"),
                [_in_query(name) for name in (*FILTERS, "limit", "before")],
                422,
            )
        },
        "/api/decisions/{id}": {
            "get": _read(
                "One decision with facts, trace, attempts and what would have changed it",
                named("ExplainedDecision"),
                [_in_path("id")],
                404,
            )
        },
        "/api/submissions/{id}": {
            "get": _read("What was ever heard of a submission", named("Heard"), [_in_path("id")], 404)
        },
        "/api/studies/{id}": {
            "get": _read("The figures of a study", named("StudyReport"), [_in_path("id")], 404)
        },
        "/api/status": {"get": _read("What the service is doing", ANYTHING, [])},
        "/api/openapi.json": {"get": _read("This description", ANYTHING, [])},
    }


def _people() -> dict[str, Any]:
    """Describe the routes of manual decisions, pause and resume."""
    order = object_of({"study": MAYBE_TEXT, "by": TEXT, "reason": TEXT}, required=("by", "reason"))
    done = {"200": _answer("Done.", ANYTHING)} | _refusals(401, 403, 422, 429, 503)
    resolved = {"200": _answer("Recorded; a worker sends it.", named("Decision"))}
    return {
        "/api/holds": {
            "get": _read(
                "What waits for a person, newest first",
                list_of("Hold"),
                [_in_query(name) for name in ("study", "rule", "guard", "limit", "after")],
                422,
            )
        },
        "/api/submissions/{id}/resolve": {
            "post": _route(
                "A person's decision on a submission",
                resolved | _refusals(401, 403, 404, 409, 422, 429, 503),
                [_in_path("id")],
                body=object_of(
                    {"action": named("Action"), "by": TEXT, "note": MAYBE_TEXT}, required=("action", "by")
                ),
                security="admin",
            )
        },
        "/api/pause": {"post": _route("Send nothing automatically", done, body=order, security="admin")},
        "/api/resume": {
            "post": _route("End a pause, close breakers, review again", done, body=order, security="admin")
        },
    }


def _route(
    summary: str,
    responses: dict[str, Any],
    parameters: list[Any] | None = None,
    *,
    body: Schema | None = None,
    security: str | None = None,
) -> dict[str, Any]:
    route: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters:
        route["parameters"] = parameters
    if body is not None:
        route["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if security:
        route["security"] = [{security: []}]
    return route


def _read(summary: str, schema: Schema, parameters: list[Any], *refusals: int) -> dict[str, Any]:
    answers = {"200": _answer("Found.", schema)} | _refusals(401, 403, *refusals, 429, 503)
    return _route(summary, answers, parameters, security="admin")


def _answer(text: str, schema: Schema, *, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _refusals(*statuses: int) -> dict[str, Any]:
    refused = _answer("Refused; the message says why.", named("Error"), media_type=PROBLEM_TYPE)
    return {str(status): refused for status in statuses}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def _in_query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": TEXT}
