"""Differences against what is known of them without a bootstrap."""

import math

import numpy as np
import pytest

from marlpipe.analysis.statistics.differences import bootstrap_difference


def test_bootstrap_of_runs_that_agree_has_no_width() -> None:
    difference = bootstrap_difference([5.0] * 6, [3.0] * 5)
    assert (difference.mean, difference.low, difference.high) == (2.0, 2.0, 2.0)
    assert not difference.indicative
    assert difference.clear


def test_bootstrap_of_two_against_a_constant_is_known_exactly() -> None:
    # a resample of {0, 4} has mean 0 with probability 1/4, 2 with 1/2, 4 with 1/4: 95 % reach from -2 to 2 around the
    # mean; times sqrt(2 / 1), and t of one degree of freedom, 12.70620, over z, 1.95996
    difference = bootstrap_difference([0.0, 4.0], [1.0, 1.0])
    assert difference.mean == 1.0
    assert (difference.low, difference.high) == pytest.approx((1 - 18.33634, 1 + 18.33634), rel=1e-5)
    assert difference.indicative
    assert not difference.clear


def test_bootstrap_interval_has_the_width_of_normal_theory() -> None:
    generator = np.random.default_rng(3)
    ours, theirs = generator.normal(1.0, 1.0, 200).tolist(), generator.normal(0.0, 2.0, 200).tolist()
    difference = bootstrap_difference(ours, theirs)
    error = math.sqrt(np.var(ours) / 200 + np.var(theirs) / 200)
    assert difference.high - difference.low == pytest.approx(2 * 1.96 * error, rel=0.05)  # with so many runs
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
