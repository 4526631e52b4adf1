"""Aggregates against numbers that were computed by hand."""

import math
from types import MappingProxyType

import numpy as np
import pytest

from marlpipe.analysis.statistics.aggregates import Aggregate, gap_to, iqm, mean, median, optimality_gap


def runs(*scores: float) -> np.ndarray:
    return np.array(scores, dtype=np.float64)


RAGGED = MappingProxyType({"easy": runs(1, 2), "hard": runs(0, 0.5, 4, 100)})


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (iqm, (0.5 + 1 + 2 + 4) / 4),  # of six scores one goes at either end: 0 and 100
        (mean, (1.5 + 104.5 / 4) / 2),
        (median, (1.5 + 104.5 / 4) / 2),  # of two tasks the mean
        (optimality_gap, 1 - (1 + 2.5 / 4) / 2),  # 1, 1 and 0, 0.5, 1, 1
        (gap_to(2.0), 2 - (1.5 + 4.5 / 4) / 2),
    ],
)
def test_by_hand(statistic: Aggregate, expected: float) -> None:
    assert statistic(RAGGED) == pytest.approx(expected)


def test_iqm_of_few_runs_cuts_whole_runs() -> None:
    assert iqm({"a": runs(1, 2, 9)}) == 4.0  # three quarters of a run: none is cut
    assert iqm({"a": runs(9, 1, 2, 4)}) == 3.0
    assert iqm({"a": runs(*range(8), 100)}) == 4.0  # two of nine at either end: 2 to 6


def test_median_is_of_the_tasks() -> None:
    assert median({"a": runs(0, 2), "b": runs(10, 20), "c": runs(3, 3)}) == 3.0


@pytest.mark.parametrize("statistic", [iqm, mean, median, optimality_gap])
def test_nothing_is_known_without_runs(statistic: Aggregate) -> None:
    assert math.isnan(statistic({}))
    assert math.isnan(statistic({"a": runs(1, 2), "b": runs()}))
    assert math.isnan(statistic({"a": runs(1, math.nan)}))


@pytest.mark.parametrize("statistic", [iqm, mean, median, optimality_gap])
def test_many_resamples_at_once_are_as_each_by_itself(statistic: Aggregate) -> None:
    draw = np.random.default_rng(0)
    many = {"a": draw.normal(size=(6, 5)), "b": draw.normal(size=(6, 3))}
    each = [statistic({task: scores[row] for task, scores in many.items()}) for row in range(6)]
    assert statistic.over(list(many.values())) == pytest.approx(each)
