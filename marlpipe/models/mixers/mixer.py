"""What all mixers are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Mixer(nn.Module, ABC):
    """From utilities to one value per block of the partition.

    weights: what mixes: fixed sums, parameters, or weights that a hypernetwork generates from the state.
    reads: which agents' utilities the value of each block depends on.
    """

    weights: Literal["fixed", "parameters", "generated"]
    reads: Bool[Tensor, "J N"]

    @abstractmethod
    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        """The values F_J."""

    @abstractmethod
    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J N"]:
        """∂F_J/∂U_i, without gradient; zero for agents that are not read."""

    @abstractmethod
    def monotone_weights(self) -> Iterable[nn.Parameter]:
        """The parameters that are mixing weights."""
