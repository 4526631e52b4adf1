"""Aggregates of the scores of an arm over several tasks (Agarwal et al. 2021, arXiv 2108.13264)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Scores = Mapping[str, Float[np.ndarray, " _"]]  # by task, one score per run; tasks may differ in their number of runs
Tasks = Sequence[Float[np.ndarray, "*S _"]]
TRIMMED = 0.25  # share of the scores that the interquartile mean drops at either end


@dataclass(frozen=True)
class Aggregate:
    """A statistic of scores, with the name that tables and axes show.

    `over` takes one array (*S, R) per task, with its own R, and gives (*S): all resamples of a bootstrap at once.
    `trimmed` is the share of runs dropped at either end if, for one task, the statistic is a trimmed mean of its runs.
    `least` is the lower limit of the statistic and of its intervals.
    """

    name: str
    over: Callable[[Tasks], Float[np.ndarray, "*S"]]
    trimmed: float | None = None
    least: float = -math.inf

    def __call__(self, scores: Scores) -> float:
        """NaN without tasks, where a task has no run, or where a score is NaN."""
        if not scores or not all(len(runs) for runs in scores.values()):
            return float("nan")
        return float(self.over(list(scores.values())))


def gap_to(best: float) -> Aggregate:
    """How far below `best` the scores lie: mean over tasks. A score above it counts as `best`."""
    return Aggregate(
        "optimality gap", lambda tasks: best - _mean([np.minimum(runs, best) for runs in tasks]), least=0.0
    )


def _interquartile_mean(tasks: Tasks) -> Float[np.ndarray, "*S"]:
    scores = np.concatenate(tasks, axis=-1)
    n = scores.shape[-1]
    cut = int(TRIMMED * n)
    return np.asarray(np.partition(scores, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(axis=-1))


def _mean(tasks: Tasks) -> Float[np.ndarray, "*S"]:
    return np.asarray(np.mean([runs.mean(axis=-1) for runs in tasks], axis=0))


def _median(tasks: Tasks) -> Float[np.ndarray, "*S"]:
    return np.asarray(np.median([runs.mean(axis=-1) for runs in tasks], axis=0))


iqm = Aggregate("interquartile mean", _interquartile_mean, TRIMMED)  # of all scores of all tasks together
mean = Aggregate("mean", _mean, 0.0)  # over tasks, of the mean over runs
median = Aggregate("median", _median, 0.0)  # over tasks, of the mean over runs: of a single task it is the mean
optimality_gap = gap_to(1.0)  # of normalised scores
