"""The central mixer behind Q*: any function of utilities and state (Weighted QMIX, Rashid et al. 2020, §4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.errors import Layers, Width
from marlpipe.models.layers import perceptron
from marlpipe.types import EnvSpec


class UnrestrictedMixer(nn.Module):
    """MLP(U ⊕ s) + V(s) without any monotonicity; one output per block.

    hidden: units of each hidden layer. layers: number of hidden layers of the MLP.
    """

    def __init__(self, *, spec: EnvSpec, partition: Float[Tensor, "J N"], hidden: Width, layers: Layers) -> None:
        super().__init__()
        blocks = len(partition)
        self.mlp = perceptron(spec.n_agents + spec.state_dim, *[hidden] * layers, blocks)
        self.v = perceptron(spec.state_dim, hidden, blocks)

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        values: Tensor = self.mlp(torch.cat([utilities, state], dim=-1)) + self.v(state)
        return values
