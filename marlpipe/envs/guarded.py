"""A wrapper of a world that is played: its failures name it, and its answers are held to its spec."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.envs.answers import SIZES, Layout, described, misfit, of_observation, of_timestep
from marlpipe.envs.failures import ASK, CHECK, failure, is_worlds
from marlpipe.errors import MisfitError, WorldError
from marlpipe.types import Env, Observation, Timestep


def name_of(env: Any) -> str:
    """What a world is called in messages: its own name where it has one, as worlds of other libraries, or its class."""
    world = inspect.unwrap(env)
    return f"the world {getattr(world, 'name', None) or type(world).__name__}"


def not_finite(env: Any, name: str, value: float, *, copy: int, env_step: int, place: Sequence[int]) -> WorldError:
    """The error for a number of a world that is NaN or infinite.

    Args:
        env: the world.
        name: `obs`, `state` or `rewards`.
        value: the number.
        copy: of the world, from 0.
        env_step: of its episode; 0 is the reset.
        place: the indices of the number in the field of one copy, that of the agent first where agents have their own.
    """
    whose = [] if name == "state" else [f"agent {agent(env, place[0])}"]
    inside = list(place if name == "state" else place[1:])
    number = [f"number {inside[0]}"] if inside else []
    call = "step" if name == "rewards" else "observe"
    where = ", ".join([*whose, *number, f"copy {copy}", f"env step {env_step}" + ", the reset" * (env_step == 0)])
    line = defined(env, call)
    return WorldError(
        f"{name_of(env)}: {name} has {value} for {where}.\n  valid: finite numbers in obs, state and rewards\n{line}"
        f"  next: {ASK}"
    )


def none_available(env: Any, index: int, *, copy: int, env_step: int) -> WorldError:
    """The error for an agent of a copy, both from 0, that has to act and has no available action."""
    return WorldError(
        f"{name_of(env)}: avail_actions has none for agent {agent(env, index)}, copy {copy}, env step {env_step}.\n"
        f"  valid: at least one available action for each agent, until the episode ends\n{defined(env, 'observe')}"
        f"  next: {ASK}"
    )


def agent(env: Any, index: int) -> str:
    """The number of an agent, with its name where the world has names for them."""
    names = getattr(inspect.unwrap(env), "agents", None)
    return f"{index} ({names[index]})" if names else str(index)


def defined(env: Any, call: str) -> str:
    """A line with the file and line of a world's method; empty for worlds of other libraries."""
    world = inspect.unwrap(env)
    code = getattr(inspect.unwrap(getattr(type(world), call)), "__code__", None)
    return "" if code is None or hasattr(world, "name") else f"  where: {code.co_filename}:{code.co_firstlineno}\n"


class Guarded:
    """The same world. `WorldError` for what its code raises, sys.exit included, and for an answer that does not fit."""

    def __init__(self, env: Env[Any]) -> None:
        self.env, self.spec, self._name = env, env.spec, name_of(env)
        self._elapsed = 0

    def reset(self, n: int, generator: torch.Generator) -> Any:
        self._elapsed, self._device = 0, torch.empty(0, device=generator.device).device
        self._expect(n)
        return self._asked("reset", self.env.reset, n, generator)

    def observe(self, state: Any) -> Observation:
        seen = self._asked("observe", self.env.observe, state)
        if type(seen) is not Observation:
            seen = Observation(*self._three("observe", seen, "an Observation: obs, state, avail_actions"))
        self._check("observe", seen, self._seen)
        return seen

    def step(self, state: Any, actions: Int[Tensor, "B N"], generator: torch.Generator) -> tuple[Any, Timestep]:
        self._elapsed += 1
        if len(actions) != self._n:
            self._expect(len(actions))
        if self._elapsed > self.spec.horizon:
            what = f"episodes go on after {self.spec.horizon} env steps, with neither terminated nor truncated"
            raise self._misfit("step", what, "an end by spec.horizon")
        answer = self._asked("step", self.env.step, state, actions, generator)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise self._misfit("step", f"it returned {kind(answer)}", "the next state and a Timestep")
        after, timestep = answer
        if type(timestep) is not Timestep:
            timestep = Timestep(*self._three("step", timestep, "a Timestep: rewards, terminated, truncated"))
        self._check("step", timestep, self._brought)
        return after, timestep

    def _expect(self, n: int) -> None:
        self._n = n
        self._seen, self._brought = (of(self.spec, n, self._device) for of in (of_observation, of_timestep))

    def _check(self, call: str, answer: tuple[Any, ...], layouts: dict[str, Layout]) -> None:
        name = misfit(answer, layouts)
        if name is not None:
            given = answer[list(layouts).index(name)]
            raise self._misfit(call, f"{name} is {described(given)}", f"{layouts[name]}: {SIZES[name]}")

    def _three(self, call: str, answer: Any, valid: str) -> tuple[Any, ...]:
        if not (isinstance(answer, tuple) and len(answer) == 3):
            raise self._misfit(call, f"it returned {kind(answer)}", valid)
        return answer

    def _asked(self, call: str, function: Callable[..., Any], /, *given: Any) -> Any:
        try:
            return function(*given)
        except BaseException as error:
            if not is_worlds(error):
                raise
            raise failure(f"{self._name} failed in {call}() at env step {self._elapsed}", error) from error

    def _misfit(self, call: str, what: str, valid: str) -> MisfitError:
        return MisfitError(
            f"{self._name}: {what}, from {call}() at env step {self._elapsed}.\n"
            f"  valid: {valid}\n{defined(self.env, call)}"
            f"  next: correct the method or the spec; {CHECK} with its keys checks all that it promises"
        )


def kind(answer: Any) -> str:
    """What an answer is, for messages."""
    return f"a tuple of {len(answer)}" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
