"""Copies of a PettingZoo world, stepped one after the other, as arrays padded to shapes common to all agents."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import flatten
from jaxtyping import Bool, Float32, Int, UInt8
from numpy import ndarray

from marlpipe.envs.pettingzoo_answers import RESET, STEP, Call
from marlpipe.envs.pettingzoo_import import Source
from marlpipe.envs.pettingzoo_spaces import MASK, discrete, scales, without_mask
from marlpipe.errors import UserError

TIMED_STEPS = 10


class CopiesStep(NamedTuple):
    """Observations of B copies after a reset or step (of one copy, without B), and the rewards and end of the step."""

    obs: Float32[ndarray, "*B N O"]
    state: Float32[ndarray, "*B S"]
    avail_actions: Bool[ndarray, "*B N A"]
    rewards: Float32[ndarray, "*B N"]
    terminated: Bool[ndarray, "*B"]
    truncated: Bool[ndarray, "*B"]


class Layout:
    """Common shapes for agents with different observations and actions. UserError for a world without such.

    Agents are in the order of `possible_agents`. Observations are padded with zeros, actions with unavailable ones. The
    state is the world's `state()`, or all observations where that fails.
    """

    def __init__(self, source: Source) -> None:
        source.made("could not be inspected", self._inspect, source, source.make())

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
        self.state_shape: tuple[int, ...] | None = None
        try:
            self.state_shape = np.asarray(world.state()).shape
        except Exception:  # it has none, or none that works
            self.state_dim = len(self.agents) * self.obs_dim
        else:
            self.state_dim = math.prod(self.state_shape)
        self.max_cycles: int | None = getattr(getattr(world, "unwrapped", world), "max_cycles", None)

    def see(
        self,
        call: Call,
        world: Any,
        observations: Mapping[str, Any],
        infos: Mapping[str, Any],
        present: Iterable[str],
    ) -> tuple[Float32[ndarray, "N O"], Float32[ndarray, " S"], Bool[ndarray, "N A"]]:
        """Observations, state and available actions. Absent agents observe zeros and have action 0 only.

        MisfitError for what is not as the world declares it. Infos may be empty altogether.
        """
        obs = np.zeros((len(self.agents), self.obs_dim), dtype=np.float32)
        avail_actions = np.zeros((len(self.agents), self.n_actions), dtype=bool)
        there = set(present)
        for i, agent in enumerate(self.agents):
            if agent in there:
                seen, scale = call.of(agent, "observations", observations), self.scales[agent]
                call.check_seen(agent, self.spaces[agent], seen)
                obs[i, : len(scale)] = flatten(self.spaces[agent], seen) * scale
                mask = seen.get(MASK) if isinstance(seen, Mapping) else None
                info = call.of(agent, "infos", infos) if infos and mask is None else None
                mask = info.get(MASK) if isinstance(info, Mapping) else mask
                n_actions = int(self.actions[i].n)
                avail_actions[i, :n_actions] = True if mask is None else call.mask(agent, n_actions, mask)
        avail_actions[~avail_actions.any(1), 0] = True
        if self.state_shape is None:
            return obs, obs.ravel(), avail_actions
        state = call.state(self.state_shape, world.state())
        return obs, state.ravel().astype(np.float32) / (255 if state.dtype == np.uint8 else 1), avail_actions

    def joint_action(self, actions: Int[ndarray, " N"], acting: Iterable[str]) -> dict[str, int]:
        """The actions of the acting agents, in the form that the world expects."""
        chosen = zip(self.agents, self.actions, actions.tolist(), strict=True)
        active = set(acting)
        return {agent: int(space.start) + action for agent, space, action in chosen if agent in active}


class Copy:
    """One copy of a world and its episode. Its methods raise `WorldError` for what the world raises or returns."""

    def __init__(self, source: Source, layout: Layout, number: int, *, horizon: int, rebuild: bool) -> None:
        self.source, self.layout, self.horizon, self.rebuild = source, layout, horizon, rebuild
        self.number = number
        self.world = source.make()

    def reset(self, seed: int) -> CopiesStep:
        if self.rebuild:
            self.world = self.source.make()
        self.seed, self.history = seed, list[dict[str, int]]()
        self.cut = self.over = False
        call = self._call("reset")
        observations, infos = call.parts(self.source.asked(call.name, self.world.reset, seed=seed), RESET)
        self.present = self._present(call)
        if not self.present:
            raise call.misfit("agents is empty", "at least one agent to begin an episode with")
        return self._observed(call, observations, infos, self.present, {})

    def _present(self, call: Call) -> list[Any]:
        return call.known("agents", self.source.asked(call.name, getattr, self.world, "agents"), self.layout.agents)

    def _call(self, name: str) -> Call:
        """A call of the world at the next env step."""
        at = "" if name == "reset" else f" at env step {len(self.history) + 1}"
        return Call(self.source.name, f"{name}() of copy {self.number}{at}")

    def step(self, actions: Int[ndarray, " N"]) -> CopiesStep:
        """One time step; all zeros after the episode has ended, when no agent is left or at the horizon.

        The episode is terminated if all agents were, and truncated otherwise.
        """
        if self.over:
            return self.padding
        acting = self.present
        joint_action = self.layout.joint_action(actions, acting)
        call = self._call("step")
        answer = self.source.asked(call.name, self.world.step, joint_action)
        observations, rewards, *ends, infos = call.parts(answer, STEP)
        self.history.append(joint_action)
        terminations, truncations = (
            {agent: call.truth(agent, name, call.of(agent, name, part)) for agent in acting}
            for name, part in zip(STEP[2:4], ends, strict=True)
        )
        call.known("rewards", rewards, self.layout.agents)
        cut = [agent for agent in acting if truncations[agent] and not terminations[agent]]
        self.cut |= bool(cut)
        self.present = self._present(call)
        none_left = not self.present
        self.over = none_left or len(self.history) >= self.horizon
        terminated = none_left and not self.cut
        return self._observed(
            call,
            observations,
            infos,
            [*self.present, *cut],  # the last observation of a truncated agent is needed for bootstrapping
            {agent: call.number(agent, call.of(agent, "rewards", rewards)) for agent in acting},
            terminated=terminated,
            truncated=self.over and not terminated,
        )

    def _observed(
        self,
        call: Call,
        observations: Mapping[str, Any],
        infos: Mapping[str, Any],
        present: Iterable[str],
        rewards: Mapping[str, float],
        *,
        terminated: bool = False,
        truncated: bool = False,
    ) -> CopiesStep:
        obs, state, avail_actions = self.source.asked(
            call.name, self.layout.see, call, self.world, observations, infos, present
        )
        return CopiesStep(
            obs=obs,
            state=state,
            avail_actions=avail_actions,
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
            self.source.asked(f"playing copy {self.number} again for a picture", self._play_again)
        picture = self.source.asked(f"render() of copy {self.number}", self.world.render)
        return np.asarray(picture, dtype=np.uint8)

    def _play_again(self) -> None:
        self.world.reset(seed=self.seed)
        for joint_action in self.history:
            self.world.step(joint_action)


class Copies:
    """Copies number `first`, `first + stride`, … of a world. Their number is the largest that was reset at once."""

    def __init__(self, source: Source, *, horizon: int, rebuild: bool, first: int = 0, stride: int = 1) -> None:
        self.source, self.layout = source, Layout(source)
        self.horizon, self.rebuild, self.first, self.stride = horizon, rebuild, first, stride
        self.copies: list[Copy] = []

    def reset(self, seeds: Sequence[int]) -> CopiesStep:
        """Begins an episode in as many copies as there are seeds."""
        while len(self.copies) < len(seeds):
            number = self.first + self.stride * len(self.copies)
            self.copies.append(Copy(self.source, self.layout, number, horizon=self.horizon, rebuild=self.rebuild))
        return stacked([copy.reset(seed) for copy, seed in zip(self.copies, seeds, strict=False)])

    def step(self, actions: Int[ndarray, "B N"]) -> CopiesStep:
        return stacked([copy.step(chosen) for copy, chosen in zip(self.copies, actions, strict=False)])

    def picture(self, i: int) -> UInt8[ndarray, "H W 3"]:
        return self.copies[i].picture()

    def seconds_per_step(self) -> float:
        """Mean over the first steps of an episode of one copy."""
        seen = self.reset([0])
        start = time.perf_counter()
        for _ in range(TIMED_STEPS):
            seen = self.step(seen.avail_actions.argmax(-1))
        return (time.perf_counter() - start) / TIMED_STEPS


def stacked(steps: Sequence[CopiesStep]) -> CopiesStep:
    return CopiesStep(*(np.stack(field) for field in zip(*steps, strict=True)))
