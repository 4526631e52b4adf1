"""A wrapper of a world that records scenes of its first copies."""

import math
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.envs.failures import failure, is_worlds
from marlpipe.envs.guarded import name_of
from marlpipe.envs.scene import Scene, Scenic
from marlpipe.types import Env, Observation, Timestep


class ScenicEnv(Env[Any], Scenic, Protocol):
    """A world with a scene."""


class FilmedState(NamedTuple):
    """A state, with the copy of each row: copies may be dropped during an episode."""

    of_world: Any
    copy: Int[Tensor, " B"]  # their indices at the reset


class Filmed:
    """The same world, recording the scenes of one episode in each of its first `copies`.

    `scenes[i]` are those of copy i since the last reset: one per time step, and the one after the last step. Padding
    steps after the end of an episode have none.

    most: limit of scenes per episode, in addition to the last one. Of a longer episode every second time step is kept,
    every fourth, and so on, at least half as many as the limit. No limit by default.
    """

    def __init__(self, env: ScenicEnv, copies: int, most: int | float = math.inf) -> None:
        self.env, self.spec, self.copies, self.most = env, env.spec, copies, most
        self.__wrapped__ = env  # for messages about the world
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
                self.scenes[copy].append(self._scene(state.of_world, row, actions[row]))
        after, timestep = self.env.step(state.of_world, actions, generator)
        for copy, row in rows.items():
            if timestep.terminated[row] | timestep.truncated[row]:
                self.scenes[copy].append(self._scene(after, row))
                self._running.remove(copy)
        self._elapsed += 1
        if self._elapsed == self.most * self._every:
            self._every *= 2
            for copy in self._running:
                self.scenes[copy] = self.scenes[copy][::2]
        return FilmedState(after, state.copy), timestep

    def _scene(self, state: Any, row: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        try:
            return self.env.scene(state, row, actions)
        except BaseException as error:
            if not is_worlds(error):
                raise
            raise failure(f"{name_of(self.env)} failed in scene()", error) from error
