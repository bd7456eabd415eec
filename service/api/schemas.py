"""The shapes of what the API answers, as JSON Schema."""

from typing import Any

from service.domain.decision import DecisionStatus, Guard, Mode, Outcome, Trigger

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
NUMBER: Schema = {"type": "integer"}
ANYTHING: Schema = {"type": "object"}
YES_NO: Schema = {"type": "boolean"}


def object_of(properties: dict[str, Schema], *, required: tuple[str, ...] | None = None) -> Schema:
    """Return the schema of an object. All properties are required unless some are named."""
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def list_schema(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def counts() -> Schema:
    """Return the schema of numbers by name."""
    return {"type": "object", "additionalProperties": NUMBER}


def list_of(name: str) -> Schema:
    """Return the schema of one page of a list."""
    return object_of({"results": list_schema(named(name)), "next": MAYBE_TEXT})


def named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


ATTEMPT = object_of(
    {"at": TIME, "request": ANYTHING, "status_code": {"type": ["integer", "null"]}, "answer": {}}
)

EVENT = object_of(
    {
        "event_id": TEXT,
        "received_at": TIME,
        "event_type": MAYBE_TEXT,
        "status": MAYBE_TEXT,
        "handled": {"type": "boolean"},
    }
)
DECISION_FIELDS: dict[str, Schema] = {
    "id": NUMBER,
    "submission_id": TEXT,
    "study_id": MAYBE_TEXT,
    "participant_id": MAYBE_TEXT,
    "decided_at": TIME,
    "trigger": {"enum": list(Trigger)},
    "outcome": {"enum": list(Outcome)},
    "proposed": {"enum": list(Outcome)},
    "guard": {"enum": [*Guard, None]},
    "rule": MAYBE_TEXT,
    "rule_file": MAYBE_TEXT,
    "rules_hash": MAYBE_TEXT,
    "mode": {"enum": list(Mode)},
    "action": {"type": ["object", "null"]},
    "tag": MAYBE_TEXT,
    "by": MAYBE_TEXT,
    "note": MAYBE_TEXT,
    "reason": TEXT,
    "trace": list_schema(ANYTHING),
    "facts": ANYTHING,
    "status": {"enum": list(DecisionStatus)},
    "attempts": list_schema(ATTEMPT),
    "recheck_at": MAYBE_TIME,
}
DECISION = object_of(DECISION_FIELDS)
COUNTERFACTUAL: Schema = {
    "type": ["object", "null"],
    "description": "The smallest change of one fact that leads to another outcome; null if no single fact decides.",
    "properties": {
        "fact": TEXT,
        "value": {"type": ["boolean", "number", "string"]},
        "outcome": {"enum": list(Outcome)},
    },
    "required": ["fact", "value", "outcome"],
}
EXPLAINED = object_of(DECISION_FIELDS | {"counterfactual": COUNTERFACTUAL})

HEARD = object_of(
    {
        "submission": {"type": ["object", "null"]},
        "events": list_schema(EVENT),
        "evidence": list_schema(ANYTHING),
        "decisions": list_schema(named("Decision")),
    }
)

MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
STUDY_REPORT = object_of(
    {
        "study": {"type": ["object", "null"]},
        "submissions": counts(),
        "outcomes": {
            "type": "array",
            "items": object_of(
                {
                    "rule": MAYBE_TEXT,
                    "outcome": {"enum": list(Outcome)},
                    "guard": MAYBE_TEXT,
                    "number": NUMBER,
                }
            ),
        },
        "webhook_to_decision": object_of({"number": NUMBER, "median": MAYBE_NUMBER, "p95": MAYBE_NUMBER}),
    }
)

ROW = object_of(
    {
        "submission_id": MAYBE_TEXT,
        "status": NUMBER,
        "error": TEXT,
        "warnings": list_schema(TEXT),
    },
    required=("submission_id", "status"),
)

HOLD = object_of(
    {
        "submission_id": TEXT,
        "study_id": MAYBE_TEXT,
        "participant_id": MAYBE_TEXT,
        "decision_id": NUMBER,
        "since": TIME,
        "age_s": NUMBER,
        "deadline": TIME,
        "guard": {"enum": [*Guard, None]},
        "rule": MAYBE_TEXT,
        "rule_file": MAYBE_TEXT,
        "proposed": {"enum": list(Outcome)},
        "reason": TEXT,
        "by": MAYBE_TEXT,
    }
)

RECEIPT = object_of(
    {
        "source": TEXT,
        "submission_id": TEXT,
        "status": {"enum": ["accepted", "duplicate"]},
        "warnings": list_schema(TEXT),
    },
    required=("source", "submission_id", "status"),
)

ERROR = {
    "description": "Problem details of RFC 9457, with the code of the error.",
    **object_of(
        {
            "error": TEXT,
            "message": TEXT,
            "type": {"const": "about:blank"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "fields": {"type": "object", "additionalProperties": TEXT},
        },
        required=("error", "message", "type", "title", "status", "detail"),
    ),
}

SCHEMAS: dict[str, Schema] = {
    "Error": ERROR,
    "Decision": DECISION,
    "ExplainedDecision": EXPLAINED,
    "Heard": HEARD,
    "StudyReport": STUDY_REPORT,
    "Hold": HOLD,
    "EvidenceReceipt": RECEIPT,
    "Rows": object_of({"results": list_schema(ROW)}),
}
