"""The central mixer behind Q*: any function of chosen utilities and state (Weighted QMIX, Rashid et al. 2020, §4)."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.types import EnvSpec


class UnrestrictedMixer(nn.Module):
    """MLP(U ⊕ s) + V(s) without any monotonicity; one output per block.

    hidden: units of each hidden layer. layers: number of hidden layers of the MLP.
    """

    def __init__(self, *, spec: EnvSpec, partition: Float[Tensor, "J N"], hidden: int, layers: int) -> None:
        super().__init__()
        blocks = len(partition)
        sizes = [spec.n_agents + spec.state_dim] + [hidden] * layers
        affine = [nn.Linear(i, o) for i, o in itertools.pairwise(sizes)]
        self.mlp = nn.Sequential(*(part for layer in affine for part in (layer, nn.ReLU())), nn.Linear(hidden, blocks))
        self.v = nn.Sequential(nn.Linear(spec.state_dim, hidden), nn.ReLU(), nn.Linear(hidden, blocks))

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        values: Tensor = self.mlp(torch.cat([utilities, state], dim=-1)) + self.v(state)
        return values
