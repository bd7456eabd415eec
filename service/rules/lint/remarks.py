"""Check a rule against Prolific's policy. Each alternative of its conditions is judged alone."""

from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Literal, NamedTuple

from service.domain.decision import Reject, RequestReturn
from service.rules.catalogue import FACTS
from service.rules.lint.claims import Claim, alternatives
from service.rules.lint.grounds import (
    CODE_FACTS,
    FORBIDDEN,
    SPEED_FACTS,
    Ground,
    is_about_a_bad_code,
    is_absence,
    is_attention,
    is_short_study,
)
from service.rules.lint.policy import ADVICE, Policy, corroborates
from service.rules.lint.topics import Topic, is_field, split, topic
from service.rules.rule import Rule

Part = Literal["name", "when", "category", "message", "request_return"]

NUMBER_WORDS = frozenset(
    {"both", "twice", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
)
CATEGORIES_AGAINST_POLICY = {
    "NO_CODE": Policy.CODE_ALONE,
    "BAD_CODE": Policy.CODE_ALONE,
    "UNSUPP_DEVICE": Policy.TECHNICAL,
    "TOO_SLOWLY": Policy.SLOW,
    "INCOMP_LONGITUDINAL": Policy.SLOW,
}


class Remark(NamedTuple):
    """A policy finding. ``part`` is the rule's part; for ``when`` also the condition and the position in it."""

    code: Policy
    part: Part
    message: str
    condition: int = 0
    offset: int = 0


Check = Callable[[Ground], Iterator[Remark]]


def remarks(rule: Rule, browser: Collection[str] = ()) -> list[Remark]:
    """Return each code once, at its first place."""
    found: dict[Policy, Remark] = {}
    for remark in chain(_remarks(rule), _of_browsers(rule, browser)):
        found.setdefault(remark.code, remark)
    return list(found.values())


def _remarks(rule: Rule) -> Iterator[Remark]:
    action = rule.plan.action
    if isinstance(action, RequestReturn) and rule.recheck_after is None:
        yield _remark(Policy.NO_RECHECK, "request_return")
    if not isinstance(action, Reject):
        return
    if not _gives_evidence(rule):
        yield _remark(Policy.BARE_MESSAGE, "message")
    if code := CATEGORIES_AGAINST_POLICY.get(action.category):
        yield _remark(code, "category", f"{action.category}: {ADVICE[code]}")
    known = {*FACTS, *rule.when.facts}
    for claims in alternatives(rule.when, known):
        ground = Ground.of(action.category, claims)
        for check in CHECKS:
            yield from check(ground)


def _of_browsers(rule: Rule, browser: Collection[str]) -> Iterator[Remark]:
    """Find an alternative that nothing but evidence from browsers speaks for. ``browser`` are such sources."""
    if not browser or not isinstance(rule.plan.action, Reject | RequestReturn):
        return
    for claims in alternatives(rule.when, {*FACTS, *rule.when.facts}):
        facts = {fact for claim in claims for fact in claim.facts}
        sent = [claim for claim in claims if any(fact.split(".")[1] in browser for fact in _evidence(claim))]
        if sent and not any(corroborates(fact, browser) for fact in facts):
            yield _about(Policy.BROWSER, sent[0])


def _evidence(claim: Claim) -> list[str]:
    return [fact for fact in claim.facts if fact.startswith("evidence.")]


def _remark(code: Policy, part: Part, message: str | None = None) -> Remark:
    return Remark(code, part, message or str(ADVICE[code]))


def _about(code: Policy, claim: Claim) -> Remark:
    return Remark(code, "when", str(ADVICE[code]), claim.condition, claim.offset)


def _one_check(ground: Ground) -> Iterator[Remark]:
    """Return True if a single failed check matches, without a condition on a short study or a second check."""
    failed = [claim for claim in ground.fields if is_attention(claim, ground.category)]
    short = any(is_short_study(claim) for claim in ground.claims)
    if ground.category != "FAILED_CHECK" and len(ground.valid) > len(failed):
        return  # another ground stands by itself
    of_one = [claim for claim in failed if claim.value is True or claim.value is False or claim.admits(1)]
    if failed and not short and len(of_one) == len(failed) and len({claim.facts for claim in failed}) == 1:
        yield _about(Policy.ONE_CHECK, of_one[0])


def _speed(ground: Ground) -> Iterator[Remark]:
    if ground.by_statistics:
        return
    timing = [*ground.fast, *ground.statistics]
    if timing and not ground.valid:
        yield _about(Policy.SPEED, timing[0])
    elif ground.category == "TOO_QUICKLY":
        yield _remark(Policy.SPEED, "category")


def _slow(ground: Ground) -> Iterator[Remark]:
    if ground.slow and not ground.valid:
        yield _about(Policy.SLOW, ground.slow[0])


def _code(ground: Ground) -> Iterator[Remark]:
    codes = [claim for claim in ground.claims if is_about_a_bad_code(claim)]
    if codes and not ground.valid:
        yield _about(Policy.CODE_ALONE, codes[0])


def _no_evidence(ground: Ground) -> Iterator[Remark]:
    absent = [claim for claim in ground.claims if is_absence(claim)]
    if absent and not ground.valid:
        yield _about(Policy.NO_EVIDENCE, absent[0])


def _forbidden(ground: Ground) -> Iterator[Remark]:
    for claim in ground.fields:
        if topic(claim) in FORBIDDEN:
            yield _about(FORBIDDEN[topic(claim)], claim)


def _category(ground: Ground) -> Iterator[Remark]:
    """Check the category, if the conditions contain a ground that has a category of its own."""
    wanted = _fitting(ground)
    if wanted and ground.category not in wanted:
        message = f"{ground.category}: {ADVICE[Policy.CATEGORY].why}; for these it is {' or '.join(wanted)}"
        yield _remark(Policy.CATEGORY, "category", message)


def _fitting(ground: Ground) -> tuple[str, ...]:
    """Return the categories that fit, none if it is unknown."""
    if ground.valid:
        topics = {topic(claim) for claim in ground.valid}
        if topics == {Topic.ATTENTION}:
            return ("FAILED_CHECK", "FAILED_INSTRUCTIONS", "LOW_EFFORT")
        attends = any(is_attention(claim, "FAILED_CHECK") for claim in ground.valid)
        misnamed = {"TOO_QUICKLY", "TOO_SLOWLY", "NO_CODE", "BAD_CODE"}
        fits = ("FAILED_INSTRUCTIONS", "LOW_EFFORT", "MALINGERING", "NO_DATA", "OTHER")
        wrong = ground.category in misnamed or (ground.category == "FAILED_CHECK" and not attends)
        authentic = Topic.AUTHENTICITY in topics
        return fits if wrong and not (authentic and ground.category == "FAILED_CHECK") else ()
    return ("TOO_QUICKLY",) if ground.fast or ground.statistics else ()


def _not_about_data(ground: Ground) -> Iterator[Remark]:
    explained = (*ground.fields, *ground.fast, *ground.slow, *ground.statistics)
    is_grounded = any(is_about_a_bad_code(claim) or is_absence(claim) for claim in ground.claims)
    if explained or is_grounded:
        return
    if ground.claims:
        yield _about(Policy.NOT_ABOUT_DATA, ground.claims[0])


CHECKS: tuple[Check, ...] = (
    _one_check,
    _speed,
    _slow,
    _code,
    _no_evidence,
    _forbidden,
    _category,
    _not_about_data,
)


def _gives_evidence(rule: Rule) -> bool:
    """Return True if the message names the evidence: by a placeholder, or by a number and the conditions' words."""
    message = rule.plan.texts[0]
    if any(_is_informative(fact) for fact in message.facts):
        return True
    words = {word.removesuffix("s") for word in split((message.own_text,))}
    asked = split(fact.rpartition(".")[2] for fact in rule.when.facts if is_field(fact))
    counted = bool(words & NUMBER_WORDS) or any(letter.isdigit() for letter in message.own_text)
    return counted and any(word.removesuffix("s") in words for word in asked)


def _is_informative(fact: str) -> bool:
    """Return True if the fact informs the participant about what they did."""
    return is_field(fact) or fact.startswith("stats.") or fact in SPEED_FACTS | CODE_FACTS
