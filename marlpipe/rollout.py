"""Acting: whole episodes of many copies of a world at once."""

from typing import Any

import torch

from marlpipe.agents.agent import Agent
from marlpipe.exploration import Behaviour, epsilon_greedy
from marlpipe.types import Env, EpisodeBatch


@torch.no_grad()
def rollout(
    env: Env[Any],
    agent: Agent,
    n: int,
    epsilon: float,
    generator: torch.Generator,
    behaviour: Behaviour = epsilon_greedy,
) -> EpisodeBatch:
    """`n` episodes side by side until the last of them ends; T is the longest one's length."""
    world = env.reset(n, generator)
    seen = env.observe(world)
    memory = agent.initial_memory(n)
    actions = torch.full(seen.avail_actions.shape[:2], env.spec.n_actions, device=seen.obs.device)
    running = torch.ones(n, dtype=torch.bool, device=seen.obs.device)
    moments, transitions = [seen], []
    while running.any():
        utilities, memory = agent.step(seen.obs, actions, memory)
        actions = behaviour(utilities, seen.avail_actions, epsilon, generator)
        world, (rewards, terminated, truncated) = env.step(world, actions, generator)
        seen = env.observe(world)
        transitions.append((actions, rewards.masked_fill(~running.unsqueeze(-1), 0), terminated & running, running))
        moments.append(seen)
        running = running & ~(terminated | truncated)
    obs, state, avail_actions = (torch.stack(field, dim=1) for field in zip(*moments, strict=True))
    taken, rewards, ends, valid = (torch.stack(field, dim=1) for field in zip(*transitions, strict=True))
    return EpisodeBatch(obs, state, avail_actions, taken, rewards, ends, valid)
