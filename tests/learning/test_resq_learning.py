"""What ResQ learns of the one-step game that monotone values cannot hold."""

import pytest
import torch

from marlpipe.training.diagnostics import value_table
from marlpipe.training.rollout import rollout
from tests.learning.exploring import greedy_payoff, learn


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_it_finds_the_optimum_and_holds_the_table(seed: int) -> None:
    """The residual takes from the other joint actions what the monotone value has too much."""
    env, algorithm = learn(
        "+experiment=games/classic", "algo=resq", "profile.optimizer.lr=3e-3", seed=seed, updates=400, episodes=32
    )
    assert env.optimum == 8
    assert greedy_payoff(env, algorithm) == 8
    batch = rollout(env, algorithm.agent, 1, 0.0, torch.Generator().manual_seed(0))
    table = value_table(algorithm.joint_value_view(batch).joint_value, batch.valid, 2, 3)
    assert (table - env.team_table).square().mean().sqrt() < 1.5
    assert int(table.argmax()) == 0
