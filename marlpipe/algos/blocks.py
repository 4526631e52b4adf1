"""Sums and means over blocks and steps that all losses share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.algos.projections.context import ProjectionContext
from marlpipe.errors import UserError
from marlpipe.models.utilities import masked_mean
from marlpipe.types import Metrics

WEIGHT_BINS = 40
LARGEST_SAMPLE = 10_000  # weights whose distribution is told


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Mixed values and what they are drawn to. Only `values` and the chosen `utilities` carry gradients."""

    values: Float[Tensor, "B T J"]
    utilities: Float[Tensor, "B T N"]
    context: ProjectionContext
    weights: Float[Tensor, "B T J"]

    @property
    def td_error(self) -> Float[Tensor, "B T J"]:
        return self.values - self.context.targets

    def block_gradients(self) -> Float[Tensor, " J"]:
        """‖w_J (F_J − y_J) ∂F_J/∂U‖ over the steps to learn from, for each block J."""
        pull = (self.weights * self.td_error.detach()).unsqueeze(-1) * self.context.slopes()
        norms: Tensor = (pull * self.context.valid[..., None, None]).movedim(2, 0).flatten(1).norm(dim=1)
        return norms


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


def fit_metrics(fit: Fit) -> Metrics:
    """Means over the steps to learn from, of sums over blocks for values and of means over blocks for the rest."""
    context = fit.context
    return {
        "q_tot": masked_mean(context.values.sum(-1), context.valid),
        "target": masked_mean(context.targets.sum(-1), context.valid),
        "td_error_abs": masked_mean(fit.td_error.detach().abs().mean(-1), context.valid),
        "projection_weight": masked_mean(fit.weights.mean(-1), context.valid),
        **weight_distribution(fit.weights[context.valid]),
    }


def weight_distribution(weights: Float[Tensor, "V J"]) -> Metrics:
    """Quantiles of projection weights, and the share of them in each of 40 bins of [0, 1] (QPro, figure 3)."""
    sample = weights.flatten()[:: 1 + weights.numel() // LARGEST_SAMPLE]
    low, median, high = sample.quantile(sample.new_tensor([0.05, 0.5, 0.95])).unbind()
    return {
        "projection_weight_q05": low,
        "projection_weight_median": median,
        "projection_weight_q95": high,
        "projection_weights": sample.clamp(max=1).histc(WEIGHT_BINS, 0, 1) / len(sample),
    }


def check_one_block(partition: Float[Tensor, "J N"], algorithm: str) -> None:
    """UserError for an algorithm that knows one value of the whole team only."""
    if len(partition) != 1:
        raise UserError(
            f"{algorithm} learns one value of the whole team, and the partition has {len(partition)} blocks.\n"
            "  valid: partition=full, or an algo that learns a value per block, such as lomaq"
        )
