"""Interface of all agent networks."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Agent(nn.Module, ABC):
    """Maps what each agent has observed to a utility per action, for whole episodes and for single time steps.

    hidden: the width of an agent's features. reads_history: whether utilities depend on more than the present
    observation, so that an episode has to be read from its beginning.
    """

    hidden: int
    reads_history: bool = True

    @abstractmethod
    def forward(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T N A"]:
        """Utilities of whole episodes; zero where `filled` is False, where nothing is computed."""

    @abstractmethod
    def with_features(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "B T N H"]]:
        """Utilities, and the last layer's inputs: an agent's features of its history. Both zero as above."""

    @abstractmethod
    def step(
        self, obs: Float[Tensor, "B N O"], last_actions: Int[Tensor, "B N"], memory: Float[Tensor, "B *memory_shape"]
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "B *memory_shape"]]:
        """One time step of acting: utilities, and the memory to hand to the next time step."""

    @abstractmethod
    def initial_memory(self, n: int) -> Float[Tensor, "B *memory_shape"]:
        """The memory at the start of `n` episodes."""
