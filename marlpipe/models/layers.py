"""Layers that several networks share."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def perceptron(*sizes: int, activations: Sequence[nn.Module] | None = None) -> nn.Sequential:
    """Linear layers of these widths, from the inputs to the outputs; ReLU between them, or the given activations."""
    affine = [nn.Linear(i, o) for i, o in itertools.pairwise(sizes)]
    between = [nn.ReLU() for _ in affine[1:]] if activations is None else activations
    hidden = zip(affine[:-1], between, strict=True)
    return nn.Sequential(*(part for layer in hidden for part in layer), affine[-1])


class GroupedLinear(nn.Module):
    """y_g = x_g W_g + b_g for G groups (agents, blocks) in one batched product, each initialised as nn.Linear is."""

    def __init__(self, *, groups: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(groups, in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, out_features).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "*batch G I"]) -> Float[Tensor, "*batch G K"]:
        rows = x.flatten(end_dim=-3).transpose(0, 1)  # (G, batch, I)
        y = torch.baddbmm(self.bias.unsqueeze(1), rows, self.weight)
        return torch.unflatten(y.transpose(0, 1), 0, x.shape[:-2])
