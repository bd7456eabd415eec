"""Find values that a fact never has.

A comparison with such a value is always false or always true. A test that gives one tests a case that never occurs.
"""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from service.domain.decision import Complete
from service.domain.submission import Status
from service.rules.cases.case import Case
from service.rules.catalogue import FACTS
from service.rules.facts import FieldType
from service.rules.format.findings import Severity
from service.rules.lint.claims import Claim, alternatives
from service.rules.prolific_ids import SHAPE, is_id
from service.rules.rule import Rule, When

COMPARING = ("==", "!=", "in", "not in")
STUDY_STATUSES = (
    *("UNPUBLISHED", "SCHEDULED", "PUBLISHING", "ACTIVE", "AWAITING REVIEW", "PAUSED", "COMPLETED"),
    "UNKNOWN",
)
# Prolific's predefined types, and the one that its guides give a partial payment. A type may be any other text.
CODE_TYPES = (
    *("COMPLETED", "FAILED_ATTENTION_CHECK", "FOLLOW_UP_STUDY", "GIVE_BONUS", "INCOMPATIBLE_DEVICE"),
    *("NO_CONSENT", "OTHER", "FIXED_SCREENOUT", "SCREENED_IN", "SCREENED_OUT", "PARTIAL_PAYMENT"),
)
OWN_CODE_TYPES = ("NONE", "UNKNOWN")  # this service's words: no code, none of the study's codes
SIMILAR = 0.85
NUMBERS = (FieldType.INT, FieldType.DOUBLE)
MAY_BE_NEGATIVE = ("stats.z", "stats.log_z")
NEVER_NEGATIVE = frozenset(
    fact for fact, kind in FACTS.items() if kind in NUMBERS and fact not in MAY_BE_NEGATIVE
)


class Impossible(NamedTuple):
    """``condition`` and ``offset`` are the place in the rule's conditions."""

    message: str
    severity: Severity
    condition: int = 0
    offset: int = 0


Check = Callable[[str], tuple[str, Severity] | None]


def impossible(when: When) -> Iterator[Impossible]:
    """Yield each text or number that a condition compares with a fact that never has this value."""
    claims = dict.fromkeys(claim for option in alternatives(when, FACTS) for claim in option)
    for claim in claims:
        check = CHECKS.get(claim.fact or "")
        if check and claim.operator in COMPARING:
            for text in dict.fromkeys(_texts(claim)):
                if found := check(text):
                    message, severity = found
                    yield Impossible(f"{claim.fact} {message}", severity, claim.condition, claim.offset)
        if _is_negative(claim.fact, claim.value):
            yield Impossible(f"{claim.fact} is never negative", "warning", claim.condition, claim.offset)


def impossible_given(case: Case) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place in ``given`` and the message of each value that a test gives and that never occurs."""
    for fact, value in case.given.items():
        check = CHECKS.get(fact) if fact not in IDS else None  # a test may name a submission as it likes
        if isinstance(value, str) and check and (found := check(value)):
            yield tuple(fact.split(".")), f"{fact} {found[0]}"
        elif _is_negative(fact, value):
            yield tuple(fact.split(".")), f"{fact} is never negative"
    for index, code in enumerate(case.codes or ()):
        if found := _code_type(code):
            yield ("codes", index), f"a code of the study {found[0]}"


def impossible_code_type(rule: Rule) -> str | None:
    """Return what is wrong with the code type of a ``complete`` action, None if nothing is known to be."""
    action = rule.plan.action
    if not isinstance(action, Complete) or not action.code_type:
        return None
    near = _near(action.code_type, CODE_TYPES)
    return (
        f"`{action.code_type}`: did you mean `{near}`? It must be spelled as in the study" if near else None
    )


def _is_negative(fact: str | None, value: object) -> bool:
    return fact in NEVER_NEGATIVE and isinstance(value, int | float) and value < 0


def _texts(claim: Claim) -> tuple[str, ...]:
    match claim.value:
        case str():
            return (claim.value,)
        case tuple():
            return claim.value
        case _:
            return ()


def _submission_status(text: str) -> tuple[str, Severity] | None:
    always = Status.AWAITING_REVIEW.value
    if text == always:
        return None
    return f'is always "{always}" when rules are asked, and never "{text}": take it out', "error"


def _study_status(text: str) -> tuple[str, Severity] | None:
    if text in STUDY_STATUSES:
        return None
    near = _near(text, STUDY_STATUSES)
    known = f'did you mean "{near}"?' if near else f"it is one of {', '.join(STUDY_STATUSES)}"
    return f'is never "{text}": {known}', "warning"


def _code_type(text: str) -> tuple[str, Severity] | None:
    if text in OWN_CODE_TYPES or not (near := _near(text, (*CODE_TYPES, *OWN_CODE_TYPES))):
        return None
    return f'"{text}": did you mean "{near}"? It must be spelled as in the study', "warning"


def _id(text: str) -> tuple[str, Severity] | None:
    return None if is_id(text) else (f'is never "{text}": an id of Prolific has {SHAPE}', "warning")


def _near(text: str, known: tuple[str, ...]) -> str | None:
    """Return the known word that is probably meant; None for a known one, and for one of its own."""
    spelled = "_".join(text.upper().replace("-", " ").replace("_", " ").split())
    words = {word.replace(" ", "_"): word for word in known}
    if text in known:
        return None
    if spelled in words:
        return words[spelled]
    if any(spelled.startswith(word) for word in words):  # COMPLETED_2 is a word of its own
        return None
    begun = [word for key, word in words.items() if spelled and key.startswith(f"{spelled}_")]
    similar = get_close_matches(spelled, list(words), n=1, cutoff=SIMILAR)
    return begun[0] if len(begun) == 1 else words[similar[0]] if similar else None


IDS = ("study.id", "submission.id", "submission.study_id", "submission.participant_id")
CHECKS: dict[str, Check] = {
    "submission.status": _submission_status,
    "submission.code_type": _code_type,
    "study.status": _study_status,
    **dict.fromkeys(IDS, _id),
}
