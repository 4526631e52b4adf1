"""What is told of a run: slope, table, files."""

import csv
import io
from itertools import pairwise
from math import isnan, nan

import pytest
import torch

from marlpipe.bandit.arm_regret import (
    COLUMNS,
    ArmRegret,
    below,
    largest_share,
    logged_rounds,
    regret_csv,
    rows,
    slope,
    table_csv,
)


def outcome(rounds: list[int], regret: list[list[float]], bound: list[float]) -> ArmRegret:
    printed = torch.tensor(bound, dtype=torch.float64)
    return ArmRegret(
        label="pairs",
        seeds=tuple(range(len(regret[0]))),
        n_block_actions=18,
        rounds=torch.tensor(rounds),
        regret=torch.tensor(regret, dtype=torch.float64),
        printed_bound=printed,
        corrected_bound=2 * printed,
    )


@pytest.mark.parametrize("rounds", [1, 2, 7, 999, 5000, 1_000_000])
def test_logged_rounds(rounds: int) -> None:
    logged = logged_rounds(rounds).tolist()
    assert logged == sorted(set(logged))
    assert len(logged) <= 201
    assert (logged[0], logged[-1]) == (1, rounds)
    assert -(-rounds // 5) in logged
    steps = [later / earlier for earlier, later in pairwise(logged) if earlier > 100]
    assert all(step < 1.08 for step in steps)  # 10⁶ in 199 equal steps is 1.072 each


def test_the_slope_is_that_of_the_last_four_fifths() -> None:
    """Regret of t up to T/5, then growing with the square root; the mean of two seeds, one twice the other."""
    rounds = [1, 5, 10, 20, 40, 80, 100]
    height = [float(t) if t < 20 else 20 * (t / 20) ** 0.5 for t in rounds]
    curve = outcome(rounds, [[h, 2 * h] for h in height], [1.0] * 7)
    assert slope(curve) == pytest.approx(0.5)


def test_no_slope_without_two_rounds_of_regret() -> None:
    assert isnan(slope(outcome([1], [[0.5]], [1.0])))
    assert isnan(slope(outcome([1, 2, 3], [[0.0], [0.0], [0.5]], [1.0] * 3)))


def test_the_largest_share_of_the_bound() -> None:
    curve = outcome([1, 2, 3], [[9.0, 9.0], [1.0, 3.0], [2.0, 2.0]], [nan, 4.0, 5.0])
    assert largest_share(curve, curve.printed_bound) == 0.75
    assert largest_share(curve, curve.corrected_bound) == 0.375
    nothing = outcome([1], [[0.0]], [nan])
    assert isnan(largest_share(nothing, nothing.printed_bound))


@pytest.mark.parametrize(("regret", "told"), [(4.0, "both"), (4.1, "× √|P| only"), (8.0, "× √|P| only"), (8.1, "none")])
def test_below(regret: float, told: str) -> None:
    """One seed at one round above a bound is not below it."""
    assert below(outcome([1, 2, 3], [[0.1, 0.1], [0.1, regret], [0.2, 0.2]], [4.0, 4.0, 400.0])) == told


def test_the_table_by_hand() -> None:
    curve = outcome([1, 4, 20], [[0.5, 0.5], [1.0, 3.0], [4.0, 8.0]], [10.0, 20.0, 30.6])
    # log(6/2) / log(20/4) = 0.6826; sample deviations √2 and √8; 3/20 < 8/30.6
    assert rows([curve]) == [["pairs", "18", "2.0 ± 1.4", "6.0 ± 2.8", "0.68", "31", "61", "0.26", "both"]]
    single = outcome([1, 2], [[0.0], [0.0]], [nan, nan])
    assert rows([single]) == [["pairs", "18", "0.0", "0.0", "–", "–", "–", "–", "–"]]
    written = list(csv.reader(io.StringIO(table_csv([curve, single]))))
    assert written == [["arm", *COLUMNS[1:]], *rows([curve, single])]


def test_regret_csv_by_hand() -> None:
    text = regret_csv(outcome([1, 4], [[0.5, 0.25], [1.0, 3.0]], [10.0, 20.5]))
    assert text == "round,seed=0,seed=1,printed_bound,corrected_bound\n1,0.5,0.25,10.0,20.0\n4,1.0,3.0,20.5,41.0\n"
