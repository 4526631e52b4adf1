"""Episodes played with random actions, and all that was seen, asked for and drawn meanwhile."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from marlpipe.commands.check_env.calls import Calls
from marlpipe.commands.check_env.global_generators import global_seeds
from marlpipe.commands.check_env.mismatches import differences
from marlpipe.commands.check_env.promise import Broken, Failure, refuse
from marlpipe.commands.check_env.values import copied, indexed, stacked, tokens
from marlpipe.models.exploration import epsilon_greedy
from marlpipe.types import Observation, Timestep

MASKS = "every agent has an available action"
BEYOND = "ended copies may be stepped on"

Policy = Callable[[int, Tensor], Tensor]  # from the env steps so far and avail_actions (B N A) to actions (B N)


class Recording(NamedTuple):
    """Episodes of B copies side by side. What is seen leads with the T1 = T + 1 moments, what is done with T."""

    states: list[Any]
    seen: Observation
    seen_again: Observation  # asked for right after
    seen_later: Observation  # the tensors of the first answers, as they are in the end
    filled: Bool[Tensor, "T1 B"]  # moments up to the end of the episode
    running: Bool[Tensor, "T1 B"]  # moments before it
    actions: Int[Tensor, "T B N"]
    timesteps: Timestep
    timesteps_later: Timestep
    draws: list[Tensor]  # the generator's state: before the reset, then at each moment

    def drew(self, env_step: int) -> bool:
        """Whether an env step drew random numbers; 0 is the reset."""
        return not torch.equal(self.draws[env_step], self.draws[env_step + 1])

    def generator(self, env_step: int) -> torch.Generator:
        """A generator as it was before an env step."""
        generator = torch.Generator(self.actions.device)
        generator.set_state(self.draws[env_step])
        return generator


def record(calls: Calls, n: int, policy: Policy, *, seed: int, global_seed: int) -> Recording:
    """n episodes, until the last of them ends or the horizon is reached, and one env step beyond their ends.

    Raises:
        Broken: it could not be played so far.
    """
    generator = torch.Generator(calls.device).manual_seed(seed)
    moments, transitions = [], []
    with global_seeds(global_seed, calls.device):
        draws = [generator.get_state()]
        state = calls.reset(n, generator)
        filled = running = acting = torch.ones(n, dtype=torch.bool, device=calls.device)
        for env_step in range(calls.env.spec.horizon + 1):
            seen = calls.observe(state, n, env_step)
            noted, again = copied(seen), copied(calls.observe(state, n, env_step))
            refuse(MASKS, stuck(noted.avail_actions, acting, env_step))
            moments.append((copied(state), noted, again, seen, filled, running))
            draws.append(generator.get_state())
            if not running.any() or env_step == calls.env.spec.horizon:
                break
            actions = policy(env_step, noted.avail_actions)
            state, timestep = calls.step(state, actions, generator, env_step + 1)
            transitions.append((actions, copied(timestep), timestep))
            filled, acting = running, running & ~timestep.terminated  # from where it is truncated one bootstraps
            running = running & ~(timestep.terminated | timestep.truncated)
        if not running.any():
            step_beyond_the_end(calls, state, policy(env_step, noted.avail_actions), generator, env_step + 1)
    states, seens, agains, laters, exist, run = zip(*moments, strict=True)
    taken, timesteps, later = zip(*transitions, strict=True)
    return Recording(
        states=list(states),
        seen=stacked(seens),
        seen_again=stacked(agains),
        seen_later=stacked(laters),
        filled=torch.stack(exist),
        running=torch.stack(run),
        actions=torch.stack(taken),
        timesteps=stacked(timesteps),
        timesteps_later=stacked(later),
        draws=draws,
    )


def unlike(
    came: Recording, expected: Recording, copies: Bool[Tensor, " B"], *, same_as: str, rounding: bool = False
) -> Iterator[Failure]:
    """Where what is seen and paid differs between two recordings of the same episodes, in some of their copies."""
    length = min(len(came.actions), len(expected.actions))
    accounts: list[tuple[Any, Any, Tensor, int, int]] = [
        (came.seen, expected.seen, expected.filled & copies, length + 1, 0),
        (came.timesteps, expected.timesteps, expected.running & copies, length, 1),
    ]
    for ours, theirs, read, end, env_step in accounts:
        one, other = indexed(ours, slice(end)), indexed(theirs, slice(end))
        yield from differences(one, other, read[:end], env_step=env_step, same_as=same_as, rounding=rounding)


def at_random(seed: int, device: torch.device) -> Policy:
    """Each agent takes an available action, all of them equally likely; the first one where none is available."""
    generator = torch.Generator(device).manual_seed(seed)

    def policy(env_step: int, avail_actions: Tensor) -> Tensor:  # noqa: ARG001 it is the same at any time
        return epsilon_greedy(torch.zeros(avail_actions.shape, device=device), avail_actions, 1.0, generator)

    return policy


def stuck(avail_actions: Tensor, acting: Tensor, env_step: int) -> Iterator[Failure]:
    """Agents without an action, in copies where they act, or could where the time limit came in between."""
    for copy, agent in (~avail_actions.any(-1) & acting.unsqueeze(1)).nonzero()[:1].tolist():
        yield Failure("avail_actions", "an available action for each agent", f"none for agent {agent}", env_step, copy)


def step_beyond_the_end(calls: Calls, state: Any, actions: Tensor, generator: torch.Generator, env_step: int) -> None:
    """What every rollout does to the copies that end before the others."""
    try:
        calls.step(state, actions, generator, env_step)
    except Broken as stop:
        raise Broken(BEYOND, stop.failures) from stop


GLOBAL_SEEDS = (2**20 + 1, 2**20 + 2)  # which no run has, and no world is likely to set


class Trial(NamedTuple):
    """A world and random episodes in it."""

    calls: Calls
    seed: int
    recordings: list[Recording]  # of several copies, with the seed, seed + 1, …; the last one of a copy alone
    repeated: Recording  # the first one again, with other global seeds

    @property
    def forward_only(self) -> str:
        """Why no env step can be tried again; empty where all can."""
        held_by = tokens(self.recordings[0].states[0])
        return f"{' and '.join(held_by)}, so no env step can be tried again" if held_by else ""


def held(calls: Calls, *, copies: int, episodes: int, seed: int) -> Trial:
    """Plays `episodes` times with as many `copies` side by side, and what `Trial` has besides. May raise `Broken`."""

    def play(n: int, seed: int, global_seed: int = GLOBAL_SEEDS[0]) -> Recording:
        return record(calls, n, at_random(seed, calls.device), seed=seed, global_seed=global_seed)

    several = [play(copies, seed + number) for number in range(episodes)]
    return Trial(calls, seed, [*several, play(1, seed)], repeated=play(copies, seed, global_seed=GLOBAL_SEEDS[1]))
