"""The rule format: what a rule file holds, one model for reading it and for its JSON Schema."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from service.domain.decision import Mode, Outcome
from service.rules.format.case_model import Test
from service.rules.format.document import Scalar
from service.rules.format.field_model import NAMES, Name
from service.rules.format.findings import Code
from service.rules.format.quantities import Duration
from service.rules.format.rule_model import Rule
from service.rules.format.source_model import Source
from service.rules.format.values import Closed, Reads, Text, chosen, keyed, listed, one_of, text, wrong
from service.rules.limits import Limits

VERSION = "1"
LEAST_HOLD = timedelta(minutes=1)


def _version(value: object) -> int:
    if isinstance(value, Scalar) and value.plain and value.value == VERSION:
        return int(VERSION)
    message = f"must be {VERSION} without quotes, the version of the format that this autoreview reads"
    raise wrong(Code.BAD_VALUE, message)


OTHERWISE = (Outcome.APPROVE.value, Outcome.HOLD.value)


def _otherwise(value: object) -> Outcome:
    entered = text(value)
    if entered in {outcome.value for outcome in Outcome} - {*OTHERWISE}:
        message = f"`{entered}` is none of {', '.join(OTHERWISE)}: a participant is never refused because no rule matched"
        raise wrong(Code.BAD_VALUE, message)
    return Outcome(chosen(entered, OTHERWISE))


STUDIES = {
    "oneOf": [
        {"const": "all"},
        {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": ["string", "number"], "pattern": "^[^ ]+$", "not": {"const": "all"}},
            "examples": [["60aca280709ee40ec37d4885"]],
        },
    ]
}


def _a_minute(duration: timedelta) -> timedelta:
    if duration < LEAST_HOLD:
        raise wrong(Code.BAD_VALUE, "must be a minute or more: `72h`")
    return duration


class File(Closed):
    """A rule file: its studies, its sources of evidence, and its rules in order."""

    model_config = ConfigDict(title="Rules of autoreview")

    version: Annotated[int, Reads(lambda value, _: _version(value), {"const": int(VERSION)})] = Field(
        description="The version of the format."
    )
    name: Text = Field(
        description="The name of the file's rules, shown with their decisions.", examples=["Stroop, wave 2"]
    )
    studies: Annotated[Any, Reads(lambda value, info: info.context.studies(value), STUDIES)] = Field(
        description="The ids of the studies that this file applies to. `all`: every study that no other file names."
    )
    mode: Annotated[Mode, one_of(list(Mode))] | None = Field(
        None,
        description="Which decisions are applied: this mode or the service's, the lesser of the two.",
    )
    evidence: Annotated[
        dict[Name, Source], keyed("survey: {from: push, fields: {attention_failed: int}}")
    ] = Field(
        {},
        description="The researcher's own data, by source.",
        json_schema_extra=NAMES,
    )
    limits: Limits = Field(default_factory=Limits)
    hold_at_most: Annotated[Duration, AfterValidator(_a_minute)] | None = Field(
        None,
        description="How long a submission may be held. Absent: until Prolific approves it on day 21.",
        examples=["72h", "7d"],
    )
    rules: Annotated[list[Rule], listed("rules", least=0, example="- name: …")] = Field(
        [], description="Rules are evaluated in order. The first that is true decides."
    )
    otherwise: Annotated[Outcome, Reads(lambda value, _: _otherwise(value), {"enum": list(OTHERWISE)})] = (
        Field(Outcome.HOLD, description="The outcome if no rule matches.")
    )
    tests: Annotated[list[Test], listed("tests", least=0, example="- name: …")] = Field(
        [], description="Run by `autoreview test`."
    )
