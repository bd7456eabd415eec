"""The JSON Schema of rule files, so that an editor completes and underlines."""

from typing import Any

from service.domain.decision import MESSAGE_LENGTH, REJECTION_CATEGORIES, Mode, Outcome
from service.rules.action_reading import PERCENTAGES
from service.rules.case_reading import CODES, GUARDS, WOULD
from service.rules.catalogue import CATALOGUE
from service.rules.evidence import CEL_WORDS, EVIDENCE_TYPES, NAME, RECEIVED
from service.rules.evidence_reading import LATER_ORIGINS, PUSH
from service.rules.facts import FACTS, FieldType
from service.rules.lint.policy import ADVICE, Policy
from service.rules.rule import Quantifier

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DURATION = "^(?=.*[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
TEXT_IN_WORDS = r"\S"
JSON_TYPES = {
    FieldType.INT: {"type": ["integer", "null"]},
    FieldType.DOUBLE: {"type": ["number", "null"]},
    FieldType.BOOL: {"type": ["boolean", "null"]},
    FieldType.STRING: {"type": ["string", "number", "null"]},
    FieldType.TIMESTAMP: {"type": ["string", "null"], "examples": ["2026-01-01T10:00:00Z"]},
}


def schema() -> Schema:
    """A document of JSON Schema 2020-12."""
    properties = {
        "version": {"const": 1, "description": "The version of the format."},
        "name": _text("What the file is about; shown with its decisions.", "Stroop, wave 2"),
        "studies": _studies(),
        "mode": _choice(
            list(Mode), "How much of what is decided is applied: this or the service's, whichever is less."
        ),
        "evidence": _evidence(),
        "limits": _limits(),
        "hold_at_most": _duration("How long a submission may be held; absent: until day 21.", "72h", "7d"),
        "rules": {
            "type": "array",
            "items": {"$ref": "#/$defs/rule"},
            "description": "Asked in order; the first that is true decides.",
        },
        "otherwise": _choice(["approve", "hold"], "What is decided when no rule matches; absent: hold."),
        "tests": {
            "type": "array",
            "items": {"$ref": "#/$defs/test"},
            "description": "Run by `autoreview test`.",
        },
    }
    return {
        "$schema": DIALECT,
        "title": "Rules of autoreview",
        **_closed(properties, "version", "name", "studies"),
        "$defs": {"condition": _condition(), "when": _when(), "rule": _rule(), "test": _test()},
    }


def _closed(properties: Schema, *required: str, **more: Any) -> Schema:
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **needs, **more}


def _text(description: str, *examples: str) -> Schema:
    """What looks like a number is a text too: it stays the digits as written."""
    text: Schema = {"type": ["string", "number"], "pattern": TEXT_IN_WORDS, "description": description}
    return {**text, "examples": list(examples)} if examples else text


def _choice(values: list[str], description: str) -> Schema:
    return {"enum": [str(value) for value in values], "description": description}


def _duration(description: str, *examples: str) -> Schema:
    return {"type": "string", "pattern": DURATION, "description": description, "examples": list(examples)}


def _studies() -> Schema:
    ids = {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": ["string", "number"], "pattern": "^[^ ]+$", "not": {"const": "all"}},
        "examples": [["60aca280709ee40ec37d4885"]],
    }
    return {
        "oneOf": [{"const": "all"}, ids],
        "description": "The ids of the studies this file is for; `all`: every study that no other file names.",
    }


def _name() -> Schema:
    return {"pattern": f"^{NAME.pattern}$", "not": {"enum": sorted([*CEL_WORDS, RECEIVED])}}


def _evidence() -> Schema:
    fields = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _name(),
        "additionalProperties": {"enum": [kind.value for kind in EVIDENCE_TYPES]},
        "description": "What the source says of a submission, and of which type each is.",
        "examples": [{"attention_failed": "int", "gibberish": "double", "consented": "bool"}],
    }
    source = _closed(
        {
            "from": {
                "const": PUSH,
                "description": f"Sent to PUT /evidence/<source>/<submission>. ({', '.join(LATER_ORIGINS)}: not supported yet.)",
            },
            "fields": fields,
            "wait": _duration("How long after completion it may still come.", "30m", "1h"),
        },
        "from",
        "fields",
    )
    return {
        "type": "object",
        "propertyNames": _name(),
        "additionalProperties": source,
        "description": "What the researcher knows beside what Prolific knows, by source.",
    }


def _limits() -> Schema:
    share = {
        "type": "string",
        "pattern": r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,9})?) ?%$",
        "description": "Of the last decisions, at most this share rejects; three always may.",
        "examples": ["10%"],
    }
    reject = {
        "share": share,
        "of_last": {"type": "integer", "minimum": 1, "description": "How many decisions back; 50."},
        "per_day": {"type": "integer", "minimum": 0, "description": "Rejections in 24 hours; 20."},
    }
    requests = {"type": "integer", "minimum": 0, "description": "Requests to return in 24 hours; 50."}
    reward = {
        "type": "integer",
        "minimum": 0,
        "description": "What is paid in 24 hours, in minor units; absent: no bound.",
        "examples": [50000],
    }
    limits = {
        "reject": _closed(reject),
        "request_return": _closed({"per_day": requests}),
        "approve": _closed({"reward_per_day": reward}),
    }
    return _closed(limits, description="What goes beyond is held, and a person looks.")


def _condition() -> Schema:
    return {
        "type": ["string", "boolean"],
        "pattern": TEXT_IN_WORDS,
        "description": "A condition in CEL over the facts: "
        + ", ".join([*FACTS, "evidence.<source>.<field>"]),
        "examples": ["evidence.survey.attention_failed >= 2", 'submission.code_type == "NONE"'],
    }


def _when() -> Schema:
    listed = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/condition"}}
    says = {
        Quantifier.ALL: "True if every one of these is.",
        Quantifier.ANY: "True if one of these is.",
        Quantifier.NONE: "True if not one of these is.",
    }
    lists = [_closed({key.value: {**listed, "description": text}}, key.value) for key, text in says.items()]
    return {"oneOf": [{"$ref": "#/$defs/condition"}, *lists]}


def _rule() -> Schema:
    properties = {
        "name": _text(
            "Of its own in the file; decisions and reasons name it.", "failed two attention checks"
        ),
        "when": {"$ref": "#/$defs/when", "description": "What must be true for the rule to decide."},
        **_actions(),
        "tag": _text("Kept with the decision, for the analysis.", "excluded"),
        "recheck_after": _duration("When to look again.", "7d"),
        "if_unknown": {
            "const": "skip",
            "description": "Of reject and request_return: if this can't be known, later rules may approve.",
        },
        "observe": {
            "type": "boolean",
            "description": "true: never decides; what it would do is recorded beside the decision.",
        },
        "allow": _allow(),
        "because": _text("Why these are fine here."),
    }
    one_action = [{"required": [outcome.value]} for outcome in Outcome]
    skips = {"anyOf": [{"required": ["reject"]}, {"required": ["request_return"]}]}
    return {
        **_closed(properties, "name", "when"),
        "oneOf": one_action,
        "dependentRequired": {"allow": ["because"], "because": ["allow"]},
        "dependentSchemas": {"if_unknown": skips},
    }


def _allow() -> Schema:
    meanings = "; ".join(f"{code.value}: {advice.why}" for code, advice in ADVICE.items())
    return {
        "type": "array",
        "minItems": 1,
        "items": {"enum": [code.value for code in Policy]},
        "description": f"Policy findings accepted knowingly: {meanings}",
    }


def _actions() -> Schema:
    reasons = {
        "type": "array",
        "minItems": 1,
        "items": _text("Sent to the participant.", "Withdrew consent."),
    }
    return {
        "approve": {
            "oneOf": [{"type": "null"}, _closed({})],
            "description": "Pay. Nothing follows the colon.",
        },
        "reject": _reject(),
        "request_return": _closed({"reasons": reasons}, "reasons", description="Ask to return it, unpaid."),
        "complete": _complete(),
        "hold": _text("What a person should look at.", "Unknown code; look at the data."),
    }


def _reject() -> Schema:
    says = f"Reaches the participant, {MESSAGE_LENGTH} characters or more; {{fact}} fills in a fact."
    properties = {
        "category": _choice(list(REJECTION_CATEGORIES), "Prolific's category of the reason."),
        "message": {**_text(says), "minLength": MESSAGE_LENGTH},
    }
    return _closed(properties, "category", "message", description="Don't pay, and say why.")


def _complete() -> Schema:
    least, most = PERCENTAGES
    percentage = {"type": "number", "minimum": least, "maximum": most}
    properties = {
        "code_type": _text("The type of the study's researcher code.", "PARTIAL_PAYMENT"),
        "code": _text("The researcher code itself."),
        "percentage_of_reward": {**percentage, "description": "For codes with dynamic payment."},
        "message_to_participant": _text("Sent to the participant.", "Thank you."),
    }
    one_code = [{"required": ["code_type"]}, {"required": ["code"]}]
    described = _closed(properties, description="Pay through a completion code of the researcher.")
    return {**described, "oneOf": one_code}


def _test() -> Schema:
    properties = {
        "name": _text("What the test shows.", "two missed checks"),
        "given": _given(),
        "expect": _expect(),
    }
    return _closed(properties, "name", "expect")


def _given() -> Schema:
    given = {
        **_groups(),
        "now": {**JSON_TYPES[FieldType.TIMESTAMP], "description": CATALOGUE["now"].meaning},
        "evidence": {
            "type": "object",
            "additionalProperties": {"type": ["object", "null"]},
            "description": "What each source said; `received: null`: it may still come.",
        },
        CODES: {
            "type": "array",
            "items": _text("A type or a code."),
            "description": "The researcher's completion codes the study has; absent: every one that is needed.",
        },
    }
    return _closed(given, description="The facts that matter; the rest has defaults.")


def _expect() -> Schema:
    expect = {
        "outcome": _choice([outcome.value for outcome in Outcome], "What is decided."),
        "rule": {"type": ["string", "number", "null"], "description": "Which rule decides; null: otherwise."},
        "reason": _text("Stands in the decision's sentence."),
        "message": _text("Stands in what people are told."),
        "category": {"enum": [*REJECTION_CATEGORIES, None], "description": "Of the rejection."},
        "tag": {"type": ["string", "number", "null"], "description": "Kept with the decision."},
        "guard": {"enum": [*GUARDS, None], "description": "What holds the decision back."},
        "undecidable": {"type": "boolean", "description": "Whether something that matters can't be known."},
        WOULD: {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"enum": [*(outcome.value for outcome in Outcome), None]},
            "description": "What rules that are only observed would do, by name; null: nothing.",
        },
    }
    return _closed(expect, minProperties=1, description="What must come of it.")


def _groups() -> Schema:
    groups: Schema = {}
    for fact, kind in FACTS.items():
        group, _, field = fact.partition(".")
        if field:
            about = CATALOGUE[fact]
            said = f"{about.meaning} ({about.unit})" if about.unit else about.meaning
            groups.setdefault(group, _closed({}))["properties"][field] = {
                **JSON_TYPES[kind],
                "description": said,
            }
    return groups
