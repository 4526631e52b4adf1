"""How soon a run is good: env steps and minutes until its return first reaches a threshold."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from marlpipe.analysis.runs import EVAL_RETURN, Run


class Reached(NamedTuple):
    """When a run first got to a threshold; None if it never did."""

    env_steps: float | None
    minutes: float | None  # also None where the run did not record its time


def reached(run: Run, threshold: float) -> Reached:
    """When the run's mean return was first that high.

    Raises:
        UserError: the run's metrics cannot be read.
    """
    minutes = first_reach(evaluation_times(run) / 60, run.returns, threshold)
    timed = minutes is not None and math.isfinite(minutes)
    return Reached(first_reach(run.env_steps, run.returns, threshold), minutes if timed else None)


def evaluation_times(run: Run) -> Float[np.ndarray, " K"]:
    """Seconds that the run had worked at each evaluation; NaN where they were not recorded."""
    rows = {row.get("env_steps"): row for row in run.folder.read_metrics() if EVAL_RETURN in row}
    return np.array([rows.get(step, {}).get("wall_s", math.nan) for step in run.env_steps.tolist()], dtype=np.float64)


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
