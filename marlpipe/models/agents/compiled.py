"""Acting through torch.compile, which on a GPU also records each time step as one CUDA graph."""

import os
import shutil

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent


class CompiledAgent(Agent):
    """Another agent, whose `step` is compiled when it is first called, and again for other numbers of episodes.

    UserError on a machine without a C++ compiler, which torch needs for it.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            raise UserError(
                f"compile=true needs a C++ compiler, and there is no {compiler}.\n"
                "  valid: compile=false, or compile=true where CXX names a compiler\n"
                "  next: on Debian and Ubuntu, sudo apt install g++"
            )
        self.agent, self.hidden, self.reads_history = agent, agent.hidden, agent.reads_history
        self.compiled_step = torch.compile(agent.step, mode="reduce-overhead")

    def forward(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T N A"]:
        """Utilities of whole episodes, as the other agent computes them."""
        utilities: Tensor = self.agent(obs, last_actions, filled)
        return utilities

    def with_features(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "B T N H"]]:
        """Utilities and features, as the other agent computes them."""
        return self.agent.with_features(obs, last_actions, filled)

    def step(
        self, obs: Float[Tensor, "B N O"], last_actions: Int[Tensor, "B N"], memory: Float[Tensor, "B *memory_shape"]
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "B *memory_shape"]]:
        """One time step of acting; a graph's next replay writes over its outputs, so they are copied."""
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        utilities, after = self.compiled_step(obs, last_actions, memory)
        return utilities.clone(), after.clone()

    def initial_memory(self, n: int) -> Float[Tensor, "B *memory_shape"]:
        return self.agent.initial_memory(n)
