"""The likeness of near duplicates and of different texts."""

import random
import re

import pytest

from service.domain.likeness import ALIKE, PIECE, bands, likeness, signature

WORDS = re.findall(r"\w+", str(re.__doc__))
ESSAY = " ".join(WORDS[:80])


def share(first: str, second: str) -> float:
    one, other = ({text[at : at + PIECE] for at in range(len(text) - PIECE + 1)} for text in (first, second))
    return len(one & other) / len(one | other)


def shared_parts(first: bytes, second: bytes) -> int:
    return len(set(bands(first)) & set(bands(second)))


def test_likeness_ignores_case_and_punctuation() -> None:
    copy = ESSAY.upper().replace(" ", ",  ") + "!"
    assert signature(copy) == signature(ESSAY)


@pytest.mark.parametrize("seed", range(20))
def test_likeness_is_the_share_of_common_pieces(seed: int) -> None:
    dice = random.Random(seed)
    words = ESSAY.casefold().split()
    for place in dice.sample(range(len(words)), dice.randrange(0, 30)):
        words[place] = dice.choice(WORDS).casefold()
    other = " ".join(words)
    first, second = signature(ESSAY), signature(other)
    assert first
    assert second
    actual = share(ESSAY.casefold(), other)
    assert likeness(first, second) == pytest.approx(actual, abs=0.25)  # four standard errors
    if actual > ALIKE + 0.1:
        assert shared_parts(first, second) > 0


def test_likeness_of_different_texts_is_low() -> None:
    first, second = signature(ESSAY), signature(" ".join(WORDS[100:180]))
    assert first
    assert second
    assert likeness(first, second) < ALIKE / 2


def test_short_text_has_no_signature() -> None:
    assert signature("No comment.") is None


def test_signature_is_stable_across_versions() -> None:
    signed = signature(ESSAY)
    assert signed
    assert len(signed) == 256
    assert bands(signed) == bands(signed)
    assert len(bands(signed)) == 16
