"""A whole study's crowd, seeded: mostly careful people, and a few of every other kind."""

from collections.abc import Iterator
from itertools import cycle, islice
from random import Random

from service.sandbox.participants import Kind, Participant, participant
from service.sandbox.studies import STROOP, TWO_PARTS

# What thirty participants in a row are. The order within is drawn anew each time, but no thirty hold more
# than one whom the default limit on rejections counts: a tenth of the last fifty, and three at first.
BLOCKS: dict[str, dict[Kind, int]] = {
    STROOP: {
        Kind.CAREFUL: 20,
        Kind.HURRIED: 4,
        Kind.INATTENTIVE: 1,
        Kind.WITHOUT_CODE: 2,
        Kind.WITHDRAWING: 1,
        Kind.MISTYPED_CODE: 2,
    },
    TWO_PARTS: {
        Kind.CAREFUL: 18,
        Kind.HURRIED: 3,
        Kind.WITHOUT_CODE: 2,
        Kind.WITHDRAWING: 1,
        Kind.HALF_DONE: 3,
        Kind.SCREENED_OUT: 2,
        Kind.MISTYPED_CODE: 1,
    },
}


def population(count: int, random: Random) -> list[Participant]:
    """Plan ``count`` participants in the order of their arrival, every other one in each study.

    A crowd of thirty or more a study has every kind; the same seed makes the same crowd.
    """
    kinds = {study: _kinds(study, random) for study in BLOCKS}
    return [participant(next(kinds[study]), study, random) for study in islice(cycle(BLOCKS), count)]


def _kinds(study_id: str, random: Random) -> Iterator[Kind]:
    while True:
        block = [kind for kind, number in BLOCKS[study_id].items() for _ in range(number)]
        random.shuffle(block)
        yield from block
