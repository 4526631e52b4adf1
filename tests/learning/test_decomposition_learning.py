"""Local rewards found in the team's alone, where the truth is known."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from marlpipe.config.build import build_algorithm, build_env
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch
from tests.support.composition import build, compose
from tests.support.synthetic import make_spec

pytestmark = pytest.mark.slow


def toy(seed: int) -> EpisodeBatch:
    """Two agents observe a number each, with a reward of 1 where it is positive, of which only the sum is given."""
    draw = torch.Generator().manual_seed(seed)
    seen = torch.rand(64, 2, 2, 1, generator=draw, dtype=torch.float64) * 2 - 1
    rewards = torch.zeros(64, 1, 2, dtype=torch.float64)
    rewards[..., 0] = (seen[:, :1, :, 0] > 0).sum(-1)
    return EpisodeBatch(
        obs=seen,
        state=torch.zeros(64, 2, 1, dtype=torch.float64),
        avail_actions=torch.ones(64, 2, 2, 2, dtype=torch.bool),
        actions=torch.zeros(64, 1, 2, dtype=torch.long),
        rewards=rewards,
        terminated=torch.ones(64, 1, dtype=torch.bool),
        valid=torch.ones(64, 1, dtype=torch.bool),
    )


def learned(kind: str, seed: int) -> Any:
    spec = make_spec(n_agents=2, n_actions=2, obs_dim=1, state_dim=1, horizon=1)
    reward = build("algo=lomaq_rd", f"reward={kind}", "reward.batch_episodes=64", spec=spec, seed=seed).reward
    fit(reward, [toy(100 + number) for number in range(200)])
    return reward


def fit(reward: Any, batches: Iterable[EpisodeBatch]) -> None:
    """One gradient step on each batch, by the reward's own optimiser."""
    owned = reward.trained()["decomposition"]
    optimizer = owned.optimizer(owned.parameters)
    for batch in batches:
        drawn = torch.randperm(len(batch.valid))[: reward.batch_episodes]
        optimizer.zero_grad()
        torch.autograd.backward(reward.loss(EpisodeBatch(*(field[drawn] for field in batch)))[0])
        optimizer.step()


@pytest.mark.parametrize("seed", [0])
def test_numbers_and_classes_agree_on_what_each_of_two_agents_is_paid(seed: int) -> None:
    """Golden item 9. Both are compared with the true rewards, which neither sees."""
    numbers, classes = learned("learned", seed), learned("learned_classes", seed)
    seen = torch.tensor([-0.9, -0.5, -0.15, 0.15, 0.5, 0.9], dtype=torch.float64)
    obs = torch.cartesian_prod(seen, seen).unsqueeze(-1)
    truth = (obs.squeeze(-1) > 0).double()
    with torch.no_grad():
        found = numbers.model(obs)
        assert torch.equal(classes.model(obs), truth)
        torch.testing.assert_close(found, truth, atol=0.15, rtol=0.0)
        assert torch.equal(found.round(), classes.model(obs))


@pytest.mark.parametrize("seed", [0])
def test_the_carts_that_stand_are_found_in_the_teams_reward(seed: int) -> None:
    """Ten cart-poles, which pay 1 each while they stand. Fresh, it is off by more than 3, and by 0.49 for an agent."""
    config = compose("algo=lomaq_rd", "env=cartpole", "env.n_agents=10", "agent=feedforward")
    torch.manual_seed(seed)
    env = build_env(config)
    algorithm: Any = build_algorithm(config, env)
    episodes = rollout(env, algorithm.agent, 200, 1.0, torch.Generator().manual_seed(seed))
    unseen = rollout(env, algorithm.agent, 50, 1.0, torch.Generator().manual_seed(99))
    fit(algorithm.reward, [episodes] * 300)
    measured = algorithm.reward.quality(unseen)
    assert float(measured["decomposition_error_abs"]) < 1.3
    assert float(measured["local_reward_error"]) < 0.2
