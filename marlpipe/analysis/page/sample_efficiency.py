"""Sample efficiency of each arm: median env steps and minutes until runs first reach a return."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from marlpipe.analysis.page.evidence import EnvEvidence
from marlpipe.analysis.statistics.efficiency import Reached, reached
from marlpipe.analysis.summaries import timed_curves

SHARES = (0.5, 0.75, 0.9)  # of the way from the median first evaluation to the best arm's final return


@dataclass(frozen=True, kw_only=True)
class SampleEfficiency:
    """Sample efficiency of one arm at one threshold."""

    arm: str
    share: float | None  # of the way; None: the return is a paper's
    threshold: float  # a return
    at: Reached


def sample_efficiency(env: EnvEvidence) -> list[SampleEfficiency]:
    """Every evaluated arm at every threshold."""
    return [
        SampleEfficiency(
            arm=one.arm.name, share=share, threshold=threshold, at=reached(timed_curves(one.arm), threshold)
        )
        for share, threshold in thresholds(env)
        for one in env.arms
        if one.arm.counted
    ]


def thresholds(env: EnvEvidence) -> Iterator[tuple[float | None, float]]:
    """Shares of the way, unless no arm ends above the median first evaluation; and the return of a paper's figure."""
    counted = [run for one in env.arms for run in one.arm.counted]
    firsts = np.array([run.returns[0] for run in counted if np.isfinite(run.returns[0])])
    best = max((one.final.point for one in env.arms if not np.isnan(one.final.point)), default=np.nan)
    if len(firsts) and best > np.median(firsts):
        start = float(np.median(firsts))
        for share in SHARES:
            yield share, start + share * (best - start)
    if env.paper is not None:
        yield None, env.paper.value
