"""Means over runs and interpolation of evaluation curves to common env steps, as pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Curve = tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]  # env steps of the evaluations, their mean returns

FEW_SEEDS = 5  # with fewer, an interval is only indicative: a bootstrap resamples the observed runs only


class Spread(NamedTuple):
    """Mean and standard deviation over runs."""

    mean: float
    std: float  # of the sample (n - 1); NaN for a single run
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation over runs; without runs both are NaN."""
    given = np.asarray(values, dtype=np.float64)
    mean = float(given.mean()) if len(given) else float("nan")
    std = float(given.std(ddof=1)) if len(given) > 1 else float("nan")
    return Spread(mean, std, len(given))


def common_grid(curves: Sequence[Curve]) -> Int[np.ndarray, " G"]:
    """The env steps of all curves, within the range that all of them cover. Empty curves are ignored."""
    evaluated = [env_steps for env_steps, _ in curves if len(env_steps)]
    if not evaluated:
        return np.array([], dtype=np.int64)
    first = max(int(env_steps[0]) for env_steps in evaluated)
    last = min(int(env_steps[-1]) for env_steps in evaluated)
    grid = np.unique(np.concatenate(evaluated))
    return grid[(grid >= first) & (grid <= last)]


def on_grid(curves: Sequence[Curve], grid: Int[np.ndarray, " G"]) -> Float[np.ndarray, "R G"]:
    """The non-empty curves, one per row, interpolated linearly at common env steps."""
    rows = [np.interp(grid, env_steps, returns) for env_steps, returns in curves if len(env_steps)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(grid))
