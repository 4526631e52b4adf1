"""Intervals: what they are made of, what they leave out, and how often they hold the truth."""

import math

import numpy as np
import pytest

from marlpipe.analysis.statistics.aggregates import Aggregate, iqm, mean, optimality_gap
from marlpipe.analysis.statistics.bootstrap import Band, curve_interval, interval, stretch, times_drawn

# of quantiles -log(1 - u), the mean over u from 1/4 to 3/4
EXPONENTIAL_IQM = 2 * (0.75 - 0.75 * math.log(0.75) - 0.25 + 0.25 * math.log(0.25))


def runs(*scores: float) -> np.ndarray:
    return np.array(scores, dtype=np.float64)


def test_two_runs_by_hand() -> None:
    # resampled means of 0 and 4: a quarter is 0, a quarter is 4; Student's t for one degree of freedom is 12.706
    found = interval({"a": runs(0, 4)}, mean)
    factor = math.sqrt(2) * 12.7062 / 1.95996
    assert found[:3] == pytest.approx((2.0, 2 - 2 * factor, 2 + 2 * factor), rel=1e-4)
    assert (found.runs, found.left_out, found.points, found.indicative) == (2, 0, (0.0, 4.0), True)


def test_the_stretch_by_hand() -> None:
    assert stretch(10, 1, 0.95) == pytest.approx(math.sqrt(10 / 9) * 2.26216 / 1.95996, rel=1e-5)
    assert stretch(10, 1, 0.95, trims=True) == pytest.approx(2.26216 / 1.95996, rel=1e-5)
    assert stretch(15, 3, 0.9) == pytest.approx(math.sqrt(15 / 12) * 1.78229 / 1.64485, rel=1e-5)
    assert stretch(10**6, 3, 0.95) == pytest.approx(1, abs=1e-4)


def test_an_interval_of_the_mean_is_as_wide_as_students() -> None:
    scores = np.random.default_rng(0).normal(size=12)
    point, low, high, *_ = interval({"a": scores}, mean, samples=200_000)
    half = 2.20099 * scores.std(ddof=1) / math.sqrt(12)
    assert (high - low) / 2 == pytest.approx(half, rel=0.02)
    assert (high + low) / 2 == pytest.approx(point, abs=0.1 * half)


def test_no_interval_reaches_where_no_value_is() -> None:
    scores = {"a": runs(0.9, 1, 1, 1, 1, 1)}
    assert interval(scores, optimality_gap).low == 0
    assert interval(scores, mean).high > 1


def test_runs_stay_within_their_tasks() -> None:
    """Tasks far apart, each without spread: resampling across tasks would make a wide interval."""
    found = interval({"a": runs(0, 0, 0), "b": runs(100, 100, 100)}, mean)
    assert found[:3] == (50, 50, 50)


def test_the_seed_decides() -> None:
    scores = {"a": np.random.default_rng(0).normal(size=9)}
    assert interval(scores) == interval(scores)
    assert interval(scores, seed=1) != interval(scores)


def test_a_higher_level_is_wider() -> None:
    scores = {"a": np.random.default_rng(0).normal(size=9)}
    narrow, usual = interval(scores, level=0.8), interval(scores)
    assert usual.low < narrow.low < narrow.point < narrow.high < usual.high


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    whole = interval({"a": runs(1, 2, 3), "b": runs(4, 6)})
    assert interval({"a": runs(1, math.nan, 2, 3), "b": runs(math.inf, 4, 6)}) == whole._replace(left_out=2)


@pytest.mark.parametrize(
    ("scores", "point", "counted", "left_out"),
    [
        ({}, math.nan, 0, 0),
        ({"a": runs()}, math.nan, 0, 0),
        ({"a": runs(math.nan)}, math.nan, 0, 1),
        ({"a": runs(7)}, 7.0, 1, 0),
        ({"a": runs(7), "b": runs(1, 2, 3)}, 4.5, 4, 0),
        ({"a": runs(7, 8), "b": runs(math.nan)}, math.nan, 2, 1),
    ],
)
def test_one_run_of_a_task_has_no_interval(
    scores: dict[str, np.ndarray], point: float, counted: int, left_out: int
) -> None:
    found = interval(scores, mean)
    assert found.point == pytest.approx(point, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.runs, found.left_out, found.indicative) == (counted, left_out, True)


def test_five_runs_in_each_task_are_not_few() -> None:
    assert not interval({"a": runs(1, 2, 3, 4, 5)}).indicative
    assert interval({"a": runs(1, 2, 3, 4, 5), "b": runs(1, 2, 3, 4)}).indicative


@pytest.mark.parametrize("statistic", [iqm, mean])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 9])
def test_a_curve_is_at_each_point_as_its_resamples_are(statistic: Aggregate, n: int) -> None:
    """From sorted values and counts, beside the statistic of each resample written out."""
    curves = np.random.default_rng(n).normal(size=(n, 4))
    curves[:, 3] = curves[0, 3]
    found = curve_interval(curves, statistic, samples=300, seed=5)
    drawn = times_drawn(n, 300, np.random.default_rng(5))
    factor = stretch(n, 1, 0.95, trims=statistic is iqm and n >= 4)
    for at, values in enumerate(curves.T):
        point = statistic({"a": values})
        resampled = [statistic({"a": np.repeat(values, counts)}) for counts in drawn]
        low, high = np.quantile(resampled, [0.025, 0.975])
        expected = (point, point + factor * (low - point), point + factor * (high - point))
        assert (found.point[at], found.low[at], found.high[at]) == pytest.approx(expected)


def test_a_curve_and_a_score_have_the_same_interval() -> None:
    scores = np.random.default_rng(0).normal(size=10)
    one, band = interval({"a": scores}, samples=100_000), curve_interval(scores[:, None], samples=100_000)
    assert (band.point[0], band.low[0], band.high[0]) == pytest.approx(one[:3], abs=0.01)


def told(band: Band) -> tuple[int, int, bool]:
    return band.runs, band.left_out, band.indicative


def test_a_curve_with_a_gap_is_left_out_as_a_whole() -> None:
    curves = np.array([[1.0, 2.0], [3.0, 4.0], [math.nan, 100.0]])
    found = curve_interval(curves)
    assert found.point == pytest.approx([2, 3])
    assert told(found) == (2, 1, True)


def test_bands_of_one_run_and_of_none() -> None:
    one = curve_interval(np.array([[1.0, 2.0]]))
    assert one.point.tolist() == [1, 2]
    assert np.isnan([one.low, one.high]).all()
    assert told(one) == (1, 0, True)
    none = curve_interval(np.array([[math.nan, 2.0]]))
    assert np.isnan(none[:3]).all()
    assert told(none) == (0, 1, True)
    assert curve_interval(np.zeros((5, 0))).point.shape == curve_interval(np.zeros((5, 0))).low.shape == (0,)


def test_a_band_is_of_a_trimmed_mean() -> None:
    with pytest.raises(ValueError, match="use iqm or mean"):
        curve_interval(np.zeros((5, 3)), optimality_gap)


@pytest.mark.parametrize(
    ("statistic", "shape", "truth"),
    [
        (iqm, "normal", 0.0),
        (mean, "normal", 0.0),
        (iqm, "exponential", EXPONENTIAL_IQM),
    ],
)
def test_the_interval_of_ten_runs_holds_the_truth_as_often_as_it_says(
    statistic: Aggregate, shape: str, truth: float
) -> None:
    """400 times: 95 % ± 3 is three standard errors. Percentiles alone come to 90 % for the mean."""
    draw = np.random.default_rng(0)
    drawn = [getattr(draw, shape)(size=10) for _ in range(400)]
    found = [interval({"a": scores}, statistic, samples=500, seed=trial) for trial, scores in enumerate(drawn)]
    held = sum(one.low <= truth <= one.high for one in found)
    assert 0.92 <= held / 400 <= 0.98
