"""Copies of a PettingZoo world, stepped one after the other, as arrays padded to shapes common to all agents."""

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

MASK = "action_mask"  # key of the available actions, in the observation or in the infos
TIMED_STEPS = 10


class CopiesStep(NamedTuple):
    """Observations of B copies after a reset or step (of one copy, without B), and the rewards and end of the step."""

    obs: Float32[ndarray, "*B N O"]
    state: Float32[ndarray, "*B S"]
    avail_actions: Bool[ndarray, "*B N A"]
    rewards: Float32[ndarray, "*B N"]
    terminated: Bool[ndarray, "*B"]
    truncated: Bool[ndarray, "*B"]


def without_mask(space: Space[Any]) -> Space[Any]:
    """The observation space of an agent, without the mask of its actions."""
    if isinstance(space, Dict) and MASK in space.spaces:
        return Dict({name: part for name, part in space.spaces.items() if name != MASK})
    return space


def scales(space: Space[Any]) -> Float32[ndarray, " O"]:
    """The factor of each number of a flattened observation: 1/255 for 8-bit pixels, 1 for all others."""
    if isinstance(space, Dict | Tuple):
        parts = space.spaces.values() if isinstance(space, Dict) else space.spaces
        return np.concatenate([scales(part) for part in parts])
    pixels = isinstance(space, Box) and space.dtype == np.uint8 and bool((space.high == 255).all())
    return np.full(flatdim(space), 1 / 255 if pixels else 1, dtype=np.float32)


class Layout:
    """Common shapes for agents with different observations and actions. UserError for a world without such.

    Agents are in the order of `possible_agents`. Observations are padded with zeros, actions with unavailable ones. The
    state is the world's `state()`, or all observations where that fails.
    """

    def __init__(self, source: Source) -> None:
        world = source.make()
        with source.errors_as_user_errors("could not be inspected"):
            self._inspect(source, world)

    def _inspect(self, source: Source, world: Any) -> None:
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
        """Observations, state and available actions. Absent agents observe zeros and have action 0 only."""
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
        """The actions of the acting agents, in the form that the world expects."""
        chosen = zip(self.agents, self.actions, actions.tolist(), strict=True)
        active = set(acting)
        return {agent: int(space.start) + action for agent, space, action in chosen if agent in active}


def discrete(name: str, agent: str, space: Space[Any]) -> Discrete:
    """The space, if it is discrete; UserError otherwise."""
    if not isinstance(space, Discrete):
        raise UserError(
            f"{name}: {agent} acts in {space}.\n"
            "  valid: Discrete actions, each of which gets a value\n"
            "  next: choose them in env.arguments if the world has them, as in 'env.arguments={continuous: false}', or "
            "another env.name"
        )
    return space


class Copy:
    """One copy of a world and its episode."""

    def __init__(self, source: Source, layout: Layout, *, horizon: int, rebuild: bool) -> None:
        self.source, self.layout, self.horizon, self.rebuild = source, layout, horizon, rebuild
        self.world = source.make()

    def reset(self, seed: int) -> CopiesStep:
        if self.rebuild:
            self.world = self.source.make()
        self.seed, self.history = seed, list[dict[str, int]]()
        self.cut = self.over = False
        observations, infos = self.world.reset(seed=seed)
        return self._observed(observations, infos, self.world.agents, {})

    def step(self, actions: Int[ndarray, " N"]) -> CopiesStep:
        """One time step; all zeros after the episode has ended, when no agent is left or at the horizon.

        The episode is terminated if all agents were, and truncated otherwise.
        """
        if self.over:
            return self.padding
        acting = list(self.world.agents)
        joint_action = self.layout.joint_action(actions, acting)
        observations, rewards, terminations, truncations, infos = self.world.step(joint_action)
        self.history.append(joint_action)
        cut = [agent for agent in acting if truncations[agent] and not terminations[agent]]
        self.cut |= bool(cut)
        none_left = not self.world.agents
        self.over = none_left or len(self.history) >= self.horizon
        terminated = none_left and not self.cut
        return self._observed(
            observations,
            infos,
            [*self.world.agents, *cut],  # the last observation of a truncated agent is needed for bootstrapping
            {agent: rewards[agent] for agent in acting},
            terminated=terminated,
            truncated=self.over and not terminated,
        )

    def _observed(
        self,
        observations: Mapping[str, Any],
        infos: Mapping[str, Any],
        present: Iterable[str],
        rewards: Mapping[str, Any],
        *,
        terminated: bool = False,
        truncated: bool = False,
    ) -> CopiesStep:
        return CopiesStep(
            *self.layout.see(self.world, observations, infos, present),
            rewards=np.array([rewards.get(agent, 0) for agent in self.layout.agents], dtype=np.float32),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
        )

    @property
    def padding(self) -> CopiesStep:
        """The padding after the end of an episode."""
        n, layout = len(self.layout.agents), self.layout
        return CopiesStep(
            obs=np.zeros((n, layout.obs_dim), dtype=np.float32),
            state=np.zeros(layout.state_dim, dtype=np.float32),
            avail_actions=np.arange(layout.n_actions) == np.zeros((n, 1)),
            rewards=np.zeros(n, dtype=np.float32),
            terminated=np.array(False),
            truncated=np.array(False),
        )

    def picture(self) -> UInt8[ndarray, "H W 3"]:
        """The world's own picture of its current state.

        A world without rendering is replaced by one with it, which repeats the seed and the actions of the episode.
        """
        if getattr(self.world, "render_mode", None) != "rgb_array":
            self.world = self.source.make(render_mode="rgb_array")
            self.world.reset(seed=self.seed)
            for joint_action in self.history:
                self.world.step(joint_action)
        return np.asarray(self.world.render(), dtype=np.uint8)


class Copies:
    """Copies number `first`, `first + stride`, … of a world. Their number is the largest that was reset at once."""

    def __init__(self, source: Source, *, horizon: int, rebuild: bool, first: int = 0, stride: int = 1) -> None:
        self.source, self.layout = source, Layout(source)
        self.horizon, self.rebuild, self.first, self.stride = horizon, rebuild, first, stride
        self.copies: list[Copy] = []

    def reset(self, seeds: Sequence[int]) -> CopiesStep:
        """Begins an episode in as many copies as there are seeds."""
        while len(self.copies) < len(seeds):
            self.copies.append(Copy(self.source, self.layout, horizon=self.horizon, rebuild=self.rebuild))
        steps = []
        for i, seed in enumerate(seeds):
            with self._copy(i) as copy:
                steps.append(copy.reset(seed))
        return stacked(steps)

    def step(self, actions: Int[ndarray, "B N"]) -> CopiesStep:
        steps = []
        for i, chosen in enumerate(actions):
            with self._copy(i) as copy:
                steps.append(copy.step(chosen))
        return stacked(steps)

    def picture(self, i: int) -> UInt8[ndarray, "H W 3"]:
        with self._copy(i) as copy:
            return copy.picture()

    @contextmanager
    def _copy(self, i: int) -> Iterator[Copy]:
        with self.source.errors_as_user_errors(f"failed in copy {self.first + self.stride * i}"):
            yield self.copies[i]

    def seconds_per_step(self) -> float:
        """Mean over the first steps of an episode of one copy."""
        seen = self.reset([0])
        start = time.perf_counter()
        for _ in range(TIMED_STEPS):
            seen = self.step(seen.avail_actions.argmax(-1))
        return (time.perf_counter() - start) / TIMED_STEPS


def stacked(steps: Sequence[CopiesStep]) -> CopiesStep:
    return CopiesStep(*(np.stack(field) for field in zip(*steps, strict=True)))
