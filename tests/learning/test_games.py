"""What each method can represent, learned (algorithms of one-step games with known optima)."""

import pytest
import torch

from tests.learning.exploring import greedy_payoff, learn, learned_table


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize(
    ("algo", "payoff"),
    [
        ("qpro", 8.0),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("qmix", 0.0), ("vdn", 0.0), ("ow_qmix", 8.0), ("cw_qmix", 8.0))
        ),
    ],
)
def test_who_finds_the_optimum_of_the_classic_game(algo: str, payoff: float, seed: int) -> None:
    """Monotone values of uniformly visited joint actions prefer a safe one; weighted projections find the best one."""
    env, algorithm = learn("+experiment=games/classic", f"algo={algo}", seed=seed, updates=400)
    assert env.optimum == 8
    assert greedy_payoff(env, algorithm) == payoff


@pytest.mark.slow
def test_one_block_holds_the_table_of_lomaqs_game() -> None:
    """Figure 8: with P = {{1, 2}} the value is [[2, 2], [2, 3]]."""
    parts = ["algo=lomaq", "partition=full", "mixer=lomaq_hyper", "monotonicity=abs"]
    env, algorithm = learn("+experiment=games/lomaq_payoff", *parts, seed=0, updates=3000)
    assert torch.allclose(learned_table(env, algorithm)[0], env.team_table, atol=0.05)


@pytest.mark.slow
def test_singletons_cannot_hold_it_but_choose_right() -> None:
    """Figure 8: Q_1 is learned, Q_2, which falls where Q_1 rises, stays flat at the mean of its payoffs, 5/4."""
    env, algorithm = learn("+experiment=games/lomaq_payoff", "algo=lomaq", seed=0, updates=1200)
    first, second = learned_table(env, algorithm)
    assert torch.allclose(first, torch.tensor([[0.0, 1.0], [1.0, 2.0]]), atol=0.15)
    assert torch.allclose(second, torch.full((2, 2), 1.25), atol=0.15)
    total = first + second
    assert not torch.allclose(total, env.team_table, atol=0.5)
    assert int(total.argmax()) == int(env.team_table.argmax())
    assert greedy_payoff(env, algorithm) == env.optimum
