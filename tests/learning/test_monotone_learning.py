"""Whether monotonicity methods keep ∂F/∂U ≥ 0 while they learn."""

from typing import Any

import pytest
import torch

from marlpipe.models.monotonicity.jacobian import violation_rate
from marlpipe.models.utilities import taken_utilities
from marlpipe.training.rollout import rollout
from tests.learning.exploring import learn

WORLDS = {
    "payoff": ["+experiment=games/lomaq_payoff", "algo=lomaq", "profile.optimizer.lr=1e-3"],
    "cartpole": ["algo=lomaq", "env.n_agents=4", "env.time_limit=20", "profile.discount=0.8"],
}


def violations(world: str, monotonicity: str, *, updates: int) -> float:
    """The share of negative ∂F/∂U along random episodes after some gradient steps."""
    overrides = [*WORLDS[world], f"monotonicity={monotonicity}"]
    algorithm: Any
    env, algorithm = learn(*overrides, seed=2, updates=updates, episodes=16, sync_every=20)
    batch = rollout(env, algorithm.agent, 32, 1.0, torch.Generator().manual_seed(99))
    utilities = taken_utilities(algorithm.agent(batch.obs, batch.last_actions, batch.filled)[:, :-1], batch.actions)
    slopes = algorithm.mixer.slopes(utilities.detach(), batch.state[:, :-1])
    return float(violation_rate(slopes, algorithm.mixer.reads, batch.valid))


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_the_soft_penalty_bites(world: str) -> None:
    before = violations(world, "soft", updates=0)
    after = violations(world, "soft", updates=500)
    free = violations(world, "none", updates=500)
    assert before == violations(world, "none", updates=0) > 0.2, "random weights slope downwards somewhere"
    assert after < before
    assert after < 0.6 * free


@pytest.mark.parametrize(
    ("world", "monotonicity"),
    [("payoff", "hard"), ("payoff", "softplus"), ("cartpole", "abs"), ("cartpole", "projected")],
)
def test_constrained_weights_are_never_violated(world: str, monotonicity: str) -> None:
    assert violations(world, monotonicity, updates=20) == 0
