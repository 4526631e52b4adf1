"""Performance profiles and the probability of improvement (Agarwal et al. 2021, arXiv 2108.13264)."""

import math

import numpy as np
from jaxtyping import Float

from marlpipe.analysis.statistics.aggregates import Scores
from marlpipe.analysis.statistics.bootstrap import (
    LEVEL,
    SAMPLES,
    Band,
    Interval,
    few,
    finite,
    stretch,
    stretched,
    times_drawn,
)


def performance_profile(
    scores: Scores,
    thresholds: Float[np.ndarray, " G"],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Band:
    """The share of runs whose score is above each threshold, tasks weighted equally.

    Where all runs are on one side of a threshold, the interval has width zero, which is too narrow: no resample has a
    run on the other side.

    Args:
        samples, seed, level: as for `bootstrap.interval`.
    """
    tasks, left_out = finite(scores)
    sizes = [len(runs) for runs in tasks.values()]
    unknown = np.full(len(thresholds), math.nan)
    if min(sizes, default=0) == 0:
        return Band(unknown, unknown, unknown, sum(sizes), left_out, few(sizes))
    above = [(runs[:, None] > thresholds).astype(np.float64) for runs in tasks.values()]  # R G each
    share = np.asarray(np.mean([task.mean(axis=0) for task in above], axis=0))
    if min(sizes) == 1:
        return Band(share, unknown, unknown, sum(sizes), left_out, few(sizes))
    generator = np.random.default_rng(seed)
    resampled = [times_drawn(len(task), samples, generator) / len(task) @ task for task in above]  # S G each
    factor = stretch(sum(sizes), len(sizes), level)
    low, high = stretched(np.mean(resampled, axis=0), share, factor, level)
    return Band(share, low.clip(0, 1), high.clip(0, 1), sum(sizes), left_out, few(sizes))


def probability_of_improvement(
    ours: Scores, theirs: Scores, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> Interval:
    """P(a run of ours scores higher than one of theirs), averaged over the tasks that both have.

    Of each task it is Mann-Whitney's U divided by the number of pairs, ties counting one half. `points` has the value
    of each task, in the order of ours. Where all runs of one are above all runs of the other, the interval has width
    zero.

    Args:
        samples, seed, level: as for `bootstrap.interval`.
    """
    (first, first_out), (second, second_out) = finite(ours), finite(theirs)
    pairs = [(first[task], second[task]) for task in first if task in second]
    sizes = [len(runs) for pair in pairs for runs in pair]
    left_out = first_out + second_out
    if min(sizes, default=0) == 0:
        return Interval(math.nan, math.nan, math.nan, sum(sizes), left_out, (), few(sizes))
    wins = [(np.sign(our[:, None] - their) + 1) / 2 for our, their in pairs]  # R R' each
    points = tuple(float(won.mean()) for won in wins)
    point = float(np.mean(points))
    if min(sizes) == 1:
        return Interval(point, math.nan, math.nan, sum(sizes), left_out, points, few(sizes))
    generator = np.random.default_rng(seed)
    resampled = []
    for won in wins:
        mine, other = (times_drawn(n, samples, generator) / n for n in won.shape)
        resampled.append(((mine @ won) * other).sum(axis=1))  # S
    factor = stretch(sum(sizes), len(sizes), level)
    low, high = stretched(np.mean(resampled, axis=0), np.array(point), factor, level)
    bounds = (max(0.0, float(low)), min(1.0, float(high)))
    return Interval(point, *bounds, sum(sizes), left_out, points, few(sizes))
