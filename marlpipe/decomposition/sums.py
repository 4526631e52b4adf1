"""The distribution of a sum of independent numbers, each out of a few whole or half ones."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def sum_distribution(probabilities: Float[Tensor, "V I K"]) -> Float[Tensor, "V S"]:
    """P(Σ_i X_i = s) for s = 0 … I (K − 1), of independent X_i in {0, …, K − 1}.

    By definition that is the sum, over all choices (x_1, …, x_I) with Σ x_i = s, of Π_i P(X_i = x_i): K^I products.
    Ordered by what the first half of the variables adds up to, it is Σ_k P(first half = k) P(second half = s − k), a
    convolution; and so on for each half.
    """
    parts = probabilities
    while parts.shape[1] > 1:
        if parts.shape[1] % 2:
            nothing = F.one_hot(parts.new_zeros((), dtype=torch.long), parts.shape[2]).to(parts)
            parts = torch.cat([parts, nothing.expand(len(parts), 1, -1)], dim=1)
        parts = convolved(parts[:, 0::2], parts[:, 1::2])
    return parts[:, 0, : probabilities.shape[1] * (probabilities.shape[2] - 1) + 1]


def convolved(first: Float[Tensor, "V I K"], second: Float[Tensor, "V I K"]) -> Float[Tensor, "V I L"]:
    """Σ_k first_k second_{s−k} for s = 0 … 2 (K − 1). Nothing is subtracted, so no small probability is lost."""
    width = first.shape[-1]
    windows = F.pad(first, (width - 1, width - 1)).unfold(-1, width, 1)  # (V,I,L,K): first_{s−K+1} … first_s
    return (windows * second.flip(-1).unsqueeze(-2)).sum(-1)


def at(distribution: Float[Tensor, "V S"], index: Int[Tensor, " V"]) -> Float[Tensor, " V"]:
    """P(S = index), zero for a sum that cannot be."""
    last = distribution.shape[1] - 1
    possible = (index >= 0) & (index <= last)
    return distribution.gather(1, index.clamp(0, last).unsqueeze(1)).squeeze(1) * possible
