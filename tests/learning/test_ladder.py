"""What the ladder found (`make ladder`), held against theory: every method on every one-step game, ten seeds each.

It reads docs/figures/ladder.csv, or the table that MARLPIPE_LADDER names: `make ladder` checks its own. What deviates
from the literature has a test of its own, named after it, and a paragraph in docs/results.md.
"""

import csv
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from marlpipe.config.build import build_env
from tests.learning.monotone_fits import best_monotone_fit, fit_in_order
from tests.support.composition import compose
from tests.support.repository import DOCS

TABLE = Path(os.environ.get("MARLPIPE_LADDER", DOCS / "figures" / "ladder.csv"))
TEAM_GAMES, LOCAL_GAME = "games/ladder", "games/ladder_local"
GAMES = ["payoff", "payoff_pymarl2", "payoff_qplex_1", "payoff_qplex_3"]

Rows = dict[tuple[str, str], dict[str, float]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """By game and method: seeds, found, fit_error_mean, igm_mean and more."""
    with TABLE.open(encoding="utf-8") as lines:
        return {
            (row.pop("env"), row.pop("arm")): {name: float(number) for name, number in row.items() if number}
            for row in csv.DictReader(lines)
        }


def methods(experiment: str) -> list[str]:
    return str(compose(f"+experiment={experiment}").hydra.sweeper.params.algo).split(",")


def share_that_found(rows: Rows, game: str, arm: str) -> float:
    return rows[game, arm]["found"] / rows[game, arm]["seeds"]


def payoffs(game: str) -> Tensor:
    return build_env(compose(f"env={game}")).team_table.double()


def error_of(table: Tensor, game: str) -> float:
    return float((table - payoffs(game)).square().mean().sqrt())


def best_additive(game: str) -> Tensor:
    """f(a) + g(b) with the least squared error."""
    table = payoffs(game)
    return table.mean(1, keepdim=True) + table.mean(0, keepdim=True) - table.mean()


def test_it_is_whole(rows: Rows) -> None:
    team = {(game, arm) for game in GAMES for arm in methods(TEAM_GAMES)}
    assert set(rows) == team | {("payoff_lomaq", arm) for arm in methods(LOCAL_GAME)}
    assert min(row["seeds"] for row in rows.values()) >= 10


@pytest.mark.parametrize("game", GAMES)
def test_additive_values_are_the_best_additive_ones(game: str, rows: Rows) -> None:
    """IQL and VDN find the optimum if it is where the mean payoffs of row and column are highest, and else never."""
    chosen = payoffs(game).flatten()[best_additive(game).argmax()]
    for arm in ("iql", "vdn"):
        assert share_that_found(rows, game, arm) == (chosen == payoffs(game).max())
    assert rows[game, "vdn"]["fit_error_mean"] == pytest.approx(error_of(best_additive(game), game), rel=0.02)


@pytest.mark.parametrize("game", GAMES)
def test_no_monotone_value_fits_better_than_one_can(game: str, rows: Rows) -> None:
    best = best_monotone_fit(payoffs(game)).table
    for arm in ("vdn", "qmix", "graphmix", "ow_qmix", "cw_qmix", "qpro"):
        assert rows[game, arm]["fit_error_mean"] > 0.99 * error_of(best, game)


def test_qmix_ends_in_one_of_two_fits_of_the_classic_game(rows: Rows) -> None:
    """The best monotone fit does choose 8; another one, 5 % worse, chooses 0, and most seeds end there."""
    best = best_monotone_fit(payoffs("payoff")).table
    other = fit_in_order(payoffs("payoff"), (0, 1, 2), (0, 1, 2)).table
    assert (int(best.argmax()), float(other[0, 0]), float(other[2, 2])) == (0, pytest.approx(-8), pytest.approx(0))
    found = share_that_found(rows, "payoff", "qmix")
    assert found < 0.5
    expected = found * error_of(best, "payoff") + (1 - found) * error_of(other, "payoff")
    assert rows["payoff", "qmix"]["fit_error_mean"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("arm", ["ow_qmix", "cw_qmix", "qpro"])
def test_weighted_projections_find_the_classic_optimum(arm: str, rows: Rows) -> None:
    for game in ("payoff", "payoff_pymarl2"):
        assert share_that_found(rows, game, arm) == 1
        assert rows[game, arm]["q_star_error_mean"] < 0.5
    assert share_that_found(rows, "payoff_qplex_3", arm) >= 0.9


def test_the_optimistic_fit_is_the_best_with_weights_of_a_tenth(rows: Rows) -> None:
    fit = best_monotone_fit(payoffs("payoff"), alpha=0.1).table
    assert rows["payoff", "ow_qmix"]["fit_error_mean"] == pytest.approx(error_of(fit, "payoff"), rel=0.02)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("arm", ["qtran_alt", "resq"])
def test_unrestricted_values_fit_and_find_everything(arm: str, game: str, rows: Rows) -> None:
    assert share_that_found(rows, game, arm) == 1
    assert rows[game, arm]["fit_error_mean"] < 0.5


def test_qtran_finds_three_optima_of_four(rows: Rows) -> None:
    for game in ("payoff", "payoff_pymarl2", "payoff_qplex_3"):
        assert share_that_found(rows, game, "qtran") == 1


def test_every_method_finds_an_easy_optimum(rows: Rows) -> None:
    """PyMARL2's game, in which the best joint action is also the best of each agent on average."""
    for arm in methods(TEAM_GAMES):
        assert arm == "lomaq_rd" or share_that_found(rows, "payoff_pymarl2", arm) == 1


@pytest.mark.parametrize("game", GAMES)
def test_values_are_maximal_where_agents_are_greedy(game: str, rows: Rows) -> None:
    """IGM, of all methods that promise it; the policies of DOP and PAC are not made from their values."""
    for arm in methods(TEAM_GAMES):
        assert arm in {"dop", "pac"} or rows[game, arm]["igm_mean"] == 1


def test_lomaqs_game(rows: Rows) -> None:
    """Figure 8: two blocks of one agent choose right and cannot hold the table; agents for themselves choose wrong."""
    found = {arm: share_that_found(rows, "payoff_lomaq", arm) for arm in methods(LOCAL_GAME)}
    assert {arm for arm, share in found.items() if share < 1} <= {"iql_local", "lomaq_rd"}
    assert found["iql_local"] == 0
    error = {arm: rows["payoff_lomaq", arm]["fit_error_mean"] for arm in found}
    assert error["vdn"] == pytest.approx(error_of(best_additive("payoff_lomaq"), "payoff_lomaq"), rel=0.02)
    assert max(error[arm] for arm in ("qmix", "ow_qmix", "cw_qmix", "qpro", "qplex", "qtran_alt", "resq")) < 0.1
    one_is_flat = torch.tensor([[1.25, 2.25], [2.25, 3.25]], dtype=torch.float64)  # Q_1 is right, Q_2 is 5/4
    assert error["lomaq"] > 0.99 * error_of(one_is_flat, "payoff_lomaq")


def test_learned_rewards_learn_nothing_from_observations_that_do_not_change(rows: Rows) -> None:
    """A deviation that is one of the method: LOMAQ+RD trusts none of its rewards here, and chooses as it started."""
    for game in ("payoff", "payoff_qplex_1", "payoff_qplex_3"):
        assert share_that_found(rows, game, "lomaq_rd") < 0.5
        assert rows[game, "lomaq_rd"]["fit_error_mean"] > error_of(best_additive(game), game)


def test_an_unrestricted_dueling_value_is_slow_under_random_actions(rows: Rows) -> None:
    """A deviation: QPLEX can hold every game and finds the classic optimum in its paper; 1000 updates are too few."""
    assert share_that_found(rows, "payoff", "qplex") < 0.5
    assert share_that_found(rows, "payoff_qplex_3", "qplex") < 0.5


def test_a_tenth_is_not_small_enough_for_qplexs_first_game(rows: Rows) -> None:
    """A deviation: with α = 0.1 the best monotone fit chooses a 10, which needs less error than the 10.4 would."""
    game = payoffs("payoff_qplex_1")
    assert best_monotone_fit(game, alpha=0.1).cost < 0.6 * best_monotone_fit(game, alpha=0.1, top=0).cost
    for arm in ("ow_qmix", "qpro"):
        assert share_that_found(rows, "payoff_qplex_1", arm) < 0.5
        assert rows["payoff_qplex_1", arm]["q_star_error_mean"] < 0.2
