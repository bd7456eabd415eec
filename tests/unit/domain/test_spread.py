"""Medians and median deviations equal those of numpy, for any values."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.spread import Repeated, deviation, median
from service.review.statistics import stats_facts
from service.store.statistics import Times

SECONDS = st.lists(st.integers(1, 50) | st.integers(1, 20_000), min_size=1, max_size=60)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=1, max_size=60))
def test_median_and_deviation_equal_numpy(values: list[float]) -> None:
    values.sort()
    center = float(np.median(values))
    assert median(values) == center
    expected = np.median(np.abs(np.array(values) - center))
    assert deviation(values, center) == pytest.approx(expected)
    counted = Repeated.of(sorted(Counter(values).items()))
    assert list(counted) == values
    assert deviation(counted, center) == pytest.approx(expected)


@given(SECONDS, st.integers(1, 20_000))
def test_statistics_of_counted_times_equal_numpy(seconds: list[int], taken: int) -> None:
    facts = stats_facts(Times.of(Counter(seconds)), taken)
    times = np.array(seconds, dtype=float)
    assert facts["count"] == len(seconds)
    assert facts["mean"] == pytest.approx(np.mean(times))
    assert facts["median"] == np.median(times)
    if len(seconds) > 1:
        assert facts["sd"] == pytest.approx(np.std(times, ddof=1), abs=1e-9)
    logs = np.log(times)
    spread = np.median(np.abs(logs - np.median(logs)))
    if spread == 0:
        assert "log_z" not in facts
    else:
        expected = (log(taken) - np.median(logs)) / (1.4826022185056018 * spread)
        assert facts["log_z"] == pytest.approx(expected)
