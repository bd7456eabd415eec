"""The relative speed index: the mean of medians divided by the own times, exact to the classes of times."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.review.comparisons import class_of, relative_speed, time_of

SECONDS = st.floats(0.2, 2000)


@given(st.lists(st.tuples(SECONDS, st.lists(SECONDS, min_size=2, max_size=20)), min_size=1, max_size=6))
def test_relative_speed_equals_numpy(pages: list[tuple[float, list[float]]]) -> None:
    own = {("survey", str(place)): seconds for place, (seconds, _) in enumerate(pages)}
    others = {("survey", str(place)): Counter(map(class_of, times)) for place, (_, times) in enumerate(pages)}
    expected = np.mean([min(float(np.median(times)) / seconds, 3.0) for seconds, times in pages])
    assert relative_speed(own, others) == pytest.approx(expected, rel=0.011)


@given(SECONDS)
def test_class_of_times_is_exact_to_one_percent(seconds: float) -> None:
    assert time_of(class_of(seconds)) == pytest.approx(seconds, rel=0.0101)


def test_relative_speed_is_missing_without_other_submissions() -> None:
    assert relative_speed({("s", "a"): 5.0}, {}) is None
    assert relative_speed({("s", "a"): 5.0}, {("s", "a"): {class_of(5.0): 1}}) is None
