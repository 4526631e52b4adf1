"""Affine maps with one set of parameters per group (an agent, a block), run as one batched product."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GroupedLinear(nn.Module):
    """y_g = x_g W_g + b_g for G groups at once, initialised as nn.Linear initialises each of them."""

    def __init__(self, *, groups: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(groups, in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, out_features).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "*batch G I"]) -> Float[Tensor, "*batch G K"]:
        rows = x.flatten(end_dim=-3).transpose(0, 1)  # (G, batch, I)
        y = torch.baddbmm(self.bias.unsqueeze(1), rows, self.weight)
        return torch.unflatten(y.transpose(0, 1), 0, x.shape[:-2])
