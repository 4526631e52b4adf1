"""Theorem 1's confidence radius and regret bound, by hand."""

from math import isnan, log, sqrt
from typing import Any

import pytest
import torch

from marlpipe.bandit.bounds import Constants, block_noise, confidence_radius, corrected_bound, printed_bound
from marlpipe.errors import UserError


def constants(**changes: Any) -> Constants:
    """Two blocks of one and two agents with two actions each: K_P = 2 + 4."""
    given: dict[str, Any] = {
        "sizes": (1, 2),
        "n_actions": 2,
        "context_dim": 3,
        "context_radius": 0.5,
        "parameter_radius": 1 / 3,
        "noise": 0.2,
        "ridge": 4.0,
        "delta": 0.1,
    }
    return Constants(**(given | changes))


def at(*rounds: float) -> torch.Tensor:
    return torch.tensor(rounds, dtype=torch.float64)


def test_the_confidence_radius() -> None:
    """√4 · |J| / 3 + 0.2 √(3 log(2 · 2^|J| (1 + t/2) / 0.4)): the argument is 25 and 50 at t = 3, 100 and 200 at 18."""
    expected = [
        [2 / 3 + 0.2 * sqrt(3 * log(25)), 4 / 3 + 0.2 * sqrt(3 * log(50))],
        [2 / 3 + 0.2 * sqrt(3 * log(100)), 4 / 3 + 0.2 * sqrt(3 * log(200))],
    ]
    assert expected[0] == pytest.approx([1.2881689587, 2.0184922643])
    assert confidence_radius(constants(), at(3, 18)).tolist() == [pytest.approx(row) for row in expected]


def test_the_radius_of_the_first_round_in_the_default_world() -> None:
    """0.25 + 0.1 √(5 log 480)."""
    default = constants(
        sizes=(1, 1, 1, 1),
        n_actions=3,
        context_dim=5,
        context_radius=1.0,
        parameter_radius=0.25,
        noise=0.1,
        ridge=1.0,
        delta=0.05,
    )
    assert confidence_radius(default, at(1)).tolist() == [pytest.approx([0.8055981508] * 4)]


def test_the_printed_bound() -> None:
    """T = 3: 2√3 · √(3 · 6 · log(4 + 0.75/6)) · (√4 · 3/3 + 0.2 √(3 log(2 · 2³ · 2.5 / 0.4)))."""
    by_hand = 2 * sqrt(3) * sqrt(18 * log(4.125)) * (2 + 0.2 * sqrt(3 * log(100)))
    assert by_hand == pytest.approx(47.9963916303)
    assert constants().n_block_actions == 6
    assert printed_bound(constants(), at(3)).item() == pytest.approx(by_hand)
    assert corrected_bound(constants(), at(3)).item() == pytest.approx(67.8771479, rel=1e-8)


def test_both_bounds_of_a_single_block_are_one() -> None:
    single = constants(sizes=(3,))
    assert torch.equal(printed_bound(single, at(1, 50)), corrected_bound(single, at(1, 50)))


def test_there_is_no_bound_where_its_logarithm_is_negative() -> None:
    """log(λ + T S_x²/(Kd)) with λ = 0.5: T/24 reaches 0.5 at 12 rounds."""
    bound = printed_bound(constants(ridge=0.5), at(11, 13)).tolist()
    assert isnan(bound[0])
    assert bound[1] > 0


def test_the_noise_of_a_block() -> None:
    assert block_noise(4, 0.1, "independent") == pytest.approx(0.2)
    assert block_noise(4, 0.1, "sum") == pytest.approx(0.4)  # R_tot of four agents
    assert block_noise(1, 0.3, "independent") == block_noise(1, 0.3, "sum") == 0.3


def test_a_radius_that_is_no_number_is_refused() -> None:
    """λδ may be up to |P| K^|J| (1 + S_x) of the smallest block: 2 · 2 · 1.5."""
    assert confidence_radius(constants(ridge=60.0), at(1)).isfinite().all()
    with pytest.raises(UserError, match=r"(?s)ridge=60\.1 with delta=0\.1 .*ridge of at most 60"):
        constants(ridge=60.1)
