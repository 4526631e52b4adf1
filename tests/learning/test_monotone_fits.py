"""The tests' own yardstick by hand: two games whose best monotone fits pool cells into means."""

import pytest
import torch

from tests.learning.monotone_fits import best_monotone_fit, fit_in_order

CLASSIC = torch.tensor([[8, -12, -12], [-12, 0, 0], [-12, 0, 0]], dtype=torch.float64)


def test_the_best_fit_of_the_classic_game() -> None:
    """8 in the corner and −6, the mean of four −12 and four 0, in eight cells, each 6 off."""
    best = best_monotone_fit(CLASSIC)
    wanted = torch.full((3, 3), -6.0, dtype=torch.float64)
    wanted[0, 0] = 8
    torch.testing.assert_close(best.table, wanted)
    assert best.cost == pytest.approx(8 * 36)


def test_the_fit_that_puts_the_optimum_last() -> None:
    """−8 is the mean of 8 and four −12: 16² + 4 · 4² off."""
    fit = fit_in_order(CLASSIC, (0, 1, 2), (0, 1, 2))
    torch.testing.assert_close(fit.table[0], torch.full((3,), -8.0, dtype=torch.float64))
    assert fit.cost == pytest.approx(320)


def test_what_is_above_its_payoff_counts_less() -> None:
    """α = 0.1: four cells at 0 and four at −12, which count a tenth, share −4.8 / 4.4."""
    fit = best_monotone_fit(CLASSIC, alpha=0.1)
    shared = -4.8 / 4.4
    assert float(fit.table[2, 1]) == pytest.approx(shared)
    assert fit.cost == pytest.approx(4 * shared**2 + 0.1 * 4 * (shared + 12) ** 2)


def test_a_table_that_rises_already_is_its_own_fit() -> None:
    table = torch.tensor([[2.0, 1.0], [3.0, 2.5]], dtype=torch.float64)  # agent 1 prefers action 0
    best = best_monotone_fit(table)
    torch.testing.assert_close(best.table, table)
    assert best_monotone_fit(table, top=1).cost > 0.1
