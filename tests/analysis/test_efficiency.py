"""When a curve reaches a threshold, by hand."""

import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from marlpipe.analysis.efficiency import Reached, evaluation_times, first_reach, median_reached, reached
from marlpipe.analysis.runs import Run, load_run
from marlpipe.records.files import write_text

MakeRun = Callable[..., Run]
NAN = math.nan


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([0, 10, 20], 150),  # halfway between 10 and 20
        ([15, 0, 0], 0),  # at once
        ([0, 15, 20], 100),  # exactly there
        ([0, 30, 0], 50),  # once is enough
        ([0, 14, 14.9], None),
        ([0, NAN, 20], 150),  # on the line from the evaluation before the one that is missing
        ([NAN, 20, 20], 100),
        ([NAN, NAN, NAN], None),
    ],
)
def test_first_reach(returns: Sequence[float], expected: float | None) -> None:
    assert first_reach(np.array([0, 100, 200]), np.array(returns, dtype=np.float64), 15.0) == expected


def test_without_evaluations_it_is_never() -> None:
    assert first_reach(np.array([], dtype=np.int64), np.array([]), 0.0) is None


def test_env_steps_and_minutes_of_a_run(make_run: MakeRun) -> None:
    run = make_run(returns=[0.0, 10.0, 20.0])
    assert reached(run, 15.0) == Reached(150, None)  # no time on record
    lines = [{"env_steps": 100 * n, "eval/return_mean": 10.0 * n, "wall_s": 60.0 * 3**n} for n in range(3)]
    lines.insert(1, {"env_steps": 0, "wall_s": 9999.0})  # a row of the training
    write_text(run.folder.metrics, "".join(json.dumps(line) + "\n" for line in lines))
    again = load_run(run.folder.path)
    assert evaluation_times(again).tolist() == [60, 180, 540]
    assert reached(again, 15.0) == Reached(150, 6.0)
    assert reached(again, 20.5) == Reached(None, None)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([10.0, None, 30.0], 30.0),
        ([10.0, None, None], math.inf),
        ([10.0, None], math.inf),
        ([10.0, 20.0], 15.0),
        ([None], math.inf),
    ],
)
def test_never_is_infinity(times: Sequence[float | None], expected: float) -> None:
    assert median_reached(times) == expected
    assert math.isnan(median_reached([]))
