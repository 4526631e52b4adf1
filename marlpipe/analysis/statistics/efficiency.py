"""How soon a run is good: env steps and minutes until its return first reaches a threshold."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped


def first_reach(at: Shaped[np.ndarray, " K"], returns: Float[np.ndarray, " K"], threshold: float) -> float | None:
    """Where a curve first reaches a threshold, on the straight line from the evaluation before; None if never.

    Args:
        at: where each evaluation was, in any unit, increasing.
        returns: of the evaluations. One that is NaN is passed over.
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
    """The median over runs, where never is infinity: infinite if half of them never got there. NaN without runs.

    Between a time and never, of an even number of runs, it is never.
    """
    if not times:
        return float("nan")
    return float(np.median([np.inf if time is None else time for time in times]))
