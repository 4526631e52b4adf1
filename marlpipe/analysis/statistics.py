"""The statistics of a comparison, as pure functions of arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Curve = tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]  # env steps of the evaluations, their mean returns

FEW_SEEDS = 5  # with fewer, an interval only indicates: a bootstrap cannot know of runs that it never saw


class Spread(NamedTuple):
    """Several runs in three numbers."""

    mean: float
    std: float  # of the sample (n - 1); NaN for a single run
    n: int


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


def final_return(returns: Float[np.ndarray, " K"]) -> float:
    """The mean of the last tenth of the evaluations, at least one. NaN where there is none."""
    if len(returns) == 0:
        return float("nan")
    return float(returns[-max(1, len(returns) // 10) :].mean())


def area_under_curve(env_steps: Int[np.ndarray, " K"], returns: Float[np.ndarray, " K"]) -> float:
    """The mean height of a learning curve, in units of return: its trapezoid area over the env steps it spans.

    A single evaluation is its own height; without any it is NaN.
    """
    if len(returns) < 2:
        return float(returns[0]) if len(returns) else float("nan")
    span = float(env_steps[-1] - env_steps[0])
    return float(np.trapezoid(returns, env_steps) / span)


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation over runs; without runs both are NaN."""
    given = np.asarray(values, dtype=np.float64)
    mean = float(given.mean()) if len(given) else float("nan")
    std = float(given.std(ddof=1)) if len(given) > 1 else float("nan")
    return Spread(mean, std, len(given))


def common_grid(curves: Sequence[Curve]) -> Int[np.ndarray, " G"]:
    """All env steps at which a curve was evaluated, within the range that every curve covers. Empty curves are out."""
    evaluated = [env_steps for env_steps, _ in curves if len(env_steps)]
    if not evaluated:
        return np.array([], dtype=np.int64)
    first = max(int(env_steps[0]) for env_steps in evaluated)
    last = min(int(env_steps[-1]) for env_steps in evaluated)
    grid = np.unique(np.concatenate(evaluated))
    return grid[(grid >= first) & (grid <= last)]


def on_grid(curves: Sequence[Curve], grid: Int[np.ndarray, " G"]) -> Float[np.ndarray, "R G"]:
    """The curves that have evaluations, one per row, interpolated linearly to common env steps."""
    rows = [np.interp(grid, env_steps, returns) for env_steps, returns in curves if len(env_steps)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(grid))


def bootstrap_difference(
    ours: Sequence[float], theirs: Sequence[float], *, samples: int = 10_000, seed: int = 0
) -> Difference:
    """How much higher the mean of `ours` is, with a percentile bootstrap over independent runs.

    Args:
        ours, theirs: one number per run.
        samples: bootstrap resamples.
        seed: of the resampling: the same runs give the same interval.
    """
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    mean = spread(ours).mean - spread(theirs).mean
    indicative = min(len(first), len(second)) < FEW_SEEDS
    if min(len(first), len(second)) < 2:
        return Difference(mean, float("nan"), float("nan"), indicative)
    generator = np.random.default_rng(seed)
    resampled = _resampled_means(first, samples, generator) - _resampled_means(second, samples, generator)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Difference(mean, float(low), float(high), indicative)


def _resampled_means(
    values: Float[np.ndarray, " R"], samples: int, generator: np.random.Generator
) -> Float[np.ndarray, " S"]:
    drawn = generator.integers(len(values), size=(samples, len(values)))
    means: Float[np.ndarray, " S"] = values[drawn].mean(axis=1)
    return means
