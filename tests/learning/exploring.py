"""Learning from nothing but random joint actions: fresh episodes for every gradient step, as the games are played."""

from typing import Any

import torch

from marlpipe.config.build import build_algorithm, build_env
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch
from tests.support.composition import GradientSteps, compose


def learn(*overrides: str, seed: int, updates: int, episodes: int = 64, sync_every: int = 100) -> tuple[Any, Any]:
    """The world and the algorithm after `updates` gradient steps of the config's optimiser and clipping."""
    config = compose(*overrides)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    env = build_env(config)
    algorithm: Any = build_algorithm(config, env)
    step = GradientSteps(algorithm, config)
    for update in range(updates):
        if update % sync_every == 0:
            algorithm.sync_targets()
        step(rollout(env, algorithm.agent, episodes, 1.0, generator))
    return env, algorithm


@torch.no_grad()
def greedy_payoff(env: Any, algorithm: Any) -> float:
    """What the decentralised greedy joint action pays in one env step."""
    batch = rollout(env, algorithm.agent, 1, 0.0, torch.Generator().manual_seed(0))
    return float(batch.team_rewards[0, 0])


@torch.no_grad()
def learned_table(env: Any, algorithm: Any) -> torch.Tensor:
    """(J, A, A): the value of each block for every joint action of two agents at the first moment."""
    batch: EpisodeBatch = rollout(env, algorithm.agent, 1, 0.0, torch.Generator().manual_seed(0))
    memory = algorithm.agent.initial_memory(1)
    none = torch.full((1, 2), env.spec.n_actions)
    utilities, _ = algorithm.agent.step(batch.obs[:, 0], none, memory)  # (1,N,A)
    joint = torch.cartesian_prod(*(torch.arange(env.spec.n_actions),) * 2)  # (A², N)
    chosen = torch.stack([utilities[0, agent, joint[:, agent]] for agent in range(2)], dim=-1)
    state = batch.state[:, :1].expand(1, len(joint), -1)
    return algorithm.mixer(chosen.unsqueeze(0), state)[0].T.unflatten(1, (env.spec.n_actions,) * 2)
