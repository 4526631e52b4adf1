"""How far a statistic of a few runs can be trusted: stratified bootstrap intervals.

Runs are resampled within each task (Agarwal et al. 2021). The percentiles of a few runs' resamples are too narrow:
a resample of n runs spreads (n - 1) / n as much as the runs, and knows as little of the tails as Student's t corrects
for. So each percentile is moved away from the point by what both come to. docs/statistics.md has the coverage.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm, t

from marlpipe.analysis.statistics.aggregates import Aggregate, Scores, iqm
from marlpipe.analysis.statistics.curves import FEW_SEEDS

SAMPLES = 2000  # resamples
LEVEL = 0.95


class Interval(NamedTuple):
    """A statistic of several runs and how far it can be trusted."""

    point: float  # NaN where a task has no run left
    low: float  # NaN where a task has a single run: one number says nothing of its spread
    high: float
    runs: int  # counted
    left_out: int  # runs whose score is not finite
    points: tuple[float, ...]  # what each counted run scored; of a probability of improvement, what each task has
    indicative: bool  # a task has fewer than five runs: show the points then, not only a band


class Band(NamedTuple):
    """The same at each of G places."""

    point: Float[np.ndarray, " G"]
    low: Float[np.ndarray, " G"]  # NaN where a task has a single run
    high: Float[np.ndarray, " G"]
    runs: int
    left_out: int  # runs with anything that is not finite
    indicative: bool


def interval(
    scores: Scores, statistic: Aggregate = iqm, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Interval:
    """A statistic with its interval; the same scores give the same one.

    Args:
        samples: bootstrap resamples.
        seed: of the resampling.
        level: how often such an interval should hold the true value.
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
    """The statistic over runs at each point of their curves, with an interval at each: 95 % per point, not of all.

    A resample takes whole curves. Runs with a NaN anywhere are left out as a whole.

    Args:
        statistic: `iqm` or `mean`, which are trimmed means of one task's runs.
        samples, seed, level: as for `interval`.

    Raises:
        ValueError: another statistic.
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
    """The scores without those that are not finite, and how many these are."""
    kept = {task: np.asarray(runs, dtype=np.float64)[np.isfinite(runs)] for task, runs in scores.items()}
    return kept, sum(map(len, scores.values())) - sum(map(len, kept.values()))


def few(sizes: Sequence[int]) -> bool:
    """Whether an interval of so many runs by task only indicates."""
    return min(sizes, default=0) < FEW_SEEDS


def times_drawn(n: int, samples: int, generator: np.random.Generator) -> Int[np.ndarray, "S R"]:
    """How often each of n runs is in each resample."""
    return generator.multinomial(n, np.full(n, 1 / n), size=samples)


def stretch(runs: int, strata: int, level: float, *, trims: bool = False) -> float:
    """How much further from the point the percentiles must be than they are; above 1, and 1 for many runs.

    Args:
        runs: of all strata together.
        strata: groups that are resampled one by one, each with a mean of its own.
        trims: the extremes of the only stratum do not count, and the narrowness of resamples does not show.
    """
    degrees, upper = runs - strata, (1 + level) / 2
    narrow = 1.0 if trims else math.sqrt(runs / degrees)
    return narrow * float(t.ppf(upper, degrees) / norm.ppf(upper))


def stretched(
    resampled: Float[np.ndarray, "S *G"], point: Float[np.ndarray, "*G"], factor: float, level: float
) -> tuple[Float[np.ndarray, "*G"], Float[np.ndarray, "*G"]]:
    """The percentiles of the resamples, each `factor` times as far from the point."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(point + factor * (low - point)), np.asarray(point + factor * (high - point))


def _trimmed_means(values: Float[np.ndarray, " R"], drawn: Int[np.ndarray, "S R"], cut: int) -> Float[np.ndarray, " S"]:
    """The means of resamples without their `cut` lowest and highest, from sorted values and how often each is drawn.

    With C_j draws up to the j-th value, of which between `cut` and R - `cut` count, the kept ones sum to
    (R - cut) v_R - cut v_1 - sum_j clip(C_j) (v_{j+1} - v_j): no resample is ever sorted.
    """
    n, order = len(values), np.argsort(values)
    ascending = values[order]
    upto = np.cumsum(drawn.T[order], axis=0)[:-1].clip(cut, n - cut)  # R-1 S
    total = (n - cut) * ascending[-1] - cut * ascending[0] - np.diff(ascending) @ upto
    return np.asarray(total / (n - 2 * cut))
