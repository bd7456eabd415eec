"""The grounds on which an alternative of a rule's conditions rejects, as Prolific's policy treats them."""

from dataclasses import dataclass
from typing import Literal

from service.rules.lint.claims import Alternative, Claim
from service.rules.lint.policy import Policy
from service.rules.lint.topics import Topic, is_field, is_harmless, topic, words

SPEED_FACTS = frozenset({"submission.pace", "submission.time_taken", "submission.started_at"})
CODE_FACTS = frozenset({"submission.code_type", "submission.entered_code"})
LEAST_COUNT = 30  # submissions that a statistic of a study needs
CHECKED = frozenset({"failed", "fails", "missed", "misses", "wrong", "incorrect", "passed", "correct"})
FORBIDDEN = {
    Topic.SCREENING: Policy.SCREENED_OUT,
    Topic.CONSENT: Policy.CONSENT,
    Topic.TECHNICAL: Policy.TECHNICAL,
    Topic.COMPREHENSION: Policy.COMPREHENSION,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """The grounds of an alternative, by their treatment in the policy.

    ``fields`` is what evidence is held against the participant, ``valid`` those that may be a ground to reject.
    """

    category: str
    claims: Alternative
    fields: list[Claim]
    valid: list[Claim]
    fast: list[Claim]
    slow: list[Claim]
    statistics: list[Claim]

    @classmethod
    def of(cls, category: str, claims: Alternative) -> "Ground":
        timing = [claim for claim in claims if _is_timing(claim)]
        fields = [claim for claim in claims if claim not in timing and _accuses(claim)]
        return cls(
            category,
            claims,
            fields,
            valid=[claim for claim in fields if topic(claim) not in FORBIDDEN],
            fast=[claim for claim in timing if _direction(claim) == "fast"],
            slow=[claim for claim in timing if _direction(claim) == "slow"],
            statistics=[claim for claim in claims if _is_statistic(claim)],
        )

    @property
    def by_statistics(self) -> bool:
        """Return True for Prolific's own criterion: three standard deviations among enough submissions."""
        if any(claim.fact == "stats.fast_outlier" and claim.value is True for claim in self.claims):
            return True
        counted = any(claim.fact == "stats.count" and _at_least(claim, LEAST_COUNT) for claim in self.claims)
        return counted and any(_is_three_deviations(claim) for claim in self.claims)


def _accuses(claim: Claim) -> bool:
    return any(is_field(fact) for fact in claim.facts) and not is_harmless(claim)


def is_attention(claim: Claim, category: str) -> bool:
    about = topic(claim)
    by_category = category == "FAILED_CHECK" and CHECKED & set(words(claim))
    return about is Topic.ATTENTION or (about is Topic.OTHER and bool(by_category))


def _is_timing(claim: Claim) -> bool:
    """Return True for a fact about the time taken, from Prolific or from evidence."""
    if any(fact in SPEED_FACTS for fact in claim.facts):
        return True
    return any(is_field(fact) for fact in claim.facts) and topic(claim) is Topic.SPEED


def _direction(claim: Claim) -> Literal["fast", "slow"]:
    if isinstance(claim.value, bool):
        return "slow" if "slow" in words(claim) or claim.value is False else "fast"
    return "slow" if claim.operator in (">", ">=") else "fast"


def _is_statistic(claim: Claim) -> bool:
    return any(fact.startswith("stats.") and fact != "stats.count" for fact in claim.facts) and (
        claim.value is not False and claim.operator not in (">", ">=")
    )


def _is_three_deviations(claim: Claim) -> bool:
    below = claim.operator in ("<", "<=")
    if claim.fact == "stats.z":
        return below and isinstance(claim.value, float) and claim.value <= -3
    return below and {"stats.mean", "stats.sd"} <= set(claim.facts) and any(n >= 3 for n in claim.numbers)


def _at_least(claim: Claim, number: int) -> bool:
    if not isinstance(claim.value, float):
        return False
    return claim.operator in (">", ">=") and not claim.admits(number - 1)


def is_short_study(claim: Claim) -> bool:
    named = claim.fact == "study.estimated_completion_time"
    return named and claim.operator in ("<", "<=") and not claim.admits(5)


def is_about_a_bad_code(claim: Claim) -> bool:
    if not any(fact in CODE_FACTS for fact in claim.facts):
        return False
    if claim.operator == "==" and claim.fact == "submission.code_type":
        return claim.value in ("NONE", "UNKNOWN")
    if claim.operator == "in" and claim.fact == "submission.code_type":
        return bool({"NONE", "UNKNOWN"} & set(claim.texts))
    if claim.operator in ("!=", "not in") and claim.fact == "submission.code_type":
        return not {"NONE", "UNKNOWN"} & set(claim.texts)
    return True


def is_absence(claim: Claim) -> bool:
    named = claim.fact is not None and claim.fact.startswith("evidence.") and not is_field(claim.fact)
    return named and claim.value is False
