"""Statistics of the arms of one environment with their intervals, and the comparison of each pair of arms."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.statistics.absolute_metric import measured_again
from marlpipe.analysis.statistics.aggregates import iqm
from marlpipe.analysis.statistics.bootstrap import Band, Interval, curve_interval, interval
from marlpipe.analysis.statistics.curves import FEW_SEEDS, common_grid, on_grid
from marlpipe.analysis.statistics.paper_returns import PaperReturn
from marlpipe.analysis.statistics.profiles import performance_profile, probability_of_improvement
from marlpipe.analysis.summaries import ArmSummary, compare, verdict
from marlpipe.runs.curve import area_under_curve, final_return

MOST_GRID_POINTS = 200  # of a band and of a profile
MOST_PAIRED = 12  # best arms in the matrix of pairs: a larger one is unreadable
Names = tuple[str, str]


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmEvidence:
    """Statistics of one arm; without an evaluated run numbers are NaN and arrays empty."""

    summary: ArmSummary
    finals: Float[np.ndarray, " R"]  # of each counted run, the mean return of the last tenth of its evaluations
    final: Interval
    area: Interval
    absolute: Interval | None  # return of the best policies; None unless all counted runs measured it after training
    grid: Int[np.ndarray, " G"]  # env steps, within the range of all counted runs
    band: Band
    profile: Band  # at the thresholds of the environment

    @property
    def arm(self) -> Arm:
        return self.summary.arm

    @property
    def few(self) -> bool:
        """Whether it has too few runs for a meaningful band; its runs are then shown one by one."""
        return len(self.finals) < FEW_SEEDS


@dataclass(frozen=True, eq=False, kw_only=True)
class EnvEvidence:
    """All arms of one environment, best first."""

    env: str
    arms: tuple[ArmEvidence, ...]
    thresholds: Float[np.ndarray, " G"]  # of the profiles, in units of return
    improvement: Mapping[Names, Interval]  # P(a run of the first scores higher than one of the second)
    verdict: str | None
    paper: PaperReturn | None


def evidence(env: str, arms: Sequence[Arm], paper: PaperReturn | None = None) -> EnvEvidence:
    """All statistics of one environment, a deterministic function of its runs.

    Args:
        paper: a return of a paper's figure.
    """
    summaries = compare(arms)
    finals = {arm.name: _scores(arm) for arm in arms}
    scores = np.concatenate([*finals.values(), []])
    scores = scores[np.isfinite(scores)]
    thresholds = np.linspace(scores.min(), scores.max(), 101) if len(scores) else np.array([])
    arms_evidence = [_arm_evidence(env, summary, finals[summary.arm.name], thresholds) for summary in summaries]
    ordered = sorted(arms_evidence, key=lambda one: math.inf if math.isnan(one.final.point) else -one.final.point)
    paired = [one for one in ordered if not one.arm.partial and not math.isnan(one.final.point)][:MOST_PAIRED]
    return EnvEvidence(
        env=env,
        arms=tuple(ordered),
        thresholds=thresholds,
        improvement=improvements({one.arm.name: {env: one.finals} for one in paired}),
        verdict=verdict(summaries),
        paper=paper,
    )


def improvements(scores: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]]) -> dict[Names, Interval]:
    """The probability of improvement of each ordered pair of arms; P(b > a) is 1 - P(a > b)."""
    found: dict[Names, Interval] = {}
    names = list(scores)
    for number, ours in enumerate(names):
        for theirs in names[number + 1 :]:
            one = probability_of_improvement(scores[ours], scores[theirs])
            found[ours, theirs] = one
            found[theirs, ours] = one._replace(
                point=1 - one.point, low=1 - one.high, high=1 - one.low, points=tuple(1 - point for point in one.points)
            )
    return found


def _arm_evidence(
    env: str, summary: ArmSummary, finals: Float[np.ndarray, " R"], thresholds: Float[np.ndarray, " G"]
) -> ArmEvidence:
    curves = [(run.env_steps, run.returns) for run in summary.arm.counted]
    grid = common_grid(curves)
    if len(grid) > MOST_GRID_POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, MOST_GRID_POINTS).round().astype(np.int64)]
    areas = np.array([area_under_curve(*curve) for curve in curves])
    broken: list[str] = []
    measured = [measured_again(run, broken) for run in summary.arm.counted]
    for message in broken:
        print(f"warning: {message}", file=sys.stderr)
    absolutes = np.array([np.mean(returns) for returns in measured if returns])
    return ArmEvidence(
        summary=summary,
        finals=finals,
        final=interval({env: finals}, iqm),
        area=interval({env: areas}, iqm),
        absolute=interval({env: absolutes}, iqm) if all(measured) and measured else None,
        grid=grid,
        band=curve_interval(on_grid(curves, grid), iqm),
        profile=performance_profile({env: finals}, thresholds),
    )


def _scores(arm: Arm) -> Float[np.ndarray, " R"]:
    return np.array([final_return(run.returns) for run in arm.counted], dtype=np.float64)
