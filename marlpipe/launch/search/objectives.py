"""What a search maximises: the returns at the end of its runs, or how soon they reach a return."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from marlpipe.analysis.statistics.efficiency import first_reach
from marlpipe.runs.metrics import EVAL_RETURN, Row

NEVER = 2.0  # times its own length is what a run counts that never reaches the return: PAR2 of algorithm configuration


@runtime_checkable
class Objective(Protocol):
    """Scores a run; the objective of a trial is the interquartile mean of the scores of all its runs."""

    @property
    def name(self) -> str:
        """For tables and axes."""

    def __call__(self, evaluations: Sequence[Row]) -> list[float]:
        """The scores of one run. ValueError with the reason where there are none."""


@dataclass(frozen=True)
class LastReturns:
    """The returns of the last evaluations."""

    last: int

    @property
    def name(self) -> str:
        return "interquartile mean of the last evaluations"

    def __call__(self, evaluations: Sequence[Row]) -> list[float]:
        returns = [row[EVAL_RETURN] for row in evaluations[-self.last :]]
        if len(returns) < self.last:
            raise ValueError(f"of the last {self.last} evaluations there are {len(returns)}")
        if not np.isfinite(returns).all():
            raise ValueError("its last evaluations are not finite")
        return returns


@dataclass(frozen=True)
class MinutesTo:
    """Minus the minutes of training until an evaluation reaches a return; if none does, `NEVER` times the run's."""

    threshold: float

    @property
    def name(self) -> str:
        return f"minus the minutes to a return of {self.threshold:g}"

    def __call__(self, evaluations: Sequence[Row]) -> list[float]:
        returns = np.array([row[EVAL_RETURN] for row in evaluations])
        minutes = np.array([row.get("wall_s", np.nan) for row in evaluations]) / 60
        if not np.isfinite(returns).any() or not np.isfinite(minutes).all():
            raise ValueError("its evaluations are not finite, or have no time")
        reached = first_reach(minutes, returns, self.threshold)
        return [-NEVER * float(minutes[-1]) if reached is None else -reached]
