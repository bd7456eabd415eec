"""The shapes of what the API takes, as JSON Schema: query parameters and bodies."""

from typing import Any

from service.api.queries import MAX_LIMIT
from service.api.schemas import TEXT, Schema, list_schema, object_of
from service.domain.decision import MESSAGE_LENGTH, REJECTION_CATEGORIES, Outcome
from service.manual.actions import MOST_REASONS
from service.manual.texts import MAX_LENGTH, MAX_NAME_LENGTH
from service.rules.format.actions import PERCENTAGES
from service.store.audit import CHOICES

# PostgreSQL can't compare a text with a NUL.
KEY: Schema = {"type": "string", "pattern": "^[^\\u0000]*$"}
CONTROLS = "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f"
WRITTEN: Schema = {
    "type": "string",
    "description": "Not blank, and without control characters.",
    "pattern": f"^[^{CONTROLS}]*[^\\s{CONTROLS}][^{CONTROLS}]*$",
    "maxLength": MAX_LENGTH,
}
NAME: Schema = {
    "type": "string",
    "description": "The person's name, on one line.",
    "pattern": f"^[^\\t\\n\\u2028\\u2029{CONTROLS}]*[^\\s{CONTROLS}][^\\t\\n\\u2028\\u2029{CONTROLS}]*$",
    "maxLength": MAX_NAME_LENGTH,
}
EMPTY: Schema = {"type": "string", "maxLength": 0, "description": "As if the parameter were absent."}
TIME_PARAMETER: Schema = {
    "description": "ISO 8601, UTC without an offset.",
    "anyOf": [{"type": "string", "format": "date-time"}, EMPTY],
}
LIMIT: Schema = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, EMPTY]}
PAGES: dict[str, Schema] = {
    "limit": LIMIT,
    "before": {
        "description": "The id of the last decision of the page before, as in `next`.",
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, EMPTY],
    },
    "after": {
        "description": "The end of the page before, as in `next`: time and submission.",
        "type": "string",
        "pattern": "^(20\\d\\d-0[1-9]-[012][1-8]T[01]\\d:[0-5]\\d:[0-5]\\d\\+00:00/[A-Za-z0-9_-]*)?$",
    },
}


def parameter_schema(name: str) -> Schema:
    """Return the schema of a query parameter of a list."""
    if name in CHOICES:
        return {"enum": [*CHOICES[name], ""]}
    if name in ("since", "until"):
        return TIME_PARAMETER
    return PAGES.get(name, KEY)


def nullable(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _closed(properties: dict[str, Any], *, required: tuple[str, ...] | None = None) -> Schema:
    return object_of(properties, required=required) | {"additionalProperties": False}


ACTIONS: dict[Outcome, Schema] = {
    Outcome.APPROVE: {"type": ["object", "null"], "maxProperties": 0},
    Outcome.REJECT: _closed(
        {"category": {"enum": list(REJECTION_CATEGORIES)}, "message": WRITTEN | {"minLength": MESSAGE_LENGTH}}
    ),
    Outcome.REQUEST_RETURN: _closed(
        {"reasons": list_schema(WRITTEN) | {"minItems": 1, "maxItems": MOST_REASONS}}
    ),
    Outcome.COMPLETE: _closed(
        {
            "code_type": nullable(WRITTEN),
            "code": nullable(WRITTEN),
            "percentage_of_reward": {
                "type": ["number", "null"],
                "minimum": PERCENTAGES[0],
                "maximum": PERCENTAGES[1],
            },
            "message_to_participant": nullable(WRITTEN),
        },
        required=(),
    )
    | {
        "oneOf": [
            {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
            for one, other in (("code_type", "code"), ("code", "code_type"))
        ]
    },
    Outcome.HOLD: WRITTEN,
}
ACTION: Schema = {
    "type": "object",
    "description": "One of these, as in a rule.",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {outcome.value: schema for outcome, schema in ACTIONS.items()},
    "additionalProperties": False,
}
RESOLVE = _closed(
    {"action": ACTION, "by": NAME, "note": {"anyOf": [{"type": "null"}, EMPTY, WRITTEN]}},
    required=("action", "by"),
)
ORDER = _closed({"study": nullable(WRITTEN), "by": NAME, "reason": WRITTEN}, required=("by", "reason"))
EVIDENCE: dict[str, Schema] = {
    "application/json": {"anyOf": [{"type": "object"}, list_schema({"type": "object"})]},
    "application/x-ndjson": TEXT,
    "application/x-www-form-urlencoded": {"type": "object"},
    "multipart/form-data": {"type": "object"},
}
