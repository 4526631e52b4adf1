"""Profiles and the probability of improvement against numbers that were computed by hand."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from marlpipe.analysis.statistics.profiles import performance_profile, probability_of_improvement


def runs(*scores: float) -> np.ndarray:
    return np.array(scores, dtype=np.float64)


def test_a_profile_weighs_tasks_alike() -> None:
    scores = {"a": runs(0, 1), "b": runs(1, 2, 3, 4)}
    found = performance_profile(scores, runs(-1, 0, 1, 2.5, 4))
    # above 0: one of two, and all; above 1: none, and three of four
    assert found.point == pytest.approx([1, (0.5 + 1) / 2, 0.75 / 2, 0.5 / 2, 0])
    assert (found.low <= found.point).all()
    assert (found.high >= found.point).all()
    assert (found.low >= 0).all()
    assert (found.high <= 1).all()
    assert found.low[2] < found.point[2] < found.high[2]
    assert (found.runs, found.left_out, found.indicative) == (6, 0, True)


def test_a_profile_leaves_out_what_is_not_finite() -> None:
    scores, thresholds = {"a": runs(1, 2, 3, 4, 5)}, runs(2.5)
    whole = performance_profile(scores, thresholds)
    found = performance_profile({"a": runs(1, 2, math.nan, 3, 4, 5)}, thresholds)
    assert found.point == whole.point == 0.6
    assert (found.low, found.high) == (whole.low, whole.high)
    assert (found.runs, found.left_out, found.indicative) == (5, 1, False)


@pytest.mark.parametrize("scores", [{}, {"a": runs()}, {"a": runs(1, 2), "b": runs(math.nan)}])
def test_a_profile_of_nothing(scores: dict[str, np.ndarray]) -> None:
    found = performance_profile(scores, runs(0, 1))
    assert np.isnan(found[:3]).all()
    assert found.indicative


def test_a_profile_of_one_run_has_no_interval() -> None:
    found = performance_profile({"a": runs(1)}, runs(0, 1))
    assert found.point.tolist() == [1, 0]
    assert np.isnan([found.low, found.high]).all()


def test_the_probability_of_improvement_by_hand() -> None:
    ours = {"a": runs(1, 2, 3), "b": runs(5, 5), "only ours": runs(9)}
    theirs = {"b": runs(5, 5, 5), "a": runs(2, 0), "only theirs": runs(9)}
    found = probability_of_improvement(ours, theirs)
    # of six pairs in a: 1 < 2, 1 > 0, 2 = 2, 2 > 0, 3 > 2, 3 > 0; in b all tie
    assert found.points == pytest.approx((4.5 / 6, 0.5))
    assert found.point == pytest.approx((0.75 + 0.5) / 2)
    assert 0 <= found.low < found.point < found.high <= 1
    assert (found.runs, found.left_out, found.indicative) == (10, 0, True)


def test_it_is_mann_whitneys_u() -> None:
    draw = np.random.default_rng(0)
    ours, theirs = draw.integers(0, 6, 9).astype(float), draw.integers(0, 6, 7).astype(float)
    u = mannwhitneyu(ours, theirs).statistic / (9 * 7)
    assert probability_of_improvement({"a": ours}, {"a": theirs}).point == pytest.approx(u)


def test_it_is_as_its_resamples_are() -> None:
    """Runs of both are resampled: with one run above and one below, of two against many alike ones."""
    found = probability_of_improvement({"a": runs(0, 2)}, {"a": runs(1, 1, 1, 1)}, samples=4000)
    assert (found.point, found.low, found.high) == (0.5, 0, 1)
    whole = probability_of_improvement({"a": runs(*range(10))}, {"a": runs(*range(10))}, samples=4000)
    # the standard error of U over 10 x 10 pairs of continuous scores is sqrt(21 / 1200)
    assert (whole.high - whole.low) / 2 == pytest.approx(2 * math.sqrt(21 / 1200), rel=0.15)


def test_the_other_way_round_it_is_the_rest() -> None:
    draw = np.random.default_rng(0)
    ours, theirs = {"a": draw.normal(size=8)}, {"a": draw.normal(size=5)}
    there, back = probability_of_improvement(ours, theirs), probability_of_improvement(theirs, ours)
    assert there.point + back.point == pytest.approx(1)


def test_without_common_tasks_or_runs_nothing_is_known() -> None:
    apart = probability_of_improvement({"a": runs(1, 2)}, {"b": runs(1, 2)})
    assert np.isnan(apart[:3]).all()
    gone = probability_of_improvement({"a": runs(1, 2)}, {"a": runs(math.nan)})
    assert np.isnan(gone[:3]).all()
    assert gone.left_out == 1
    single = probability_of_improvement({"a": runs(1, 2)}, {"a": runs(0)})
    assert single.point == 1.0
    assert math.isnan(single.low)
    assert math.isnan(single.high)
