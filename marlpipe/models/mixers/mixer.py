"""Interface of all mixers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec


class Mixer(nn.Module, ABC):
    """From utilities to one value per block of the partition.

    mixing_weights: where its mixing weights come from. reads: which agents' utilities each block's value depends on.
    """

    mixing_weights: MixingWeights
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


@runtime_checkable
class MakesMixer(Protocol):
    """Makes a mixer."""

    def __call__(self, *, spec: EnvSpec, partition: Float[Tensor, "J N"], monotonicity: Monotonicity) -> Mixer: ...


@runtime_checkable
class ScalesStart(Protocol):
    """A mixer whose values can be scaled before the first gradient step."""

    def scale_start(self, factor: float) -> None:
        """Multiplies its values by about `factor`."""
