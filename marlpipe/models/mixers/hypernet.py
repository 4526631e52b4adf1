"""The QMIX mixer: monotone in the utilities, its weights made from the state (Rashid et al. 2018, §4)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.errors import Hops, Width
from marlpipe.models.layers import GroupedLinear
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.mixers.reading import gather_read, read_set, scatter_read
from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec


class HyperNetwork(nn.Module):
    """One network per block from the state to `size` weights: Linear, ReLU, Linear; or a single Linear."""

    def __init__(self, *, blocks: int, state_dim: int, hidden: int | None, size: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.hidden = None if hidden is None else nn.Linear(state_dim, blocks * hidden)
        self.output = GroupedLinear(groups=blocks, in_features=hidden or state_dim, out_features=size)

    def forward(self, state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J K"]:
        if self.hidden is None:
            features = state.unsqueeze(-2).expand(*state.shape[:-1], self.blocks, state.shape[-1])
        else:
            features = torch.unflatten(torch.relu(self.hidden(state)), -1, (self.blocks, -1))
        weights: Tensor = self.output(features)
        return weights


class HypernetMixer(Mixer):
    """h = ELU(U W₁(s) + b₁(s)), F_J = h W₂(s) + V(s), one such network per block; biases are free.

    embed: hidden units of the mixing network. hypernet_hidden: hidden units of the networks that make W₁ and W₂.
    hops: how far beyond its own agents a block reads (LOMAQ's hypernetwork variant reads κ hops).
    """

    mixing_weights: MixingWeights = "generated"
    index: Int[Tensor, "J K"]
    present: Bool[Tensor, "J K"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        monotonicity: Monotonicity,
        embed: Width,
        hypernet_hidden: Width,
        hops: Hops,
    ) -> None:
        super().__init__()
        monotonicity.check(self)
        self.constrain, self.embed = monotonicity.constrain, embed
        read = read_set(partition, spec.graph, hops)
        self.register_buffer("reads", read.read_mask, persistent=False)
        self.register_buffer("index", read.agents, persistent=False)
        self.register_buffer("present", read.present, persistent=False)
        blocks, width = read.agents.shape

        def network(hidden: int | None, size: int) -> HyperNetwork:
            return HyperNetwork(blocks=blocks, state_dim=spec.state_dim, hidden=hidden, size=size)

        self.w1 = network(hypernet_hidden, width * embed)
        self.b1 = network(None, embed)
        self.w2 = network(hypernet_hidden, embed)
        self.v = network(embed, 1)

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        w1, w2 = self.generated_weights(state)
        h = F.elu(self.preactivation(utilities, state, w1))
        v: Tensor = self.v(state).squeeze(-1)
        return (h * w2).sum(-1) + v

    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J N"]:
        """∂F_J/∂U_i in closed form: Σ_m W₁_im ELU′(z_m) W₂_m, with ELU′(z) = 1 for z > 0 and e^z below."""
        w1, w2 = self.generated_weights(state)
        derivative = self.preactivation(utilities, state, w1).clamp(max=0).exp()
        slopes = (w1 * (derivative * w2).unsqueeze(-2)).sum(-1)
        return scatter_read(slopes, self.index, self.present, utilities.shape[-1])

    def generated_weights(
        self, state: Float[Tensor, "B T S"]
    ) -> tuple[Float[Tensor, "B T J K E"], Float[Tensor, "B T J E"]]:
        """W₁(s) and W₂(s), non-negative where the monotonicity method makes them so."""
        w1 = torch.unflatten(self.constrain(self.w1(state)), -1, (-1, self.embed))
        return w1, self.constrain(self.w2(state))

    def preactivation(
        self,
        utilities: Float[Tensor, "B T N"],
        state: Float[Tensor, "B T S"],
        w1: Float[Tensor, "B T J K E"],
    ) -> Float[Tensor, "B T J E"]:
        """z = U W₁(s) + b₁(s)."""
        read = gather_read(utilities, self.index, self.present)
        b1: Tensor = self.b1(state)
        return (read.unsqueeze(-2) @ w1).squeeze(-2) + b1

    def monotone_weights(self) -> list[nn.Parameter]:
        return []
