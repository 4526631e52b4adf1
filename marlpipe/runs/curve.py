"""Summary statistics of one run's evaluations."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from marlpipe.runs.metrics import EVAL_RETURN, Row


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


def summary(rows: Iterable[Row]) -> dict[str, float]:
    """The final return, the area, and the best evaluation with its env steps; empty without a finite evaluation.

    Args:
        rows: of the run's log, in order. A non-finite evaluation makes the means that include it NaN.
    """
    curve = [(row["env_steps"], row[EVAL_RETURN]) for row in rows if EVAL_RETURN in row]
    if not any(math.isfinite(height) for _, height in curve):
        return {}
    env_steps, returns = np.array(curve).T
    best = int(np.where(np.isfinite(returns), returns, -math.inf).argmax())
    return {
        "final/return": final_return(returns),
        "final/area": area_under_curve(env_steps.astype(np.int64), returns),
        "best/return": float(returns[best]),
        "best/env_steps": int(env_steps[best]),
    }
