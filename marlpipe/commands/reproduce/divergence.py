"""Where two logs of metrics diverge, and the distance between two curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy import ndarray

from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.metrics import EVAL_RETURN, WALL_CLOCK_METRICS

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """The first row that differs, and the first of its metrics that differs. A value of None: the row lacks it."""

    number: int  # of the row, from 0
    env_steps: float  # then
    metric: str
    then: float | None
    now: float | None
    others: int  # metrics that differ in the same row


@dataclass(frozen=True, kw_only=True)
class CurveDistance:
    """The distance between the returns of evaluations, linearly interpolated, where both curves are defined."""

    end: float
    end_at: float  # env steps
    most: float
    most_at: float


def divergence(then: Rows, now: Rows) -> Divergence | None:
    """Of the rows that both have, and the metrics that both know; None if they are the same, bit for bit."""
    known = shared_metrics(then, now)
    for number, (a, b) in enumerate(zip(then, now, strict=False)):
        differing = [name for name in known if not same(a.get(name), b.get(name))]
        if differing:
            metric = differing[0]
            return Divergence(
                number=number,
                env_steps=a["env_steps"],
                metric=metric,
                then=a.get(metric),
                now=b.get(metric),
                others=len(differing) - 1,
            )
    return None


def shared_metrics(then: Rows, now: Rows) -> list[str]:
    """What both logs have, in the order of the first one, without what the clock says."""
    also = {name for row in now for name in row}
    return [name for name in dict.fromkeys(name for row in then for name in row) if name in also - WALL_CLOCK_METRICS]


def same(a: float | None, b: float | None) -> bool:
    """Equal, or both NaN, or both not there."""
    return a == b or (a is not None and b is not None and math.isnan(a) and math.isnan(b))


def curve(rows: Rows) -> Float[ndarray, "2 K"]:
    """Env steps and mean returns of the evaluations, as far as they are finite."""
    points = {row["env_steps"]: row[EVAL_RETURN] for row in rows if EVAL_RETURN in row}
    finite = sorted(point for point in points.items() if all(map(math.isfinite, point)))
    return np.array(finite, dtype=np.float64).reshape(-1, 2).T


def curve_distance(then: Float[ndarray, "2 K"], now: Float[ndarray, "2 L"]) -> CurveDistance | None:
    """None where the curves have no env steps in common."""
    if not then.size or not now.size:
        return None
    first, last = max(then[0, 0], now[0, 0]), min(then[0, -1], now[0, -1])
    grid = np.unique(np.concatenate([then[0], now[0]]))
    grid = grid[(grid >= first) & (grid <= last)]
    if not grid.size:
        return None
    gaps = np.abs(np.interp(grid, *then) - np.interp(grid, *now))
    widest = int(gaps.argmax())
    return CurveDistance(
        end=float(gaps[-1]), end_at=float(grid[-1]), most=float(gaps[widest]), most_at=float(grid[widest])
    )


def draw(then: Float[ndarray, "2 K"], now: Float[ndarray, "2 L"], diverges_at: float | None, out: Path) -> None:
    """Writes both curves of returns over env steps as PNG, with a line where the metrics diverge.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*then, color="0.65", linewidth=4.5, marker="o", markersize=6, label="then")
    axes.plot(*now, color="#0072B2", linewidth=1.4, marker="o", markersize=2.5, label="now")
    if diverges_at is not None:
        axes.axvline(diverges_at, color="#D55E00", linewidth=1, linestyle=(0, (5, 3)), label="metrics diverge")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("evaluation return (mean over episodes)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
