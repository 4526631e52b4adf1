"""The calls of a world, held to what its spec says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from marlpipe.commands.check_env.global_generators import global_states
from marlpipe.commands.check_env.mismatches import differences, label
from marlpipe.commands.check_env.promise import Broken, Failure, refuse
from marlpipe.commands.check_env.values import copied, indexed, is_record, tokens
from marlpipe.envs.answers import Layout, described, of_observation, of_timestep
from marlpipe.envs.failures import is_worlds, place
from marlpipe.errors import MisfitError, UserError
from marlpipe.types import Observation, Timestep

RETURN = "no call raises an exception"
SHAPES = "shapes, dtypes and device fit the spec"
GLOBAL = "global random generators are left alone"
ARGUMENTS = "arguments are not changed in place"


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
        refuse(SHAPES, _misfits(seen, of_observation(self.env.spec, n, self.device), env_step))
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
        refuse(SHAPES, _misfits(timestep, of_timestep(self.env.spec, n, self.device), env_step))
        refuse(ARGUMENTS, _changes(before, state, env_step))
        if not torch.equal(actions, taken):
            raise Broken(ARGUMENTS, [Failure("actions", "the actions that were given", "others, in place", env_step)])
        return after, timestep

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
    except BaseException as error:
        if not (isinstance(error, UserError) or is_worlds(error)):
            raise
        promise = SHAPES if isinstance(error, MisfitError) else RETURN
        raise Broken(promise, [Failure(f"{call}()", f"{what} for {counted(n)}", raised(error), env_step)]) from error
    changed = [name for name, state in global_states().items() if state != before[name]]
    came = f"another one after {call}()"
    refuse(GLOBAL, (Failure(name, "the state that it had", came, env_step) for name in changed))


def raised(error: BaseException) -> str:
    """An exception on one line, with its place. Our own errors name it, and their next step is left out."""
    if isinstance(error, UserError):
        return " ".join(line.strip() for line in str(error).splitlines() if not line.startswith("  next:"))
    message, where = " ".join(str(error).split()), place(error)
    return f"{type(error).__name__}: {message}".rstrip(": ") + (f" ({where})" if where else "")


def _misfits(given: Observation | Timestep, layouts: Mapping[str, Layout], env_step: int) -> Iterator[Failure]:
    for name, field in given._asdict().items():
        if not layouts[name].fits(field):
            yield Failure(name, str(layouts[name]), described(field), env_step)


def _changes(given: Any, state: Any, env_step: int) -> Iterator[Failure]:
    if not tokens(state):
        everywhere = torch.ones((1, len(given[0])), dtype=torch.bool, device=given[0].device)
        came, expected = indexed(state, None), indexed(given, None)  # a single moment
        yield from differences(came, expected, everywhere, env_step=env_step, same_as="as it was given")
