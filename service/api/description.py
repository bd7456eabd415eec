"""``GET /api/openapi.json``: the routes and their answers, for people and for generators of clients."""

from typing import Any

from service import __version__
from service.api.inputs import EVIDENCE, KEY, ORDER, RESOLVE, parameter_schema
from service.api.schemas import ANYTHING, SCHEMAS, TEXT, Schema, list_of, named, object_of
from service.api.state_schemas import PAUSED, RESUMED, STATUS
from service.store.audit import FILTERS
from service.web.http import PROBLEM_TYPE

JSON = "application/json"
SECURITY = {
    "admin": {
        "type": "http",
        "scheme": "bearer",
        "description": "AUTOREVIEW_ADMIN_TOKEN. GET routes also take AUTOREVIEW_VIEWER_TOKEN.",
    },
    "evidence": {"type": "http", "scheme": "bearer", "description": "AUTOREVIEW_EVIDENCE_TOKEN"},
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "AUTOREVIEW_EVIDENCE_TOKEN as the password, with any name",
    },
    "page": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Prolific-Study-Link",
        "description": "The signed study link of the page of a participant",
    },
    "prolific": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Prolific-Request-Signature",
        "description": "Prolific's signature of X-Prolific-Request-Timestamp and the body",
    },
}


def description() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Autoreview",
            "version": __version__,
            "description": "The unattended reviewer of a study's submissions on Prolific. Beside the answers of "
            "each route, any route may give 400, 405, 408, 431, 500 and 503, in the form of Error.",
        },
        "paths": _outside() | _probes() | _records() | _people(),
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


def _outside() -> dict[str, Any]:
    """Describe the routes for Prolific and for sources of evidence."""
    receipt = object_of({"event_id": TEXT, "status": {"enum": ["accepted", "duplicate"]}})
    stored = {"200": _answer("Seen before.", receipt), "202": _answer("Stored.", receipt)}
    taken = {"202": _answer("Taken; the submission is reviewed again.", named("EvidenceReceipt"))}
    row, rows = named("EvidenceReceipt"), named("Rows")
    posted = {
        "200": _answer("The newest payload of the source is the same.", {"anyOf": [row, rows]}),
        "202": _answer("Stored; the submissions are reviewed again.", {"anyOf": [row, rows]}),
        "207": _answer("The rows differ: each has its own status.", rows),
    }
    refused = _refusals(401, 403, 404, 413, 415, 422, 429, 503)
    for status in ("404", "422"):  # also what every row of a batch was refused with
        refused[status] = {**refused[status], "content": refused[status]["content"] | _content(rows)}
    origin = {"name": "Origin", "in": "header", "required": True, "schema": TEXT}
    return {
        "/webhooks/prolific": {
            "post": _route(
                "Prolific's signed webhooks",
                stored | _refusals(401, 413, 503),
                body=_content(ANYTHING),
                security="prolific",
            )
        },
        "/evidence/{source}": {
            "post": _route(
                "Evidence in the shape of a survey platform: an object, an array, lines of JSON or a form. "
                "The rule file may declare a signature in place of the token",
                posted | refused,
                [_in_path("source", TEXT)],
                body={kind: {"schema": schema} for kind, schema in EVIDENCE.items()},
                security=("evidence", "password"),
            )
        },
        "/evidence/{source}/{submission_id}": {
            "options": _route(
                "What a browser asks before a page sends evidence",
                {"204": {"description": "The page's origin may send it."}} | _refusals(403),
                [_in_path("source", TEXT), _in_path("submission_id", TEXT), origin],
            ),
            "put": _route(
                "The evidence of a source about a submission, as of now",
                taken | _refusals(401, 403, 404, 413, 422, 429, 503),
                [_in_path("source", TEXT), _in_path("submission_id", TEXT)],
                body=_content(ANYTHING),
                security=("evidence", "page"),
            ),
        },
    }


def _probes() -> dict[str, Any]:
    """Describe the routes for probes and Prometheus."""
    text = {"text/plain": {"schema": TEXT}}
    alive = {"200": {"description": "The event loop runs.", "content": text}}
    checked = text | _content(object_of({"ready": {"type": "boolean"}, "checks": ANYTHING}))
    ready = {
        "200": {"description": "Ready.", "content": checked},
        "503": {"description": "Not ready; the body says why.", "content": checked},
    }
    verbose = {
        **_in_query("verbose"),
        "schema": TEXT,
        "description": "JSON with each check, whatever the value.",
    }
    return {
        "/livez": {"get": _route("Whether the process answers at all", alive)},
        "/healthz": {"get": _route("The same as /livez", alive)},
        "/readyz": {"get": _route("Whether it can do its work", ready, [verbose])},
        "/metrics": {
            "get": _route("For Prometheus", {"200": {"description": "The text format.", "content": text}})
        },
    }


def _records() -> dict[str, Any]:
    """Describe the routes that read records."""
    return {
        "/api/decisions": {
            "get": _read(
                "Decisions, newest first",
                list_of("Decision"),
                [_in_query(name) for name in (*FILTERS, "limit", "before")],
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
        "/api/status": {"get": _read("What the service is doing", STATUS, [])},
        "/api/openapi.json": {"get": _read("This description", ANYTHING, [])},
    }


def _people() -> dict[str, Any]:
    """Describe the routes of manual decisions, pause and resume."""
    refused = _refusals(401, 403, 413, 422, 429, 503)
    resolved = {"200": _answer("Recorded; a worker sends it.", named("Decision"))}
    paused, resumed = {"200": _answer("Paused.", PAUSED)}, {"200": _answer("Resumed.", RESUMED)}
    order = _content(ORDER)
    return {
        "/api/holds": {
            "get": _read(
                "What waits for a person, newest first",
                list_of("Hold"),
                [_in_query(name) for name in ("study", "rule", "guard", "limit", "after")],
            )
        },
        "/api/submissions/{id}/resolve": {
            "post": _route(
                "A person's decision on a submission",
                resolved | refused | _refusals(404, 409),
                [_in_path("id")],
                body=_content(RESOLVE),
                security="admin",
            )
        },
        "/api/pause": {
            "post": _route("Send nothing automatically", paused | refused, body=order, security="admin")
        },
        "/api/resume": {
            "post": _route(
                "End a pause, close breakers, review again", resumed | refused, body=order, security="admin"
            )
        },
    }


def _route(
    summary: str,
    responses: dict[str, Any],
    parameters: list[Any] | None = None,
    *,
    body: dict[str, Any] | None = None,
    security: str | tuple[str, ...] = (),
) -> dict[str, Any]:
    route: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters:
        route["parameters"] = parameters
    if body is not None:
        route["requestBody"] = {"required": True, "content": body}
    if security:
        route["security"] = [{name: []} for name in ([security] if isinstance(security, str) else security)]
    return route


def _read(summary: str, schema: Schema, parameters: list[Any], *refusals: int) -> dict[str, Any]:
    answers = {"200": _answer("Found.", schema)} | _refusals(401, 403, *refusals, 422, 429, 503)
    return _route(summary, answers, parameters, security="admin")


def _content(schema: Schema, media_type: str = JSON) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _answer(text: str, schema: Schema, media_type: str = JSON) -> dict[str, Any]:
    return {"description": text, "content": _content(schema, media_type)}


def _refusals(*statuses: int) -> dict[str, Any]:
    refused = _answer("Refused; the message says why.", named("Error"), PROBLEM_TYPE)
    wait = {"Retry-After": {"required": True, "schema": {"type": "integer"}, "description": "Seconds."}}
    return {str(status): refused | ({"headers": wait} if status == 429 else {}) for status in statuses}


def _in_path(name: str, schema: Schema = KEY) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": parameter_schema(name)}
