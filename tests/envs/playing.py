"""How the tests of PettingZoo's worlds play in them."""

from typing import Any

import torch

from marlpipe.envs.pettingzoo_worlds import PettingZooState, PettingZooWorld
from marlpipe.types import EpisodeBatch, Timestep


def world(name: str = "tests.envs.company:Company", **changes: Any) -> PettingZooWorld:
    defaults: dict[str, Any] = {
        "name": name,
        "arguments": None,
        "horizon": 20,
        "local_rewards": True,
        "edges": None,
        "rebuild": False,
        "workers": 0,
    }
    return PettingZooWorld(**(defaults | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seeds(n: int, seed: int = 0) -> list[int]:
    """What a generator with this seed gives to n copies at their first reset."""
    return torch.randint(2**31 - 1, (n,), generator=generator(seed)).tolist()


def random_episodes(env: PettingZooWorld, n: int, random: torch.Generator) -> EpisodeBatch:
    """By actions that do not depend on n: copy i's follow from i and time."""
    state = env.reset(n, random)
    seen, taken = [env.observe(state)], []
    running = torch.ones(n, dtype=torch.bool)
    while running.any():
        draws = [generator(1000 * i + len(taken)) for i in range(n)]
        noise = torch.stack([torch.rand(state.avail_actions.shape[1:], generator=draw) for draw in draws])
        actions = noise.masked_fill(~state.avail_actions, -1).argmax(-1)
        state, timestep = env.step(state, actions, random)
        seen.append(env.observe(state))
        taken.append((actions, timestep.rewards, timestep.terminated, running))
        running = running & ~(timestep.terminated | timestep.truncated)
    moments = (torch.stack(field, 1) for field in zip(*seen, strict=True))
    return EpisodeBatch(*moments, *(torch.stack(field, 1) for field in zip(*taken, strict=True)))


def same(one: EpisodeBatch, other: EpisodeBatch) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(one, other, strict=True))


def play(env: PettingZooWorld, joint_actions: list[list[int]], n: int = 1) -> list[tuple[PettingZooState, Timestep]]:
    """What comes of the same joint actions in every copy, from a reset with seed 0 on."""
    state, came = env.reset(n, generator()), []
    for joint in joint_actions:
        state, timestep = env.step(state, torch.tensor([joint] * n), generator())
        came.append((state, timestep))
    return came
