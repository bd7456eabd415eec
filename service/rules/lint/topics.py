"""The topic of a field of evidence, derived from its name: ``attention_failed``, ``screened_out``."""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from service.rules.lint.claims import Claim


class Topic(StrEnum):
    CONSENT = "withdrawn consent"
    SCREENING = "screening out"
    TECHNICAL = "technical problems"
    COMPREHENSION = "a comprehension check"
    AUTHENTICITY = "authenticity"
    ATTENTION = "attention checks"
    SPEED = "speed"
    OTHER = "other data"


WORDS = {  # the first that has one of a name's words
    Topic.CONSENT: "consent consented consents withdrew withdrawn withdraw withdrawal agreed",
    Topic.SCREENING: "screened screening screenout screener eligible ineligible eligibility quota",
    Topic.TECHNICAL: "technical crash crashed error bug glitch browser device disconnected",
    Topic.COMPREHENSION: "comprehension comprehended understood understanding quiz",
    Topic.AUTHENTICITY: "authenticity authentic ai llm bot captcha recaptcha fraud duplicate",
    Topic.ATTENTION: "attention attentive inattentive check checks imc imcs trap traps catch instructed",
    Topic.SPEED: "speed speeding speeder speeded fast quick quickly rushed duration seconds minutes time ms rt",
}
GOOD_WORDS = """
    passed pass passes ok correct right consent consented consents agreed eligible understood comprehended
    attentive authentic finished complete completed done reached submitted valid true yes
"""
BAD_WORDS = """
    failed fail fails failure failures missed misses wrong incorrect invalid out withdrew withdrawn withdraw
    withdrawal ineligible not no declined refused denied crash crashed error bug glitch problem inattentive
"""
GOOD, BAD = frozenset(GOOD_WORDS.split()), frozenset(BAD_WORDS.split())
TOPIC_OF = {word: topic for topic, words in WORDS.items() for word in words.split()}
ORDER = list(Topic)


@lru_cache(maxsize=1024)
def topic(claim: Claim) -> Topic:
    """Return the topic of an evidence claim, by its fields' names and the texts it compares them with."""
    found = {TOPIC_OF[word] for word in words(claim) if word in TOPIC_OF}
    return min(found, key=ORDER.index, default=Topic.OTHER)


def words(claim: Claim) -> list[str]:
    fields = [fact.rpartition(".")[2] for fact in claim.facts if is_field(fact)]
    return split((*fields, *claim.texts))


def split(names: Iterable[str]) -> list[str]:
    return [word for name in names for word in _words_of(name)]


@lru_cache(maxsize=1024)
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(re.findall("[a-z]+", name.lower()))


def is_field(fact: str) -> bool:
    """Return True for a field of a source, False for ``received``."""
    return fact.startswith("evidence.") and not fact.endswith(".received")


def is_harmless(claim: Claim) -> bool:
    """Return True if the claim describes good work: ``consented == true``, ``failed == 0``, ``failed < 2``."""
    named = set(split(fact.rpartition(".")[2] for fact in claim.facts))
    good = not named & BAD and bool(named & GOOD)
    if isinstance(claim.value, bool) and claim.operator == "==":
        return claim.value is good
    if isinstance(claim.value, str) and claim.operator == "==":
        words = set(split((claim.value,)))
        return bool(words & GOOD) and not words & BAD
    if isinstance(claim.value, float):
        counted = named & BAD or topic(claim) is not Topic.OTHER
        return not claim.admits(0) if good else bool(counted) and claim.admits(0)
    return False
