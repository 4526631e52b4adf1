"""The difference of two arms' mean returns, with a bootstrap interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri, stdtrit

from marlpipe.analysis.statistics.bootstrap import LEVEL, few
from marlpipe.analysis.statistics.curves import spread


class Difference(NamedTuple):
    """Mean of one arm minus that of another, with its 95 % interval."""

    mean: float
    low: float  # NaN where an arm has a single run, which has no spread
    high: float
    indicative: bool  # an arm has fewer than five runs

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def bootstrap_difference(
    ours: Sequence[float], theirs: Sequence[float], *, samples: int = 10_000, seed: int = 0, level: float = LEVEL
) -> Difference:
    """Mean of `ours` minus mean of `theirs`, with runs resampled within each arm.

    Percentiles of few runs are too narrow, as in bootstrap.py: deviations of an arm of n runs are scaled by
    sqrt(n / (n - 1)), and percentiles of the difference by Student's t over the normal quantile, with the degrees of
    freedom of Welch (1947), since arms may differ in size and variance.

    Args:
        ours, theirs: one number per run.
        samples: bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (ours, theirs)]
    sizes = [len(arm) for arm in arms]
    mean = spread(ours).mean - spread(theirs).mean
    if min(sizes) < 2:
        return Difference(mean, float("nan"), float("nan"), few(sizes))
    generator = np.random.default_rng(seed)
    first, second = (_deviations(arm, samples, generator) for arm in arms)
    upper = (1 + level) / 2
    low, high = np.quantile(first - second, [1 - upper, upper]) * stdtrit(_degrees(arms), upper) / ndtri(upper)
    return Difference(mean, mean + float(low), mean + float(high), few(sizes))


def _deviations(
    values: Float[np.ndarray, " R"], samples: int, generator: np.random.Generator
) -> Float[np.ndarray, " S"]:
    """Deviations of resampled means from the mean, scaled to the spread of means of new runs."""
    n = len(values)
    drawn = generator.integers(n, size=(samples, n))
    return np.asarray(math.sqrt(n / (n - 1)) * (values[drawn].mean(axis=1) - values.mean()))


def _degrees(arms: Sequence[Float[np.ndarray, " _"]]) -> float:
    """Degrees of freedom of the difference of two means (Welch 1947); infinite where no arm varies."""
    variances = [arm.var(ddof=1) / len(arm) for arm in arms]
    weighted = sum(variance**2 / (len(arm) - 1) for variance, arm in zip(variances, arms, strict=True))
    return float(sum(variances) ** 2 / weighted) if weighted else math.inf
