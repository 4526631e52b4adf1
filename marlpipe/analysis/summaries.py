"""Summary statistics of each arm of an environment, and the difference to its best rival."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.statistics.curves import Spread, spread
from marlpipe.analysis.statistics.differences import Difference, bootstrap_difference
from marlpipe.analysis.statistics.efficiency import Curve, Reached, reached
from marlpipe.runs.curve import area_under_curve, final_return
from marlpipe.runs.status import State


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """Summary of one arm; spreads are over its counted runs."""

    arm: Arm
    final: Spread  # mean return of the last tenth of the evaluations
    area: Spread  # mean height of the learning curve
    env_steps_per_s: float | None
    wall_s: float | None  # mean over runs
    states: dict[State, int]
    reached: Reached | None = None  # how soon it reaches the return that was asked for
    rival: str | None = None  # the best other arm
    difference: Difference | None = None  # of the final return, to the rival's


def compare(arms: Sequence[Arm], threshold: float | None = None) -> list[ArmSummary]:
    """One summary per arm of an environment, each against the best of the others.

    Arms without a finished run are not compared: the return of an unfinished run does not predict its final one.

    Args:
        threshold: a return; given, the summaries say how soon it is reached.
    """
    summaries = [_summary(arm, threshold) for arm in arms]
    finals = {arm.name: [final_return(run.returns) for run in arm.counted] for arm in arms if not arm.partial}
    compared = [summary for summary in summaries if summary.arm.name in finals and not math.isnan(summary.final.mean)]
    result = []
    for summary in summaries:
        others = [other for other in compared if other is not summary]
        if summary not in compared or not others:
            result.append(summary)
            continue
        rival = max(others, key=lambda other: other.final.mean).arm.name
        difference = bootstrap_difference(finals[summary.arm.name], finals[rival])
        result.append(replace(summary, rival=rival, difference=difference))
    return result


def verdict(summaries: Sequence[ArmSummary]) -> str | None:
    """One sentence on the best arm against the second best; None with fewer than two comparable arms."""
    compared = [summary for summary in summaries if summary.difference is not None]
    if not compared:
        return None
    best = max(compared, key=lambda summary: summary.final.mean)
    difference = best.difference
    assert difference is not None
    gap = f"{difference.mean:.4g}"
    if math.isnan(difference.low):
        return f"{best.arm.name} ends {gap} above {best.rival}; an arm with a single run has no interval"
    interval = f"95 % interval {difference.low:.4g} to {difference.high:.4g}"
    few = ", only indicative: fewer than 5 seeds" if difference.indicative else ""
    if difference.clear:
        return f"{best.arm.name} is better than {best.rival} by {gap} ({interval}{few})"
    return f"{best.arm.name} and {best.rival} are not clearly different: difference {gap} ({interval}{few})"


def timed_curves(arm: Arm) -> list[Curve]:
    """Env steps, minutes and returns of the evaluations of each counted run."""
    return [(run.env_steps, run.wall_s / 60, run.returns) for run in arm.counted]


def _summary(arm: Arm, threshold: float | None) -> ArmSummary:
    speeds = [run.status.env_steps_per_s for run in arm.counted if run.status.env_steps_per_s is not None]
    times = [run.status.wall_s for run in arm.counted if run.status.wall_s is not None]
    return ArmSummary(
        arm=arm,
        final=spread([final_return(run.returns) for run in arm.counted]),
        area=spread([area_under_curve(run.env_steps, run.returns) for run in arm.counted]),
        env_steps_per_s=spread(speeds).mean if speeds else None,
        wall_s=spread(times).mean if times else None,
        states=dict(Counter(run.status.state for run in arm.runs)),
        reached=None if threshold is None else reached(timed_curves(arm), threshold),
    )
