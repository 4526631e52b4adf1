"""What QPLEX learns of one-step games."""

import pytest
import torch

from marlpipe.training.diagnostics import value_table
from marlpipe.training.rollout import rollout
from tests.learning.exploring import greedy_payoff, learn


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize(
    ("game", "updates"), [pytest.param("payoff_pymarl2", 250, marks=pytest.mark.slow), ("payoff_qplex_3", 60)]
)
def test_the_greedy_joint_action_stays_the_best_one(game: str, updates: int, seed: int) -> None:
    """Golden item 12 after training, with the game's table learned where nothing punishes to leave its optimum."""
    env, algorithm = learn("+experiment=games/classic", f"env={game}", "algo=qplex", seed=seed, updates=updates)
    batch = rollout(env, algorithm.agent, 1, 0.0, torch.Generator().manual_seed(0))
    table = value_table(algorithm.joint_value_view(batch).joint_value, batch.valid, 2, 3)
    assert float(table[tuple(batch.actions[0, 0].tolist())]) == float(table.max())
    assert table.max() - table.min() > 0.5
    if game == "payoff_pymarl2":
        assert greedy_payoff(env, algorithm) == env.optimum == 12
        assert torch.allclose(table, env.team_table, atol=0.3)
