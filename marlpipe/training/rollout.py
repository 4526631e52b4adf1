"""Acting: complete episodes of many environment copies at once."""

import sys
from inspect import unwrap
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.envs.guarded import Guarded, none_available, not_finite
from marlpipe.models.agents.agent import Agent
from marlpipe.models.exploration import ActionSampler, epsilon_greedy
from marlpipe.types import Env, EpisodeBatch, Observation, Timestep


def rollout(
    env: Env[Any],
    agent: Agent,
    n: int,
    epsilon: float,
    generator: torch.Generator,
    action_sampler: ActionSampler = epsilon_greedy,
) -> EpisodeBatch:
    """Plays `n` episodes in parallel until the last one ends; T is the length of the longest, and padding is zero.

    Copies whose episodes have ended are dropped as soon as they are a quarter of the copies that are stepped, where the
    environment's state consists of tensors, which can be indexed by copy.

    Raises:
        WorldError: the environment fails, returns what its spec excludes, a number that is not finite, or no action to
            choose from.
    """
    batch = joined(stretches(Guarded(env), agent, n, epsilon, generator, action_sampler), n)
    check_finite(env, batch)
    check_available(env, batch)
    say_remarks(env)
    return batch


def check_finite(env: Env[Any], batch: EpisodeBatch) -> None:
    """WorldError for the first number in time that is NaN or infinite. Padding has none."""
    fields = {"obs": batch.obs, "state": batch.state, "rewards": batch.rewards}
    sums = torch.stack([field.sum() for field in fields.values()])
    if sums.isfinite().all():  # NaN and infinity survive in a sum, which takes a fraction of the time
        return
    found = []
    for name, field in fields.items():
        for t in (~field.isfinite()).flatten(2).any(2).any(0).nonzero().flatten().tolist()[:1]:
            copy, *place = (~field[:, t].isfinite()).nonzero()[0].tolist()
            value, late = field[(copy, t, *place)].item(), name == "rewards"
            found.append((t + late, late, not_finite(env, name, value, copy=copy, env_step=t + late, place=place)))
    if found:  # a sum of large finite numbers may overflow
        raise min(found, key=lambda one: one[:2])[2]


def check_available(env: Env[Any], batch: EpisodeBatch) -> None:
    """WorldError for the first agent in time that had to act and could not."""
    without = batch.valid[..., None] & ~batch.avail_actions[:, :-1].any(-1)
    if without.any():
        env_step, copy, agent = without.transpose(0, 1).nonzero()[0].tolist()
        raise none_available(env, agent, copy=copy, env_step=env_step)


def say_remarks(env: Env[Any]) -> None:
    """Prints what a world has noticed in its episodes, each remark once."""
    remarks = getattr(unwrap(env), "remarks", None)  # type: ignore[arg-type]
    while remarks:
        print(f"marlpipe: {remarks.pop(0)}", file=sys.stderr)


class Stretch(NamedTuple):
    """S consecutive env steps of the R episodes that were running at its start."""

    episodes: Int[Tensor, " R"]
    start: int  # the time step of its first transition
    observations: list[Observation]  # S + 1 of them
    actions: list[Int[Tensor, "R N"]]
    timesteps: list[Timestep]


@torch.inference_mode()
def stretches(
    env: Env[Any], agent: Agent, n: int, epsilon: float, generator: torch.Generator, action_sampler: ActionSampler
) -> list[Stretch]:
    """Plays `n` episodes to their ends, in stretches of a constant set of copies."""
    world = env.reset(n, generator)
    seen, memory = env.observe(world), agent.initial_memory(n)
    actions = torch.full(seen.avail_actions.shape[:2], env.spec.n_actions, device=seen.obs.device)
    device, can_be_cut = seen.obs.device, is_value(world)
    over = torch.zeros(n, dtype=torch.bool, device=device)
    played = [Stretch(torch.arange(n, device=device), 0, [seen], [], [])]
    while True:
        utilities, memory = agent.step(seen.obs, actions, memory)
        actions = action_sampler(utilities, seen.avail_actions, epsilon, generator)
        world, timestep = env.step(world, actions, generator)
        seen = env.observe(world)
        played[-1].observations.append(seen)
        played[-1].actions.append(actions)
        played[-1].timesteps.append(timestep)
        over = over | timestep.terminated | timestep.truncated
        ended = int(over.count_nonzero())
        if ended == len(over):
            return played
        if can_be_cut and 4 * ended >= len(over):
            running = (~over).nonzero().squeeze(1)
            world, seen, memory, actions, over = only((world, seen, memory, actions, over), running)
            last = played[-1]
            played.append(Stretch(last.episodes[running], last.start + len(last.actions), [seen], [], []))


def is_value(state: Any) -> bool:
    """Whether an environment's state consists of tensors in nested tuples alone."""
    return isinstance(state, Tensor) or (isinstance(state, tuple) and all(map(is_value, state)))


def only(value: Any, rows: Int[Tensor, " R"]) -> Any:
    """The given rows of all tensors in nested tuples."""
    if isinstance(value, Tensor):
        return value[rows]
    parts = [only(part, rows) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def stacked(stretch: Stretch) -> EpisodeBatch:
    """One stretch as a batch of R episodes, S time steps long."""
    obs, state, avail_actions = (torch.stack(field, dim=1) for field in zip(*stretch.observations, strict=True))
    rewards, terminated, truncated = (torch.stack(field, dim=1) for field in zip(*stretch.timesteps, strict=True))
    ended = terminated | truncated
    valid = ended.cumsum(1) == ended  # up to the first end
    return EpisodeBatch(obs, state, avail_actions, torch.stack(stretch.actions, dim=1), rewards, terminated, valid)


def joined(played: list[Stretch], n: int) -> EpisodeBatch:
    """All `n` episodes, joined from their stretches."""
    steps = sum(len(stretch.actions) for stretch in played)
    parts = [stacked(stretch) for stretch in played]
    longer = steps - len(played[0].actions)
    whole = parts[0].map(lambda field: field.new_zeros((n, field.shape[1] + longer, *field.shape[2:])))
    for stretch, part in zip(played, parts, strict=True):
        for target, field in zip(whole, part, strict=True):
            exists = part.valid if field.shape[1] == part.valid.shape[1] else part.filled
            missing = ~exists.view(*exists.shape, *[1] * (field.dim() - 2))
            target[stretch.episodes, stretch.start : stretch.start + field.shape[1]] = field.masked_fill(missing, 0)
    return whole
