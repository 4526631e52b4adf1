"""Sums of utilities: VDN on the full partition (Sunehag et al. 2018), independent learners on singletons."""

from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec


class SumMixer(Mixer):
    """F_J = Σ_{i∈J} U_i."""

    mixing_weights: MixingWeights = "monotone"

    def __init__(self, *, spec: EnvSpec, partition: Float[Tensor, "J N"], monotonicity: Monotonicity) -> None:
        super().__init__()
        del spec
        monotonicity.check(self)
        self.register_buffer("reads", partition > 0, persistent=False)

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        del state
        return utilities @ self.reads.T.to(utilities.dtype)

    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J N"]:
        """∂F_J/∂U_i: 1 inside the block."""
        del state
        return self.reads.to(utilities.dtype).expand(*utilities.shape[:2], *self.reads.shape)

    def monotone_weights(self) -> list[nn.Parameter]:
        return []
