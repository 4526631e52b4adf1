"""The statistics against numbers that were computed by hand."""

import math

import numpy as np
import pytest

from marlpipe.analysis.statistics import (
    area_under_curve,
    bootstrap_difference,
    common_grid,
    final_return,
    on_grid,
    spread,
)


def steps(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 2.0, 9.0], 9.0),  # fewer than ten evaluations: the last one
        ([float(n) for n in range(19)], 18.0),
        ([float(n) for n in range(20)], 18.5),  # the last two of twenty
        ([float(n) for n in range(40)], 37.5),  # the last four of forty
    ],
)
def test_final_return_is_the_last_tenth(returns: list[float], expected: float) -> None:
    assert final_return(floats(*returns)) == expected


def test_area_weighs_by_env_steps() -> None:
    # trapezoids: 100·(0+10)/2 + 300·(10+20)/2 = 5000 over 400 env steps
    assert area_under_curve(steps(0, 100, 400), floats(0, 10, 20)) == 12.5
    assert area_under_curve(steps(100, 200, 500), floats(0, 10, 20)) == 12.5  # where it starts does not matter


def test_without_evaluations_nothing_is_known() -> None:
    assert math.isnan(final_return(floats()))
    assert math.isnan(area_under_curve(steps(), floats()))
    assert area_under_curve(steps(50), floats(7)) == 7.0
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


def test_bootstrap_of_runs_that_agree_has_no_width() -> None:
    difference = bootstrap_difference([5.0] * 6, [3.0] * 5)
    assert (difference.mean, difference.low, difference.high) == (2.0, 2.0, 2.0)
    assert not difference.indicative
    assert difference.clear


def test_bootstrap_of_two_against_a_constant_is_known_exactly() -> None:
    # a resample of {0, 4} has mean 0 with probability 1/4, 2 with 1/2, 4 with 1/4: 95 % reach from end to end
    difference = bootstrap_difference([0.0, 4.0], [1.0, 1.0])
    assert (difference.mean, difference.low, difference.high) == (1.0, -1.0, 3.0)
    assert difference.indicative
    assert not difference.clear


def test_bootstrap_interval_has_the_width_of_normal_theory() -> None:
    generator = np.random.default_rng(3)
    ours, theirs = generator.normal(1.0, 1.0, 200).tolist(), generator.normal(0.0, 2.0, 200).tolist()
    difference = bootstrap_difference(ours, theirs)
    error = math.sqrt(np.var(ours) / 200 + np.var(theirs) / 200)
    assert difference.high - difference.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert difference.low < difference.mean < difference.high


def test_bootstrap_is_seeded() -> None:
    ours, theirs = [1.0, 3.0, 8.0], [0.0, 2.0, 2.5]
    assert bootstrap_difference(ours, theirs) == bootstrap_difference(ours, theirs)
    others = {bootstrap_difference([*ours, 0.3 * n], theirs, samples=50, seed=n).low for n in range(5)}
    assert len(others) > 1


def test_one_run_has_no_interval() -> None:
    difference = bootstrap_difference([4.0], [1.0, 2.0])
    assert difference.mean == 2.5
    assert math.isnan(difference.low)
    assert math.isnan(difference.high)
    assert not difference.clear
