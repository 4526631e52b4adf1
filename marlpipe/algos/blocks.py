"""Sums and means over blocks and steps that all losses share."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.targets import masked_mean
from marlpipe.types import Metrics


def mixed(
    mixer: Callable[[Tensor, Tensor], Tensor],
    utilities: Float[Tensor, "B T N"],
    state: Float[Tensor, "B T S"],
    exists: Bool[Tensor, "B T"],
) -> Float[Tensor, "B T J"]:
    """A mixer's values at the moments that exist; zero elsewhere, where nothing is computed."""
    values = mixer(utilities[exists].unsqueeze(0), state[exists].unsqueeze(0)).squeeze(0)  # (V,J)
    padded = values.new_zeros(*exists.shape, values.shape[-1])
    return padded.index_put((exists,), values)


def block_loss(
    errors: Float[Tensor, "B T J"], valid: Bool[Tensor, "B T"], reduction: Literal["sum", "mean"]
) -> Float[Tensor, ""]:
    """Σ_J (or the mean over J) of each block's mean over the steps that exist."""
    return masked_mean(errors.sum(-1) if reduction == "sum" else errors.mean(-1), valid)


def greedy_blocks(is_greedy: Bool[Tensor, "B T N"], partition: Float[Tensor, "J N"]) -> Bool[Tensor, "B T J"]:
    """Where all agents of a block acted greedily."""
    return (~is_greedy).to(partition) @ partition.T == 0


def weight_metrics(
    weights: Float[Tensor, "B T J"],
    values: Float[Tensor, "B T J"],
    targets: Float[Tensor, "B T J"],
    valid: Bool[Tensor, "B T"],
) -> Metrics:
    """Means over the steps that exist, of sums over blocks for values and of means over blocks for the rest."""
    return {
        "q_tot": masked_mean(values.sum(-1), valid),
        "target": masked_mean(targets.sum(-1), valid),
        "td_error_abs": masked_mean((values - targets).abs().mean(-1), valid),
        "projection_weight": masked_mean(weights.mean(-1), valid),
    }
