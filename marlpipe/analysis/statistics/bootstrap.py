"""Stratified bootstrap confidence intervals of statistics over few runs.

Runs are resampled within each task (Agarwal et al. 2021). The percentiles of a few runs' resamples are too narrow:
a resample of n runs has (n - 1) / n of the variance of the runs, and the tails need the correction of Student's t.
Each percentile is therefore moved away from the point estimate by both factors. docs/statistics.md has the coverage.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri, stdtrit  # scipy.stats, which has the same functions, takes 1.4 s more to import

from marlpipe.analysis.statistics.aggregates import Aggregate, Scores, iqm
from marlpipe.analysis.statistics.curves import FEW_SEEDS

SAMPLES = 2000  # resamples
LEVEL = 0.95


class Interval(NamedTuple):
    """A statistic over runs with its confidence interval."""

    point: float  # NaN where a task has no run with a finite score
    low: float  # NaN where a task has a single run, which has no spread
    high: float
    runs: int  # counted
    left_out: int  # runs whose score is not finite
    points: tuple[float, ...]  # the score of each counted run; of a probability of improvement, that of each task
    indicative: bool  # a task has fewer than five runs: the points should be shown as well


class Band(NamedTuple):
    """A statistic over runs with its interval at each of G grid points."""

    point: Float[np.ndarray, " G"]
    low: Float[np.ndarray, " G"]  # NaN where a task has a single run
    high: Float[np.ndarray, " G"]
    runs: int
    left_out: int  # runs with a value that is not finite
    indicative: bool


def interval(
    scores: Scores, statistic: Aggregate = iqm, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Interval:
    """A statistic with its interval, a deterministic function of the scores.

    Args:
        samples: bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage.
    """
    tasks, left_out = finite(scores)
    sizes = [len(runs) for runs in tasks.values()]
    point = statistic(tasks)
    bounds = (math.nan, math.nan)
    if min(sizes, default=0) > 1:
        generator = np.random.default_rng(seed)
        resampled = [
            runs[generator.integers(len(runs), size=(samples, len(runs)))] for runs in tasks.values()
        ]  # S R each
        trims = len(sizes) == 1 and int((statistic.trimmed or 0) * sizes[0]) > 0
        factor = stretch(sum(sizes), len(sizes), level, trims=trims)
        low, high = stretched(statistic.over(resampled), np.array(point), factor, level)
        bounds = (max(float(low), statistic.least), float(high))
    points = tuple(float(score) for runs in tasks.values() for score in runs)
    return Interval(point, *bounds, len(points), left_out, points, few(sizes))


def curve_interval(
    curves: Float[np.ndarray, "R G"],
    statistic: Aggregate = iqm,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Band:
    """The statistic over runs at each grid point, with pointwise (not simultaneous) intervals.

    Whole curves are resampled. Runs with a value that is not finite are left out.

    Args:
        statistic: `iqm` or `mean`, which are trimmed means of one task's runs.
        samples, seed, level: as for `interval`.

    Raises:
        ValueError: the statistic is no trimmed mean.
    """
    if statistic.trimmed is None:
        raise ValueError(f"there is no band of the {statistic.name}: use iqm or mean")
    whole = curves[np.isfinite(curves).all(axis=1)]
    n, left_out = len(whole), len(curves) - len(whole)
    unknown = np.full(curves.shape[1], math.nan)
    if n == 0:
        return Band(unknown, unknown, unknown, 0, left_out, few([0]))
    cut = int(statistic.trimmed * n)
    point = np.sort(whole, axis=0)[cut : n - cut].mean(axis=0)
    if n == 1:
        return Band(point, unknown, unknown, n, left_out, few([n]))
    drawn = times_drawn(n, samples, np.random.default_rng(seed))
    resampled = np.array([_trimmed_means(at, drawn, cut) for at in whole.T]).reshape(-1, samples).T  # S G
    low, high = stretched(resampled, point, stretch(n, 1, level, trims=cut > 0), level)
    return Band(point, low, high, n, left_out, few([n]))


def finite(scores: Scores) -> tuple[dict[str, Float[np.ndarray, " _"]], int]:
    """The finite scores, and how many are not finite."""
    kept = {task: np.asarray(runs, dtype=np.float64)[np.isfinite(runs)] for task, runs in scores.items()}
    return kept, sum(map(len, scores.values())) - sum(map(len, kept.values()))


def few(sizes: Sequence[int]) -> bool:
    """Whether an interval of that many runs per task is only indicative."""
    return min(sizes, default=0) < FEW_SEEDS


def times_drawn(n: int, samples: int, generator: np.random.Generator) -> Int[np.ndarray, "S R"]:
    """How often each of n runs is drawn in each resample."""
    return generator.multinomial(n, np.full(n, 1 / n), size=samples)


def stretch(runs: int, strata: int, level: float, *, trims: bool = False) -> float:
    """The factor by which percentiles move away from the point estimate: above 1, and towards 1 for many runs.

    Args:
        runs: of all strata together.
        strata: groups that are resampled separately.
        trims: the statistic trims the only stratum, where the smaller variance of resamples has no effect.
    """
    degrees, upper = runs - strata, (1 + level) / 2
    narrow = 1.0 if trims else math.sqrt(runs / degrees)
    return narrow * float(stdtrit(degrees, upper) / ndtri(upper))


def stretched(
    resampled: Float[np.ndarray, "S *G"], point: Float[np.ndarray, "*G"], factor: float, level: float
) -> tuple[Float[np.ndarray, "*G"], Float[np.ndarray, "*G"]]:
    """The percentiles of the resamples, moved to `factor` times their distance from the point estimate."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(point + factor * (low - point)), np.asarray(point + factor * (high - point))


def _trimmed_means(values: Float[np.ndarray, " R"], drawn: Int[np.ndarray, "S R"], cut: int) -> Float[np.ndarray, " S"]:
    """Trimmed means of resamples, `cut` values dropped at either end, without sorting any resample.

    With C_j the number of draws among the j lowest values, clipped to [cut, R - cut], the kept draws sum to
    (R - cut) v_R - cut v_1 - sum_j clip(C_j) (v_{j+1} - v_j).
    """
    n, order = len(values), np.argsort(values)
    ascending = values[order]
    upto = np.cumsum(drawn.T[order], axis=0)[:-1].clip(cut, n - cut)  # R-1 S
    total = (n - cut) * ascending[-1] - cut * ascending[0] - np.diff(ascending) @ upto
    return np.asarray(total / (n - 2 * cut))
