"""Predicted block values with their targets, and the sums and means over blocks and time steps that losses share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.models.utilities import apply_valid, masked_mean, taken_utilities
from marlpipe.types import Metrics

WEIGHT_BINS = 40
LARGEST_SAMPLE = 10_000  # weights of which quantiles are computed


@dataclass(frozen=True, kw_only=True, eq=False)
class TDFit:
    """Predicted block values with their TD targets and projection weights.

    Only `values` and utilities carry gradients. utilities: of the taken actions. mask: the time steps to learn from.
    mix: the values of any utilities. slopes: ∂F_J/∂U_i at `utilities`, without gradient.
    """

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    values: Float[Tensor, "B T J"]
    targets: Float[Tensor, "B T J"]
    weights: Float[Tensor, "B T J"]
    mask: Bool[Tensor, "B T"]
    mix: Callable[[Tensor], Tensor]
    slopes: Callable[[], Float[Tensor, "B T J N"]]

    @property
    def td_error(self) -> Float[Tensor, "B T J"]:
        """F_J − y_J."""
        return self.values - self.targets

    @property
    def errors(self) -> Float[Tensor, "B T J"]:
        """w_J (F_J − y_J)², which losses average."""
        return self.weights * self.td_error**2

    def joint_value(self, actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
        """Σ_J F_J of any joint actions."""
        return self.mix(taken_utilities(self.all_utilities, actions)).sum(-1)

    def block_gradients(self) -> Float[Tensor, " J"]:
        """‖w_J (F_J − y_J) ∂F_J/∂U‖ over the masked time steps: of ½ `errors`, for each block J."""
        pull = (self.weights * self.td_error.detach()).unsqueeze(-1) * self.slopes()
        norms: Tensor = (pull * self.mask[..., None, None]).movedim(2, 0).flatten(1).norm(dim=1)
        return norms


def mix_valid(
    mixer: Callable[[Tensor, Tensor], Tensor],
    utilities: Float[Tensor, "B T N"],
    state: Float[Tensor, "B T S"],
    exists: Bool[Tensor, "B T"],
) -> Float[Tensor, "B T J"]:
    """A mixer's values at the time steps that exist; zero elsewhere, where nothing is computed."""
    return apply_valid(mixer, exists, utilities, state)


def block_loss(
    errors: Float[Tensor, "B T J"], mask: Bool[Tensor, "B T"], reduction: Literal["sum", "mean"]
) -> Float[Tensor, ""]:
    """Σ_J (or the mean over J) of each block's mean over the masked time steps."""
    return masked_mean(errors.sum(-1) if reduction == "sum" else errors.mean(-1), mask)


@torch.enable_grad()
def gradient_norm(errors: Float[Tensor, "*batch"], utilities: Float[Tensor, "..."]) -> Float[Tensor, " 1"]:
    """‖∂(½ Σ errors)/∂U‖ of the errors that one loss averages, by automatic differentiation."""
    (gradient,) = torch.autograd.grad(0.5 * errors.sum(), utilities, retain_graph=True)
    norm: Tensor = gradient.norm().unsqueeze(0)
    return norm


def greedy_blocks(is_greedy: Bool[Tensor, "B T N"], partition: Float[Tensor, "J N"]) -> Bool[Tensor, "B T J"]:
    """Where all agents of a block acted greedily."""
    return (~is_greedy).to(partition) @ partition.T == 0


def td_metrics(fit: TDFit) -> Metrics:
    """Means over the masked time steps, of sums over blocks for values and of means over blocks for the rest."""
    return {
        "q_tot": masked_mean(fit.values.detach().sum(-1), fit.mask),
        "target": masked_mean(fit.targets.sum(-1), fit.mask),
        "td_error_abs": masked_mean(fit.td_error.detach().abs().mean(-1), fit.mask),
        "projection_weight": masked_mean(fit.weights.mean(-1), fit.mask),
        **weight_distribution(fit.weights[fit.mask]),
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
