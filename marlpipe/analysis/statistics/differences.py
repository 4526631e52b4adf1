"""How much better one arm is than another."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

from marlpipe.analysis.statistics.bootstrap import LEVEL, few
from marlpipe.analysis.statistics.curves import spread


class Difference(NamedTuple):
    """How much higher one arm is than another, with its 95 % interval."""

    mean: float
    low: float  # NaN where an arm has a single run: one number says nothing of its spread
    high: float
    indicative: bool  # an arm has fewer than five runs

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def bootstrap_difference(
    ours: Sequence[float], theirs: Sequence[float], *, samples: int = 10_000, seed: int = 0, level: float = LEVEL
) -> Difference:
    """How much higher the mean of `ours` is, from runs resampled within each arm.

    Percentiles of few runs are too narrow, as in bootstrap.py. An arm of n runs spreads its resamples
    by sqrt(n / (n - 1)) more, and the percentiles of the difference are moved as Student's t corrects, with the
    degrees of freedom of Welch (1947): arms may differ in size and spread.

    Args:
        ours, theirs: one number per run.
        samples: bootstrap resamples.
        seed: of the resampling: the same runs give the same interval.
        level: how often such an interval should hold the true difference.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (ours, theirs)]
    sizes = [len(arm) for arm in arms]
    mean = spread(ours).mean - spread(theirs).mean
    if min(sizes) < 2:
        return Difference(mean, float("nan"), float("nan"), few(sizes))
    generator = np.random.default_rng(seed)
    first, second = (_deviations(arm, samples, generator) for arm in arms)
    upper = (1 + level) / 2
    low, high = np.quantile(first - second, [1 - upper, upper]) * t.ppf(upper, _degrees(arms)) / norm.ppf(upper)
    return Difference(mean, mean + float(low), mean + float(high), few(sizes))


def _deviations(
    values: Float[np.ndarray, " R"], samples: int, generator: np.random.Generator
) -> Float[np.ndarray, " S"]:
    """Of resampled means from the mean, as far as means of as many new runs would lie."""
    n = len(values)
    drawn = generator.integers(n, size=(samples, n))
    return np.asarray(math.sqrt(n / (n - 1)) * (values[drawn].mean(axis=1) - values.mean()))


def _degrees(arms: Sequence[Float[np.ndarray, " _"]]) -> float:
    """Of freedom, of the difference of two means (Welch 1947); infinite where no arm spreads."""
    variances = [arm.var(ddof=1) / len(arm) for arm in arms]
    told = sum(variance**2 / (len(arm) - 1) for variance, arm in zip(variances, arms, strict=True))
    return float(sum(variances) ** 2 / told) if told else math.inf
