"""Copies of a world of PettingZoo, stepped one after the other, between arrays of shapes common to all agents."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple, flatdim, flatten
from jaxtyping import Bool, Float32, Int, UInt8
from numpy import ndarray

from marlpipe.envs.pettingzoo_import import Source
from marlpipe.errors import UserError

MASK = "action_mask"  # where worlds say which actions are available: beside the observation, or in the infos
TIMED_STEPS = 10


class Moment(NamedTuple):
    """What is seen of B copies (of one, without the B), and what the step that led there brought."""

    obs: Float32[ndarray, "*B N O"]
    state: Float32[ndarray, "*B S"]
    avail_actions: Bool[ndarray, "*B N A"]
    rewards: Float32[ndarray, "*B N"]
    terminated: Bool[ndarray, "*B"]
    truncated: Bool[ndarray, "*B"]


def without_mask(space: Space[Any]) -> Space[Any]:
    """What an agent sees, of a space that may hold the mask of its actions as well."""
    if isinstance(space, Dict) and MASK in space.spaces:
        return Dict({name: part for name, part in space.spaces.items() if name != MASK})
    return space


def scales(space: Space[Any]) -> Float32[ndarray, " O"]:
    """What each number of a flattened observation is multiplied by: 8-bit pixels become 0 to 1, all else stays."""
    if isinstance(space, Dict | Tuple):
        parts = space.spaces.values() if isinstance(space, Dict) else space.spaces
        return np.concatenate([scales(part) for part in parts])
    pixels = isinstance(space, Box) and space.dtype == np.uint8 and bool((space.high == 255).all())
    return np.full(flatdim(space), 1 / 255 if pixels else 1, dtype=np.float32)


class Layout:
    """How agents whose observations and actions differ fit into common shapes. UserError for a world that does not.

    Agents are in the order of `possible_agents`. After what is an agent's own come zeros and unavailable actions. The
    state is the world's `state()`, or all observations where that does not work.
    """

    def __init__(self, source: Source) -> None:
        world = source.make()
        with source.explained("could not be looked at"):
            self._look(source, world)

    def _look(self, source: Source, world: Any) -> None:
        self.agents = list(world.possible_agents)
        self.actions = [discrete(source.name, agent, world.action_space(agent)) for agent in self.agents]
        spaces = [without_mask(world.observation_space(agent)) for agent in self.agents]
        for agent, space in zip(self.agents, spaces, strict=True):
            if not space.is_np_flattenable:
                raise UserError(
                    f"{source.name}: what {agent} observes has no fixed length: {space}.\n"
                    "  valid: spaces that flatten to a vector, such as Box, Discrete, and Dict and Tuple of them\n"
                    "  next: choose another kind of observation in env.arguments, if the world has one"
                )
        self.spaces = dict(zip(self.agents, spaces, strict=True))
        self.scales = {agent: scales(space) for agent, space in self.spaces.items()}
        self.n_actions = max(int(actions.n) for actions in self.actions)
        self.obs_dim = max(len(scale) for scale in self.scales.values())
        world.reset(seed=0)
        try:
            self.state_dim, self.has_state = np.asarray(world.state()).size, True
        except Exception:  # it has none, or none that works
            self.state_dim, self.has_state = len(self.agents) * self.obs_dim, False
        self.max_cycles: int | None = getattr(getattr(world, "unwrapped", world), "max_cycles", None)

    def see(
        self, world: Any, observations: Mapping[str, Any], infos: Mapping[str, Any], present: Iterable[str]
    ) -> tuple[Float32[ndarray, "N O"], Float32[ndarray, " S"], Bool[ndarray, "N A"]]:
        """Observations, state and available actions. Who is not `present` sees zeros and has action 0 only."""
        obs = np.zeros((len(self.agents), self.obs_dim), dtype=np.float32)
        avail_actions = np.zeros((len(self.agents), self.n_actions), dtype=bool)
        there = set(present)
        for i, agent in enumerate(self.agents):
            if agent in there:
                seen, scale = observations[agent], self.scales[agent]
                obs[i, : len(scale)] = flatten(self.spaces[agent], seen) * scale
                mask = seen.get(MASK) if isinstance(seen, dict) else None
                mask = infos.get(agent, {}).get(MASK) if mask is None else mask
                avail_actions[i, : self.actions[i].n] = True if mask is None else mask
        avail_actions[~avail_actions.any(1), 0] = True
        if not self.has_state:
            return obs, obs.ravel(), avail_actions
        state = np.asarray(world.state())
        return obs, state.ravel().astype(np.float32) / (255 if state.dtype == np.uint8 else 1), avail_actions

    def joint_action(self, actions: Int[ndarray, " N"], acting: Iterable[str]) -> dict[str, int]:
        """What the world is told, for those who act."""
        chosen = zip(self.agents, self.actions, actions.tolist(), strict=True)
        who = set(acting)
        return {agent: int(space.start) + action for agent, space, action in chosen if agent in who}


def discrete(name: str, agent: str, space: Space[Any]) -> Discrete:
    """The space, if value factorisation can handle it."""
    if not isinstance(space, Discrete):
        raise UserError(
            f"{name}: {agent} acts in {space}.\n"
            "  valid: Discrete actions, which a value can be learned for one by one\n"
            "  next: choose them in env.arguments if the world has them, as in 'env.arguments={continuous: false}', or "
            "another env.name"
        )
    return space


class Copy:
    """One copy of a world and its episode."""

    def __init__(self, source: Source, layout: Layout, *, horizon: int, rebuild: bool) -> None:
        self.source, self.layout, self.horizon, self.rebuild = source, layout, horizon, rebuild
        self.world = source.make()

    def reset(self, seed: int) -> Moment:
        if self.rebuild:
            self.world = self.source.make()
        self.seed, self.history = seed, list[dict[str, int]]()
        self.cut = self.over = False
        observations, infos = self.world.reset(seed=seed)
        return self._moment(observations, infos, self.world.agents, {})

    def step(self, actions: Int[ndarray, " N"]) -> Moment:
        """All zeros once the episode is over: when nobody is left, or at the horizon.

        It was terminated if everybody was, and truncated otherwise.
        """
        if self.over:
            return self.nothing
        acting = list(self.world.agents)
        told = self.layout.joint_action(actions, acting)
        observations, rewards, terminations, truncations, infos = self.world.step(told)
        self.history.append(told)
        cut = [agent for agent in acting if truncations[agent] and not terminations[agent]]
        self.cut |= bool(cut)
        nobody_left = not self.world.agents
        self.over = nobody_left or len(self.history) >= self.horizon
        terminated = nobody_left and not self.cut
        return self._moment(
            observations,
            infos,
            [*self.world.agents, *cut],  # what a truncated agent saw last is bootstrapped from
            {agent: rewards[agent] for agent in acting},
            terminated=terminated,
            truncated=self.over and not terminated,
        )

    def _moment(
        self,
        observations: Mapping[str, Any],
        infos: Mapping[str, Any],
        present: Iterable[str],
        rewards: Mapping[str, Any],
        *,
        terminated: bool = False,
        truncated: bool = False,
    ) -> Moment:
        return Moment(
            *self.layout.see(self.world, observations, infos, present),
            rewards=np.array([rewards.get(agent, 0) for agent in self.layout.agents], dtype=np.float32),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
        )

    @property
    def nothing(self) -> Moment:
        """What is seen of an episode that is over."""
        n, layout = len(self.layout.agents), self.layout
        return Moment(
            obs=np.zeros((n, layout.obs_dim), dtype=np.float32),
            state=np.zeros(layout.state_dim, dtype=np.float32),
            avail_actions=np.arange(layout.n_actions) == np.zeros((n, 1)),
            rewards=np.zeros(n, dtype=np.float32),
            terminated=np.array(False),
            truncated=np.array(False),
        )

    def picture(self) -> UInt8[ndarray, "H W 3"]:
        """What the world draws of itself.

        A world that was not made to draw is replaced by one that is, led to the same moment by its seed and actions.
        """
        if getattr(self.world, "render_mode", None) != "rgb_array":
            self.world = self.source.make(render_mode="rgb_array")
            self.world.reset(seed=self.seed)
            for told in self.history:
                self.world.step(told)
        return np.asarray(self.world.render(), dtype=np.uint8)


class Copies:
    """Copies number `first`, `first + stride`, … of a world. There are as many as were ever asked for at once."""

    def __init__(self, source: Source, *, horizon: int, rebuild: bool, first: int = 0, stride: int = 1) -> None:
        self.source, self.layout = source, Layout(source)
        self.horizon, self.rebuild, self.first, self.stride = horizon, rebuild, first, stride
        self.copies: list[Copy] = []

    def reset(self, seeds: Sequence[int]) -> Moment:
        """The first moment of a new episode in as many copies as there are seeds."""
        while len(self.copies) < len(seeds):
            self.copies.append(Copy(self.source, self.layout, horizon=self.horizon, rebuild=self.rebuild))
        moments = []
        for i, seed in enumerate(seeds):
            with self._copy(i) as copy:
                moments.append(copy.reset(seed))
        return stacked(moments)

    def step(self, actions: Int[ndarray, "B N"]) -> Moment:
        moments = []
        for i, chosen in enumerate(actions):
            with self._copy(i) as copy:
                moments.append(copy.step(chosen))
        return stacked(moments)

    def picture(self, i: int) -> UInt8[ndarray, "H W 3"]:
        with self._copy(i) as copy:
            return copy.picture()

    @contextmanager
    def _copy(self, i: int) -> Iterator[Copy]:
        with self.source.explained(f"failed in copy {self.first + self.stride * i}"):
            yield self.copies[i]

    def seconds_per_step(self) -> float:
        """Of one copy, on average over the first steps of an episode."""
        moment = self.reset([0])
        start = time.perf_counter()
        for _ in range(TIMED_STEPS):
            moment = self.step(moment.avail_actions.argmax(-1))
        return (time.perf_counter() - start) / TIMED_STEPS


def stacked(moments: Sequence[Moment]) -> Moment:
    return Moment(*(np.stack(field) for field in zip(*moments, strict=True)))
