"""The sandbox's two studies, and the defaults of other studies."""

import math
from typing import Any

Body = dict[str, Any]

STROOP = "60aca280709ee40ec37d4885"
TWO_PARTS = "61b0f1c9a5d3e24c7f8a1b02"
PROJECT = "5f0c3a1be7d94c0d87654321"

REVIEW = [{"action": "MANUALLY_REVIEW"}]
SCREEN_OUT = [{"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 40, "slots": 100}]


def code(value: str, code_type: str, actor: str = "participant", actions: list[Body] = REVIEW) -> Body:
    return {"code": value, "code_type": code_type, "actor": actor, "actions": actions}


SHIPPED: tuple[Body, ...] = (
    {
        "id": STROOP,
        "name": "Stroop, wave 2",
        "estimated_completion_time": 12,
        "reward": 180,
        "total_available_places": 300,
        "completion_codes": [code("C0L0UR12", "COMPLETED"), code("N0THANKS", "NO_CONSENT")],
    },
    {
        "id": TWO_PARTS,
        "name": "Two-part task",
        "estimated_completion_time": 25,
        "reward": 375,
        "total_available_places": 300,
        "completion_codes": [
            code("B0THPART", "COMPLETED"),
            code("0NEPART1", "HALF_DONE"),
            code("PAYPART7", "PARTIAL_PAYMENT", "researcher", [{"action": "DYNAMIC_PAYMENT"}]),
            code("SCR33N04", "SCREENED_OUT_PAYMENT", "researcher", SCREEN_OUT),
        ],
    },
)


def study_body(given: Body) -> Body:
    """Add the fields that Prolific's schema requires to a study's JSON and its codes."""
    estimate = float(given.get("estimated_completion_time", 10))
    body: Body = {
        "name": "A study",
        "internal_name": None,
        "description": "A study of the simulated Prolific.",
        "external_study_url": "https://survey.invalid/?pid={{%PROLIFIC_PID%}}&session={{%SESSION_ID%}}",
        "prolific_id_option": "url_parameters",
        "status": "ACTIVE",
        "estimated_completion_time": estimate,
        "maximum_allowed_time": math.ceil(2 + 2 * estimate + 2 * math.sqrt(estimate)),
        "reward": 150,
        "total_available_places": 100,
        "completion_codes": [code("C0MPL3TE", "COMPLETED")],
        "device_compatibility": [],
        "peripheral_requirements": [],
        "project": PROJECT,
        "study_type": "SINGLE",
        "published_at": given.get("date_created"),
        "submissions_config": {
            "max_submissions_per_participant": 1,
            "max_concurrent_submissions": -1,
            "auto_rejection_categories": [],
        },
        "metadata": None,
        **given,
    }
    defaults = {"code": None, "code_type": "OTHER", "actor": "participant", "actions": REVIEW}
    body["completion_codes"] = [defaults | known for known in body["completion_codes"]]
    return body
