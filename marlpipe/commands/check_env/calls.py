"""The calls of a world, held to what its spec says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from marlpipe.commands.check_env.global_generators import global_states
from marlpipe.commands.check_env.mismatches import differences, label
from marlpipe.commands.check_env.promise import Broken, Failure, described, layout, refuse
from marlpipe.commands.check_env.values import copied, indexed, is_record, tokens
from marlpipe.types import Observation, Timestep

RETURN = "no call raises an exception"
SHAPES = "shapes, dtypes and device fit the spec"
GLOBAL = "global random generators are left alone"
ARGUMENTS = "arguments are not changed in place"

Layouts = dict[str, str]  # by field, what `described` should say


@dataclass(frozen=True)
class Calls:
    """A world whose calls raise `Broken` for an exception, a wrong shape, or a change of what is not theirs."""

    env: Any  # an Env, if it keeps its promises
    device: torch.device

    def reset(self, n: int, generator: torch.Generator) -> Any:
        with _asked("reset", "a state", n, 0):
            state = self.env.reset(n, generator)
        refuse(SHAPES, self._state_misfits(state, n, 0))
        return state

    def observe(self, state: Any, n: int, env_step: int) -> Observation:
        before = copied(state)
        with _asked("observe", "an Observation", n, env_step):
            seen = Observation(*self.env.observe(state))
        refuse(SHAPES, _misfits(seen, self._observation(n), env_step))
        refuse(ARGUMENTS, _changes(before, state, env_step))
        return seen

    def step(self, state: Any, actions: Tensor, generator: torch.Generator, env_step: int) -> tuple[Any, Timestep]:
        before, taken, n = copied(state), actions.clone(), len(actions)
        with _asked("step", "a state and a Timestep", n, env_step):
            after, timestep = self.env.step(state, actions, generator)
            timestep = Timestep(*timestep)
        if type(after) is not type(state):
            raise Broken(SHAPES, [Failure("the next state", type(state).__name__, type(after).__name__, env_step)])
        refuse(SHAPES, self._state_misfits(after, n, env_step))
        refuse(SHAPES, _misfits(timestep, self._timestep(n), env_step))
        refuse(ARGUMENTS, _changes(before, state, env_step))
        if not torch.equal(actions, taken):
            raise Broken(ARGUMENTS, [Failure("actions", "the actions that were given", "others, in place", env_step)])
        return after, timestep

    def _observation(self, n: int) -> Layouts:
        spec, number = self.env.spec, torch.get_default_dtype()
        return {
            "obs": layout(number, (n, spec.n_agents, spec.obs_dim), self.device),
            "state": layout(number, (n, spec.state_dim), self.device),
            "avail_actions": layout(torch.bool, (n, spec.n_agents, spec.n_actions), self.device),
        }

    def _timestep(self, n: int) -> Layouts:
        return {
            "rewards": layout(torch.get_default_dtype(), (n, self.env.spec.n_agents), self.device),
            "terminated": layout(torch.bool, (n,), self.device),
            "truncated": layout(torch.bool, (n,), self.device),
        }

    def _state_misfits(self, state: Any, n: int, env_step: int) -> Iterator[Failure]:
        if is_record(state):
            for name, field in state._asdict().items():
                if isinstance(field, Tensor) and not (field.shape[:1] == (n,) and field.device == self.device):
                    expected = f"a tensor that leads with {counted(n)}, on {self.device}"
                    yield Failure(label(state, name), expected, described(field), env_step)


def counted(n: int) -> str:
    """So many copies, in words."""
    return "1 copy" if n == 1 else f"{n} copies"


@contextmanager
def _asked(call: str, what: str, n: int, env_step: int) -> Iterator[None]:
    before = global_states()
    try:
        yield
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        came = f"{type(error).__name__}: {first_line}"
        raise Broken(RETURN, [Failure(f"{call}()", f"{what} for {counted(n)}", came, env_step)]) from error
    changed = [name for name, state in global_states().items() if state != before[name]]
    came = f"another one after {call}()"
    refuse(GLOBAL, (Failure(name, "the state that it had", came, env_step) for name in changed))


def _misfits(given: Observation | Timestep, layouts: Layouts, env_step: int) -> Iterator[Failure]:
    for name, field in given._asdict().items():
        if described(field) != layouts[name]:
            yield Failure(name, layouts[name], described(field), env_step)


def _changes(given: Any, state: Any, env_step: int) -> Iterator[Failure]:
    if not tokens(state):
        everywhere = torch.ones((1, len(given[0])), dtype=torch.bool, device=given[0].device)
        came, expected = indexed(state, None), indexed(given, None)  # a single moment
        yield from differences(came, expected, everywhere, env_step=env_step, same_as="as it was given")
