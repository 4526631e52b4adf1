"""When a curve reaches a threshold, by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from marlpipe.analysis.statistics.efficiency import first_reach, median_reached

NAN = math.nan


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([0, 10, 20], 150),  # halfway between 10 and 20
        ([15, 0, 0], 0),  # at once
        ([0, 15, 20], 100),  # exactly there
        ([0, 30, 0], 50),  # once is enough
        ([0, 14, 14.9], None),
        ([0, NAN, 20], 150),  # on the line from the evaluation before the one that is missing
        ([NAN, 20, 20], 100),
        ([NAN, NAN, NAN], None),
    ],
)
def test_first_reach(returns: Sequence[float], expected: float | None) -> None:
    assert first_reach(np.array([0, 100, 200]), np.array(returns, dtype=np.float64), 15.0) == expected


def test_without_evaluations_it_is_never() -> None:
    assert first_reach(np.array([], dtype=np.int64), np.array([]), 0.0) is None


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([10.0, None, 30.0], 30.0),
        ([10.0, None, None], math.inf),
        ([10.0, None], math.inf),
        ([10.0, 20.0], 15.0),
        ([None], math.inf),
    ],
)
def test_never_is_infinity(times: Sequence[float | None], expected: float) -> None:
    assert median_reached(times) == expected
    assert math.isnan(median_reached([]))
