"""What a search maximises, on hand-computed values."""

import math
from typing import Any

import pytest

from marlpipe.launch.search.objectives import LastReturns, MinutesTo, Objective

# returns of 0, 10, 40, 30 after one, two, three and four minutes
CURVE = [{"eval/return_mean": value, "wall_s": 60.0 * (n + 1)} for n, value in enumerate((0.0, 10.0, 40.0, 30.0))]


@pytest.mark.parametrize(
    ("objective", "scores"),
    [
        (LastReturns(2), [40.0, 30.0]),
        (LastReturns(4), [0.0, 10.0, 40.0, 30.0]),
        (MinutesTo(25.0), [-2.5]),  # half way between the second and the third
        (MinutesTo(0.0), [-1.0]),  # at the first evaluation
        (MinutesTo(40.0), [-3.0]),
        (MinutesTo(40.5), [-8.0]),  # never: twice four minutes
    ],
)
def test_scores_of_a_run(objective: Objective, scores: list[float]) -> None:
    assert objective(CURVE) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("objective", "evaluations", "reason"),
    [
        (LastReturns(5), CURVE, "of the last 5 evaluations there are 4"),
        (LastReturns(1), [*CURVE, {"eval/return_mean": math.nan, "wall_s": 300.0}], "not finite"),
        (MinutesTo(1.0), [], "not finite, or have no time"),
        (MinutesTo(1.0), [{"eval/return_mean": 2.0}], "not finite, or have no time"),
    ],
)
def test_a_run_without_scores(objective: Objective, evaluations: list[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        objective(evaluations)
