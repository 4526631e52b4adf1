"""Sample efficiency of each arm: median env steps and minutes until runs first reach a return."""

from dataclasses import dataclass

import numpy as np

from marlpipe.analysis.page.evidence import EnvEvidence
from marlpipe.analysis.statistics.efficiency import first_reach, median_reached

SHARES = (0.5, 0.75, 0.9)  # of the way from the median first evaluation to the best arm's final return


@dataclass(frozen=True, kw_only=True)
class SampleEfficiency:
    """Sample efficiency of one arm at one threshold."""

    arm: str
    share: float
    threshold: float  # a return
    reached: int  # number of runs that reach it
    runs: int
    env_steps: float  # median over runs; infinite where half of them never reach it, NaN without runs
    minutes: float  # median over runs; NaN also where a run did not record its time


def sample_efficiency(env: EnvEvidence) -> list[SampleEfficiency]:
    """Every evaluated arm at every threshold; empty where no arm ends above the median first evaluation."""
    counted = [run for one in env.arms for run in one.arm.counted]
    firsts = np.array([run.returns[0] for run in counted if np.isfinite(run.returns[0])])
    best = max((one.final.point for one in env.arms if not np.isnan(one.final.point)), default=np.nan)
    if not len(firsts) or not best > np.median(firsts):
        return []
    start = float(np.median(firsts))
    found = []
    for share in SHARES:
        threshold = start + share * (best - start)
        for arm in (one.arm for one in env.arms if one.arm.counted):
            at = [first_reach(run.env_steps, run.returns, threshold) for run in arm.counted]
            found.append(
                SampleEfficiency(
                    arm=arm.name,
                    share=share,
                    threshold=threshold,
                    reached=sum(time is not None for time in at),
                    runs=len(at),
                    env_steps=median_reached(at),
                    minutes=median_reached(
                        [first_reach(run.wall_s / 60, run.returns, threshold) for run in arm.counted]
                    ),
                )
            )
    return found
