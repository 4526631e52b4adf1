"""The statistics beside rliable's: its numbers are kept here, and computed again where it is installed.

rliable 1.2.0 needs pandas < 3. These came from it with arch 7.2.0, numpy 2.4.6, pandas 2.3.3 and scipy 1.17.1; the
intervals from 50 000 resamples, whose own error is about 0.001.
"""

import importlib
from types import ModuleType

import numpy as np
import pytest

from marlpipe.analysis.statistics.aggregates import gap_to, iqm, mean, median
from marlpipe.analysis.statistics.bootstrap import interval, stretch
from marlpipe.analysis.statistics.profiles import performance_profile, probability_of_improvement

OURS = np.array(  # runs x tasks
    [
        [0.11, 0.52, 0.93],
        [0.25, 0.61, 1.05],
        [0.08, 0.47, 0.88],
        [0.31, 0.75, 0.97],
        [0.19, 0.58, 0.40],
        [0.02, 0.66, 1.10],
    ]
)
THEIRS = np.array([[0.10, 0.40, 0.97], [0.25, 0.70, 0.80], [0.05, 0.52, 0.93], [0.22, 0.30, 0.99]])
THRESHOLDS = np.array([0.0, 0.2, 0.5, 0.9, 1.05])

STATISTICS = {statistic.name: statistic for statistic in (iqm, mean, median, gap_to(1.0))}
INTERVALS = {  # the point, and the 95 % percentile interval
    "interquartile mean": (0.543, 0.444, 0.629),
    "mean": (0.5488888888888889, 0.4722222222222222, 0.6127777777777778),
    "median": (0.5983333333333333, 0.5283333333333333, 0.6733333333333333),
    "optimality gap": (0.45944444444444443, 0.4, 0.5316666666666665),
}
IMPROVEMENT = (0.5972222222222222, 0.38177083, 0.80555556)  # from 20 000 resamples
PROFILE = [  # at each threshold, from 50 000 resamples
    (1.0, 1.0, 1.0),
    (0.7777777777777778, 0.6666666666666666, 0.8888888888888888),
    (0.5555555555555556, 0.3888888888888889, 0.6666666666666666),
    (0.2222222222222222, 0.1111111111111111, 0.3333333333333333),
    (0.05555555555555555, 0.0, 0.16666666666666666),
]
NOISE = 0.02  # of percentiles of discrete resamples


def by_task(scores: np.ndarray) -> dict[str, np.ndarray]:
    return {f"task {number}": runs for number, runs in enumerate(scores.T)}


def percentiles(point: float, low: float, high: float, factor: float) -> tuple[float, float]:
    """What an interval was before it was stretched about its point."""
    return point + (low - point) / factor, point + (high - point) / factor


@pytest.mark.parametrize("name", INTERVALS)
def test_statistics_and_their_percentiles(name: str) -> None:
    point, *bounds = INTERVALS[name]
    found = interval(by_task(OURS), STATISTICS[name], samples=20_000)
    assert found.point == pytest.approx(point, abs=1e-12)
    factor = stretch(OURS.size, OURS.shape[1], 0.95)
    assert percentiles(*found[:3], factor) == pytest.approx(bounds, abs=NOISE)


def test_probability_of_improvement() -> None:
    point, *bounds = IMPROVEMENT
    found = probability_of_improvement(by_task(OURS), by_task(THEIRS), samples=20_000)
    assert found.point == pytest.approx(point, abs=1e-12)
    factor = stretch(OURS.size + THEIRS.size, 2 * OURS.shape[1], 0.95)
    assert percentiles(*found[:3], factor) == pytest.approx(bounds, abs=NOISE)


def test_performance_profile() -> None:
    found = performance_profile(by_task(OURS), THRESHOLDS, samples=20_000)
    assert found.point == pytest.approx([point for point, _, _ in PROFILE], abs=1e-12)
    factor = stretch(OURS.size, OURS.shape[1], 0.95)
    for (point, *bounds), low, high in zip(PROFILE[:-1], found.low, found.high, strict=False):  # the last is cut at 0
        assert percentiles(point, low, high, factor) == pytest.approx(bounds, abs=1e-9)


@pytest.fixture
def rliable_metrics() -> ModuleType:
    try:
        return importlib.import_module("rliable.metrics")
    except ImportError:
        pytest.skip("rliable is not installed, or not with a pandas before 3")


def test_rliable_still_says_so(rliable_metrics: ModuleType) -> None:
    rliable = {
        "interquartile mean": rliable_metrics.aggregate_iqm,
        "mean": rliable_metrics.aggregate_mean,
        "median": rliable_metrics.aggregate_median,
        "optimality gap": rliable_metrics.aggregate_optimality_gap,
    }
    draw = np.random.default_rng(0)
    for ours, theirs in [(OURS, THEIRS), *((draw.random((7, 4)), draw.random((3, 4))) for _ in range(5))]:
        for name, statistic in STATISTICS.items():
            assert statistic(by_task(ours)) == pytest.approx(rliable[name](ours), abs=1e-12)
        improvement = probability_of_improvement(by_task(ours), by_task(theirs), samples=10)
        assert improvement.point == pytest.approx(rliable_metrics.probability_of_improvement(ours, theirs), abs=1e-12)
