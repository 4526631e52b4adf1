"""What a run's evaluations come to, against numbers that were computed by hand."""

import math

import numpy as np
import pytest

from marlpipe.runs.curve import area_under_curve, final_return, summary


def steps(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 2.0, 9.0], 9.0),  # fewer than ten evaluations: the last one
        ([float(n) for n in range(19)], 18.0),
        ([float(n) for n in range(20)], 18.5),  # the last two of twenty
        ([float(n) for n in range(40)], 37.5),  # the last four of forty
    ],
)
def test_final_return_is_the_last_tenth(returns: list[float], expected: float) -> None:
    assert final_return(floats(*returns)) == expected


def test_area_weighs_by_env_steps() -> None:
    # trapezoids: 100·(0+10)/2 + 300·(10+20)/2 = 5000 over 400 env steps
    assert area_under_curve(steps(0, 100, 400), floats(0, 10, 20)) == 12.5
    assert area_under_curve(steps(100, 200, 500), floats(0, 10, 20)) == 12.5  # where it starts does not matter


def test_without_evaluations_nothing_is_known() -> None:
    assert math.isnan(final_return(floats()))
    assert math.isnan(area_under_curve(steps(), floats()))
    assert area_under_curve(steps(50), floats(7)) == 7.0
    assert summary([]) == {}
    assert summary([{"env_steps": 0, "train/loss": 1.0}]) == {}


def test_a_run_in_four_numbers() -> None:
    evaluations = [(0, 0.0), (100, 30.0), (400, 20.0)]
    rows = [{"env_steps": at, "eval/return_mean": height} for at, height in evaluations]
    # trapezoids: 100·(0+30)/2 + 300·(30+20)/2 = 9000 over 400 env steps
    expected = {"final/return": 20.0, "final/area": 22.5, "best/return": 30.0, "best/env_steps": 100}
    assert summary([*rows, {"env_steps": 450, "train/loss": 1.0}]) == expected


def test_an_evaluation_that_was_not_finite_is_not_hidden() -> None:
    rows = [{"env_steps": at, "eval/return_mean": height} for at, height in [(0, 1.0), (100, 3.0), (200, math.nan)]]
    told = summary(rows)
    assert math.isnan(told["final/return"])
    assert math.isnan(told["final/area"])
    assert (told["best/return"], told["best/env_steps"]) == (3.0, 100)
