"""A world that is looked at while somebody else plays in it."""

import math
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.envs.scene import Scene, Scenic
from marlpipe.types import Env, Observation, Timestep


class ScenicEnv(Env[Any], Scenic, Protocol):
    """A world that can be played in and looked at."""


class FilmedState(NamedTuple):
    """A state, and whose it is: copies may be left out on the way."""

    of_world: Any
    copy: Int[Tensor, " B"]  # their numbers at the reset


class Filmed:
    """The same world, which keeps the scenes of one episode in each of its first `copies`.

    `scenes[i]` are those of copy i since the last reset: every moment at which its agents act, and the one after the
    last step. There are none of what an ended copy is stepped on to.

    most: scenes that are kept of an episode, beside the last one. Of a longer one it is every second moment, every
    fourth, and so on, and never fewer than half as many. All if not given.
    """

    def __init__(self, env: ScenicEnv, copies: int, most: int | float = math.inf) -> None:
        self.env, self.spec, self.copies, self.most = env, env.spec, copies, most
        self.scenes: list[list[Scene]] = []
        self._running: list[int] = []
        self._elapsed, self._every = 0, 1

    def reset(self, n: int, generator: torch.Generator) -> FilmedState:
        self._running = list(range(self.copies))
        self.scenes = [[] for _ in self._running]
        self._elapsed, self._every = 0, 1
        return FilmedState(self.env.reset(n, generator), torch.arange(n, device=generator.device))

    def observe(self, state: FilmedState) -> Observation:
        return self.env.observe(state.of_world)

    def step(
        self, state: FilmedState, actions: Int[Tensor, "B N"], generator: torch.Generator
    ) -> tuple[FilmedState, Timestep]:
        rows = {copy: row for row, copy in enumerate(state.copy.tolist()) if copy in self._running}
        if self._elapsed % self._every == 0:
            for copy, row in rows.items():
                self.scenes[copy].append(self.env.scene(state.of_world, row, actions[row]))
        after, timestep = self.env.step(state.of_world, actions, generator)
        for copy, row in rows.items():
            if timestep.terminated[row] | timestep.truncated[row]:
                self.scenes[copy].append(self.env.scene(after, row))
                self._running.remove(copy)
        self._elapsed += 1
        if self._elapsed == self.most * self._every:
            self._every *= 2
            for copy in self._running:
                self.scenes[copy] = self.scenes[copy][::2]
        return FilmedState(after, state.copy), timestep
