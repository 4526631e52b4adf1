"""The statistics against numbers that were computed by hand."""

import math

import numpy as np
import pytest

from marlpipe.analysis.statistics.curves import common_grid, on_grid, spread


def steps(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_without_runs_nothing_is_known() -> None:
    assert spread([]).n == 0
    assert math.isnan(spread([]).mean)


def test_spread_is_that_of_a_sample() -> None:
    mean, std, n = spread([2.0, 4.0, 4.0, 6.0])
    assert (mean, n) == (4.0, 4)
    assert std == pytest.approx(math.sqrt(8 / 3))  # divided by n - 1
    assert math.isnan(spread([3.0]).std)


def test_grid_is_where_all_curves_are() -> None:
    curves = [(steps(0, 100, 200), floats(0, 1, 2)), (steps(50, 150, 400), floats(0, 10, 35)), (steps(), floats())]
    grid = common_grid(curves)
    assert grid.tolist() == [50, 100, 150, 200]
    assert on_grid(curves, grid).tolist() == [[0.5, 1.0, 1.5, 2.0], [0.0, 5.0, 10.0, 15.0]]


def test_grid_of_curves_that_do_not_meet_is_empty() -> None:
    apart = [(steps(0, 100), floats(0, 1)), (steps(200, 300), floats(0, 1))]
    assert common_grid(apart).tolist() == []
    assert on_grid(apart, common_grid(apart)).shape == (2, 0)
    assert common_grid([]).tolist() == []
