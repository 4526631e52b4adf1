"""A world that is looked at while somebody else plays in it."""

from typing import Any, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.scene import Scene, Scenic
from marlpipe.types import Env, Observation, Timestep


class ScenicEnv(Env[Any], Scenic, Protocol):
    """A world that can be played in and looked at."""


class Filmed:
    """The same world, which keeps the scenes of one episode in each of its first `copies`.

    `scenes[i]` are those of copy i since the last reset: every moment at which its agents act, and the one after the
    last step. There are none of what an ended copy is stepped on to.
    """

    def __init__(self, env: ScenicEnv, copies: int) -> None:
        self.env, self.spec, self.copies = env, env.spec, copies
        self.scenes: list[list[Scene]] = []
        self._running: list[int] = []

    def reset(self, n: int, generator: torch.Generator) -> Any:
        self._running = list(range(self.copies))
        self.scenes = [[] for _ in self._running]
        return self.env.reset(n, generator)

    def observe(self, state: Any) -> Observation:
        return self.env.observe(state)

    def step(self, state: Any, actions: Int[Tensor, "B N"], generator: torch.Generator) -> tuple[Any, Timestep]:
        for copy in self._running:
            self.scenes[copy].append(self.env.scene(state, copy, actions[copy]))
        after, timestep = self.env.step(state, actions, generator)
        for copy in [copy for copy in self._running if timestep.terminated[copy] | timestep.truncated[copy]]:
            self.scenes[copy].append(self.env.scene(after, copy))
            self._running.remove(copy)
        return after, timestep
