"""What a PettingZoo world returns, held to what it declares, agent by agent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple
from jaxtyping import Bool
from numpy import ndarray

from marlpipe.envs.failures import ASK
from marlpipe.errors import MisfitError

RESET = ("observations", "infos")
STEP = ("observations", "rewards", "terminations", "truncations", "infos")
NUMBERS = "biuf"  # kinds of numpy's dtypes: booleans, whole numbers, real numbers


class Call(NamedTuple):
    """One call of a world. Its methods read the answer, and raise a `MisfitError` where it is not as declared."""

    world: str
    name: str  # as `step() of copy 0 at env step 3`

    def misfit(self, what: str, valid: str) -> MisfitError:
        return MisfitError(f"the world {self.world}: {what}, from {self.name}.\n  valid: {valid}\n  next: {ASK}")

    def parts(self, answer: Any, names: Sequence[str]) -> list[Mapping[str, Any]]:
        """The dicts of a reset or step."""
        if not isinstance(answer, tuple) or len(answer) != len(names):
            came = f"a tuple of {len(answer)}" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
            raise self.misfit(f"it returned {came}", f"{len(names)} dicts by agent: {', '.join(names)}")
        for name, part in zip(names, answer, strict=True):
            if not isinstance(part, Mapping):
                raise self.misfit(f"{name} is a {type(part).__name__}", "a dict by agent")
        return list(answer)

    def known(self, name: str, agents: Any, possible: Sequence[Any]) -> list[Any]:
        """The agents of a list or dict, which are all among the possible ones."""
        if not isinstance(agents, Iterable) or isinstance(agents, str):
            raise self.misfit(f"{name} is {shown(agents)}", "a list of agents")
        given = list(agents)
        if strangers := [agent for agent in given if agent not in possible]:
            names = ", ".join(map(str, possible))
            raise self.misfit(f"{name} has {strangers[0]}, which is no possible agent", f"its possible_agents: {names}")
        return given

    def of(self, agent: str, name: str, part: Mapping[str, Any]) -> Any:
        """An agent's entry of a dict."""
        if agent not in part:
            has = ", ".join(map(str, part)) or "nobody"
            raise self.misfit(f"{name} lacks {agent}: it has {has}", "an entry for each agent that acted or is there")
        return part[agent]

    def number(self, agent: str, value: Any) -> float:
        """A reward: a number, or an array of one."""
        if isinstance(value, float):
            return value
        array = as_array(value)
        if array.size != 1 or array.dtype.kind not in NUMBERS:
            raise self.misfit(f"the reward of {agent} is {shown(value)}", "one number")
        return float(array.item())

    def truth(self, agent: str, name: str, value: Any) -> bool:
        """Whether an agent's episode ends: a boolean, or an array of one."""
        if isinstance(value, bool):
            return value
        array = as_array(value)
        if array.size != 1 or array.dtype.kind not in NUMBERS or array.item() not in (0, 1):
            raise self.misfit(f"the entry of {agent} in {name} is {shown(value)}", "one boolean")
        return bool(array.item())

    def mask(self, agent: str, n_actions: int, value: Any) -> Bool[ndarray, " A"]:
        """An agent's available actions."""
        array = as_array(value)
        valid = array.shape == (n_actions,) and array.dtype.kind in NUMBERS and np.isin(array, (0, 1)).all()
        if not valid:
            raise self.misfit(
                f"the action_mask of {agent} is {shown(value)}", f"0 or 1 for each of its {n_actions} actions"
            )
        return array.astype(bool)

    def state(self, declared: tuple[int, ...], value: Any) -> ndarray:
        """The world's `state()`, whose shape was seen when the world was made."""
        array = as_array(value)
        if array.shape != declared or array.dtype.kind not in NUMBERS:
            raise self.misfit(f"state() is {shown(value)}", f"numbers of the shape {declared}, as at its first reset")
        return array

    def check_seen(self, agent: str, space: Space[Any], seen: Any, part: str = "") -> None:
        """An observation, whose numbers have to be of the declared shape, and of its kind.

        Args:
            agent: whose it is.
            space: as the agent declares it, or a part of it.
            seen: the observation, or the part.
            part: the way to it, as `['position']`.
        """
        of = f"the observation{part} of {agent}"
        if isinstance(space, Box):
            array = as_array(seen)
            if array.shape != space.shape or not holds(space.dtype, array):
                raise self.misfit(f"{of} is {shown(seen)}", f"its observation_space: {space.dtype} {space.shape}")
        elif isinstance(space, Dict):
            if not isinstance(seen, Mapping) or not space.spaces.keys() <= seen.keys():
                has = f"a dict of {', '.join(map(str, seen))}" if isinstance(seen, Mapping) else shown(seen)
                raise self.misfit(f"{of} is {has}", f"a dict of {', '.join(map(str, space.spaces))}")
            for key, inner in space.spaces.items():
                self.check_seen(agent, inner, seen[key], f"{part}[{key!r}]")
        elif isinstance(space, Tuple):
            if not isinstance(seen, tuple | list) or len(seen) != len(space.spaces):
                raise self.misfit(f"{of} is {shown(seen)}", f"a tuple of {len(space.spaces)}")
            for index, inner in enumerate(space.spaces):
                self.check_seen(agent, inner, seen[index], f"{part}[{index}]")
        elif not space.contains(seen):
            raise self.misfit(f"{of} is {shown(seen)}", f"a member of its observation_space: {space}")


def as_array(value: Any) -> ndarray:
    """As numpy reads it; ragged lists become objects, which are no numbers."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.asarray(None)


def holds(dtype: Any, array: ndarray) -> bool:
    """Whether a declared dtype can hold these numbers: real ones rounded to fewer digits, whole ones exactly."""
    if array.dtype == dtype:
        return True
    if array.dtype.kind not in NUMBERS:
        return False
    return np.dtype(dtype).kind == "f" or bool((array.astype(dtype) == array).all())


def shown(value: Any) -> str:
    """A value for messages: an array by dtype and shape, a short one in full."""
    if isinstance(value, ndarray) and value.size > 1:
        return f"{value.dtype} {value.shape}"
    text, array = " ".join(repr(value).split()), as_array(value)
    return f"{text[:60]}{'…' * (len(text) > 60)}" + (f", of the shape {array.shape}" if array.shape else "")
