"""The shapes of what ``/api/status``, pause and resume answer, as JSON Schema."""

from typing import Any

from service.api.schemas import (
    ANYTHING,
    MAYBE_TEXT,
    MAYBE_TIME,
    NUMBER,
    TEXT,
    TIME,
    YES_NO,
    Schema,
    counts,
    list_schema,
    object_of,
)
from service.domain.decision import Guard, Mode

PAUSE_FIELDS: dict[str, Any] = {"study": MAYBE_TEXT, "kind": {"const": "pause"}, "since": TIME}
PAUSE = object_of(PAUSE_FIELDS | {"by": TEXT, "reason": TEXT})
BREAKER = object_of(
    {
        "study": MAYBE_TEXT,
        "limit": {"enum": list(Guard)},
        "since": TIME,
        "reason": TEXT,
        "decision_id": NUMBER,
    }
)
IN_FORCE: Schema = {"anyOf": [PAUSE, BREAKER]}
PAUSED = object_of({"paused": {"const": True}, "study": MAYBE_TEXT, "study_known": YES_NO})
RESUMED = object_of(
    {
        "paused": {"const": False},
        "study": MAYBE_TEXT,
        "closed": list_schema(IN_FORCE),
        "reviewed_again": NUMBER,
        "still_on": list_schema(IN_FORCE),
    }
)
RULE_FILE = object_of(
    {
        "file": TEXT,
        "name": MAYBE_TEXT,
        "hash": TEXT,
        "studies": {"anyOf": [list_schema(TEXT), {"const": "all"}]},
        "mode": {"enum": [*Mode, None]},
        "rules": NUMBER,
    }
)
STATUS = object_of(
    {
        "version": TEXT,
        "mode": {"enum": list(Mode)},
        "workers": list_schema(object_of({"since": TIME})),
        "paused": YES_NO,
        "pauses": list_schema(PAUSE),
        "rules": object_of(
            {
                "files": list_schema(RULE_FILE),
                "loaded_at": TIME,
                "errors": list_schema(TEXT),
                "warnings": list_schema(TEXT),
            }
        ),
        "inbox": object_of(
            {"events": NUMBER, "last_at": MAYBE_TIME, "unreadable": NUMBER, "unclaimed": NUMBER}
        ),
        "jobs": object_of({"queued": NUMBER, "oldest": MAYBE_TIME}),
        "waiting": object_of(
            {
                "by_state": counts(),
                "groups": list_schema(ANYTHING),
                "next_deadline": MAYBE_TIME,
                "is_complete": YES_NO,
            }
        ),
        "decisions": object_of({"outcome": counts(), "status": counts()}),
        "observed_rules": list_schema(
            object_of({"rule_file": MAYBE_TEXT, "rule": TEXT, "would": TEXT, "submissions": NUMBER})
        ),
        "breakers": list_schema(BREAKER),
        "evidence": object_of({"refused": list_schema(ANYTHING), "failed": list_schema(ANYTHING)}),
        "sweep": {"type": ["object", "null"]},
        "subscription": {},
    }
)
