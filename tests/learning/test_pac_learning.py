"""PAC's actors in the classic one-step game."""

import pytest
import torch

from tests.learning.exploring import greedy_payoff, learn


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_actors_find_the_optimum_of_the_classic_game(seed: int) -> None:
    """And by a clear preference: where logits tie, the first action, which is the best one here, would win."""
    env, algorithm = learn("+experiment=games/classic", "algo=pac", seed=seed, updates=150)
    assert greedy_payoff(env, algorithm) == env.optimum == 8
    seen = env.observe(env.reset(1, torch.Generator()))
    logits, _ = algorithm.agent.step(seen.obs, torch.full((1, 2), 3), algorithm.agent.initial_memory(1))
    assert (logits[0, :, 0] > logits[0, :, 1:].amax(-1) + 1).all()
