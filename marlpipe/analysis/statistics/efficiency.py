"""Sample efficiency: env steps or time until the return of a run first reaches a threshold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Curve = tuple[Shaped[np.ndarray, " _"], Float[np.ndarray, " _"], Float[np.ndarray, " _"]]


def first_reach(at: Shaped[np.ndarray, " K"], returns: Float[np.ndarray, " K"], threshold: float) -> float | None:
    """Where a curve first reaches a threshold, interpolated linearly between evaluations; None if it never does.

    Args:
        at: env steps or times of the evaluations, increasing.
        returns: of the evaluations; NaN is skipped.
    """
    known = np.isfinite(returns)
    at, returns = at[known].astype(np.float64), returns[known]
    high = np.flatnonzero(returns >= threshold)
    if len(high) == 0:
        return None
    first = int(high[0])
    if first == 0:
        return float(at[0])
    share = (threshold - returns[first - 1]) / (returns[first] - returns[first - 1])
    return float(at[first - 1] + share * (at[first] - at[first - 1]))


def median_reached(times: Sequence[float | None]) -> float:
    """The median over runs, a run that never reached it counting as infinite. NaN without runs.

    With an even number of runs, the median of a finite and an infinite time is infinite.
    """
    if not times:
        return float("nan")
    return float(np.median([np.inf if time is None else time for time in times]))


class Reached(NamedTuple):
    """How soon the runs of an arm reach a return."""

    runs: int
    reached: int  # of them
    env_steps: float  # median over runs; infinite where half of them never reach it, NaN without runs
    minutes: float  # of training, likewise; NaN also where a run did not record its time


def reached(curves: Sequence[Curve], threshold: float) -> Reached:
    """Of runs, each with the env steps, the minutes and the returns of its evaluations."""
    steps = [first_reach(env_steps, returns, threshold) for env_steps, _, returns in curves]
    minutes = [first_reach(times, returns, threshold) for _, times, returns in curves]
    return Reached(len(steps), sum(at is not None for at in steps), median_reached(steps), median_reached(minutes))
