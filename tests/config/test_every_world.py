"""Every world of conf/env acts and learns: a gradient step with LOMAQ where it pays its agents, else with QMIX."""

import pytest
import torch
from omegaconf import DictConfig

from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.training.rollout import rollout
from tests.support.cases import WORLDS
from tests.support.composition import loss_of

SMALL = {  # what a world has no value for by itself, and what makes it short
    "pettingzoo": ["env.name=mpe2.simple_spread_v3"],
    "knights_archers_zombies": ["env.horizon=5"],
    "vmas": ["env.scenario=simple_spread", "env.horizon=5"],
}


@pytest.fixture(scope="module", autouse=True)
def _resolvers() -> None:
    register_resolvers()


def config(*overrides: str) -> DictConfig:
    with compose_api(config_folder()):
        return compose_run(list(overrides), config_folder())


@pytest.mark.parametrize("world", WORLDS)
def test_worlds(world: str) -> None:
    torch.manual_seed(0)
    run = config(f"env={world}", "algo=lomaq", *SMALL.get(world, []))
    env = build_env(run)
    if not env.spec.local_rewards:
        run = config(f"env={world}", "algo=qmix", *SMALL.get(world, []))
    algorithm = build_algorithm(run, env)
    batch = rollout(env, algorithm.agent, 2, 1.0, torch.Generator().manual_seed(0))
    assert batch.lengths.max() <= env.spec.horizon
    assert batch.avail_actions.any(-1)[batch.filled].all()
    loss, _ = loss_of(algorithm, batch)
    loss.backward()
    gradients = [p.grad for p in algorithm.agent.parameters() if p.grad is not None]
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
