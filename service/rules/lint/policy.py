"""Prolific's policy for rules: a code for each point, the reason, and what to do instead."""

from collections.abc import Container
from enum import StrEnum
from typing import NamedTuple

from service.domain.decision import Action, Reject
from service.rules.evidence import RECEIVED


class Policy(StrEnum):
    """Stable: ``allow`` and the guide name them."""

    ONE_CHECK = "POL001"
    SPEED = "POL002"
    CODE_ALONE = "POL003"
    NO_EVIDENCE = "POL004"
    SCREENED_OUT = "POL005"
    CONSENT = "POL006"
    TECHNICAL = "POL007"
    COMPREHENSION = "POL008"
    BARE_MESSAGE = "POL009"
    CATEGORY = "POL010"
    NO_RECHECK = "POL011"
    SLOW = "POL012"
    NOT_ABOUT_DATA = "POL013"
    BROWSER = "POL014"


class Advice(NamedTuple):
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.why}; {self.instead}"


ADVICE: dict[Policy, Advice] = {
    Policy.ONE_CHECK: Advice(
        "one failed attention check is no ground to reject in a study of five minutes or more",
        "ask for two (`>= 2`), or add the condition study.estimated_completion_time < 5.0",
    ),
    Policy.SPEED: Advice(
        "being fast is no ground to reject, except by the statistic of the study",
        "use stats.fast_outlier (or stats.z < -3.0 with stats.count >= 30), or approve with a tag",
    ),
    Policy.CODE_ALONE: Advice(
        "a missing or unknown code by itself is no ground to reject",
        "check the data: approve if it is complete, else request_return or hold",
    ),
    Policy.NO_EVIDENCE: Advice(
        "missing evidence is no ground to reject",
        "hold it, or ask to return it",
    ),
    Policy.SCREENED_OUT: Advice(
        "a participant who is screened out within the study must not be rejected",
        "complete with a screen-out code, or request_return",
    ),
    Policy.CONSENT: Advice(
        "withdrawing consent, or not giving it, is a right and no ground to reject",
        "request_return, and delete the data",
    ),
    Policy.TECHNICAL: Advice(
        "technical problems are no ground to reject",
        "request_return, or complete with a partial payment",
    ),
    Policy.COMPREHENSION: Advice(
        "a comprehension check is never a ground to reject",
        "let it be tried twice at the start of the study, then request_return",
    ),
    Policy.BARE_MESSAGE: Advice(
        "the message gives no evidence, so the participant can't know what was wrong",
        "name what was seen, such as {evidence.<source>.<field>}",
    ),
    Policy.CATEGORY: Advice(
        "the category does not fit the conditions",
        "choose the category of the ground on which the rule rejects",
    ),
    Policy.NO_RECHECK: Advice(
        "a request to return without an answer would stay open",
        "say when to look again: recheck_after: 7d",
    ),
    Policy.SLOW: Advice(
        "being slow, or not coming back for another part, is no ground to reject",
        "approve with a tag, pay in part, or request_return",
    ),
    Policy.NOT_ABOUT_DATA: Advice(
        "the rule rejects without a condition on what the participant did in this study",
        "add a condition on evidence, or hold",
    ),
    Policy.BROWSER: Advice(
        "what the participant's browser sends is no ground by itself to reject or to ask for a return",
        "add a condition on evidence of another source, on times or on statistics, or hold",
    ),
}


# The grounds from Prolific's times. A code is what the participant entered.
MEASURED = frozenset({"submission.time_taken", "submission.pace"})


def corroborates(fact: str, browser: Container[str]) -> bool:
    """Return True if a fact is evidence against the participant that these sources, sent by browsers, do not give."""
    group, _, rest = fact.partition(".")
    if group == "evidence":
        source, _, name = rest.partition(".")
        return source not in browser and name != RECEIVED
    return group in {"stats", "participant"} or fact in MEASURED


def withheld(action: Action, allow: Container[str], fast_outlier: bool) -> str | None:
    """Return why a person must check a rejection before it is sent, None if it may be sent."""
    if not isinstance(action, Reject):
        return None
    if action.category == "TOO_QUICKLY" and not fast_outlier and Policy.SPEED not in allow:
        return f"TOO_QUICKLY, but it is no fast outlier of the study (stats.fast_outlier): {Policy.SPEED}."
    if action.category in ("NO_CODE", "BAD_CODE") and Policy.CODE_ALONE not in allow:
        return f"{action.category} by itself is no ground to reject: {Policy.CODE_ALONE}."
    return None
