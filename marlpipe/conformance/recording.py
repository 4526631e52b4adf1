"""Episodes played with random actions, and all that was seen, asked for and drawn meanwhile."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from marlpipe.conformance.calls import Calls, copied
from marlpipe.conformance.failure import Broken, Failure, refuse
from marlpipe.exploration import epsilon_greedy
from marlpipe.types import Observation, Timestep

MASKS = "who acts has an action to take"
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
    surroundings: list[dict[str, int]]  # the states of the global generators, likewise

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
        draws, surroundings = [generator.get_state()], [global_states()]
        state = calls.reset(n, generator)
        filled = running = acting = torch.ones(n, dtype=torch.bool, device=calls.device)
        for env_step in range(calls.env.spec.horizon + 1):
            seen = calls.observe(state, n, env_step)
            noted, again = copied(seen), copied(calls.observe(state, n, env_step))
            refuse(MASKS, stuck(noted.avail_actions, acting, env_step))
            moments.append((copied(state), noted, again, seen, filled, running))
            draws.append(generator.get_state())
            surroundings.append(global_states())
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
        surroundings=surroundings,
    )


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


def step_beyond_the_end(
    calls: Calls, state: Any, actions: Tensor, generator: torch.Generator, env_step: int
) -> None:
    """What every rollout does to the copies that end before the others."""
    try:
        calls.step(state, actions, generator, env_step)
    except Broken as stop:
        raise Broken(BEYOND, stop.failures) from stop


def stacked(records: Sequence[Any]) -> Any:
    """NamedTuples of tensors as one, whose tensors lead with the moments."""
    return type(records[0])(*(torch.stack(field) for field in zip(*records, strict=True)))


@contextmanager
def global_seeds(seed: int, device: torch.device) -> Iterator[None]:
    """The global generators of torch, numpy and Python start from a seed, and are afterwards as they were before."""
    kept = numpy.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        numpy.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            numpy.random.set_state(kept[0])
            random.setstate(kept[1])


def global_states() -> dict[str, int]:
    """A number for the state of each global generator."""
    _, keys, *rest = numpy.random.get_state()
    return {
        "torch's global generator": hash(torch.get_rng_state().numpy().tobytes()),
        "numpy's global generator": hash((keys.tobytes(), *rest)),
        "Python's global generator": hash(random.getstate()),
    }
