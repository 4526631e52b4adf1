"""QPro's closed-form weights that minimise the policy regret of the projection (Mei, Zhou, Lan 2024, Theorem 1).

    w ∝ (d^π/μ) · (B*Q* − Q_k) · exp(Q* − Q_k) · (Σ_j (1 − π_j) / f′_j − 1)   where Q_k ≤ B*Q*, and ≈ 0 elsewhere

The factor d^π/μ is not computed: half of each batch is drawn from recent episodes instead (the fast replay).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.projections.context import ProjectionContext
from marlpipe.errors import Bound, Factor, Positive, Share

NegativeBracket = Literal["clamp", "zero_weight", "abs"]
Normalisation = Literal["max", "quantile", "mean"]


def taken_probabilities(
    utilities: Float[Tensor, "B T N A"],
    avail_actions: Bool[Tensor, "B T N A"],
    actions: Int[Tensor, "B T N"],
    temperature: float,
) -> Float[Tensor, "B T N"]:
    """π_j: the Boltzmann probability of each agent's taken action among its available ones."""
    policy = (utilities / temperature).masked_fill(~avail_actions, -torch.inf).softmax(-1)
    return policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def mixing_bracket(
    probabilities: Float[Tensor, "B T N"],
    slopes: Float[Tensor, "B T J N"],
    reads: Bool[Tensor, "J N"],
    min_slope: float,
) -> Float[Tensor, "B T J"]:
    """g = Σ_j (1 − π_j) / max(f′_j, f_min) − 1, over the agents that the block's value depends on."""
    terms = (1 - probabilities).unsqueeze(-2) / slopes.clamp(min=min_slope)
    return (terms * reads).sum(-1) - 1


def non_negative_bracket(
    bracket: Float[Tensor, "B T J"], rule: NegativeBracket, minimum: float
) -> Float[Tensor, "B T J"]:
    """How brackets g < g_min are handled: Theorem 1 assumes g > 0, near-deterministic policies violate it."""
    if rule == "clamp":
        return bracket.clamp(min=minimum)
    if rule == "abs":
        return bracket.abs().clamp(min=minimum)
    return torch.where(bracket < 0, 0.0, bracket.clamp(min=minimum))


def log_regret(
    td_error: Float[Tensor, "B T J"],
    underestimation: Float[Tensor, "B T J"],
    bracket: Float[Tensor, "B T J"],
) -> Float[Tensor, "B T J"]:
    """log E = log δ + (Q* − Q_k) + log g with δ = y − Q_k; −∞ where δ < 0."""
    return torch.where(td_error < 0, -torch.inf, td_error.log() + underestimation + bracket.log())


def to_range(
    log_raw: Float[Tensor, "B T J"],
    mask: Bool[Tensor, "B T"],
    min_weight: float,
    normalisation: Normalisation,
    quantile: float,
) -> Float[Tensor, "B T J"]:
    """Raw weights mapped to [w_min, 1]: w = w_min + (1 − w_min) min(1, E / scale).

    The scale is the batch's largest raw weight (max) or a `quantile` of them; `mean` divides by the mean instead, as
    the theory's E_μ[w] = 1 does, and has no upper bound. The largest logarithm is subtracted first: nothing overflows.
    """
    steps = mask.unsqueeze(-1).expand_as(log_raw)
    log_raw = log_raw.masked_fill(~steps, -torch.inf)  # padding has no available action, so no probability either
    largest = log_raw.max()
    if largest == -torch.inf:
        return torch.full_like(log_raw, min_weight)
    raw = (log_raw - largest).exp()
    if normalisation == "mean":
        return raw / raw[steps].mean() * (1 - min_weight) + min_weight
    scale = raw[steps].quantile(quantile) if normalisation == "quantile" else raw.max()
    return min_weight + (1 - min_weight) * (raw / scale.clamp(min=torch.finfo(raw.dtype).tiny)).clamp(max=1)


@dataclass(frozen=True, kw_only=True)
class RegretMinimising:
    """Theorem 1's weights. Each `use_…` switches one factor off for the ablations of the paper's figure 4.

    min_weight: w_min. temperature: τ_B of the Boltzmann policies. max_exponent: clip of Q* − Q_k.
    min_slope, min_bracket: lower bounds of f′ and g. normalisation, quantile: see `to_range`.
    """

    min_weight: Share
    temperature: Positive
    max_exponent: Annotated[float, Bound(0, 80, integer=False)]  # e^80 is near the largest number of 32 bits
    min_slope: Positive
    min_bracket: Factor
    negative_bracket: NegativeBracket
    normalisation: Normalisation
    quantile: Share
    use_bellman_error: bool
    use_underestimation: bool
    use_gradient: bool
    needs_optimal_values = True

    def __call__(
        self, values: Float[Tensor, "B T J"], context: Callable[[], ProjectionContext]
    ) -> Float[Tensor, "B T J"]:
        known = context()
        assert known.optimal_values is not None
        td_error = known.targets - values
        magnitude = td_error if self.use_bellman_error else td_error.sign()
        gap = torch.zeros_like(td_error)
        if self.use_underestimation:
            gap = (known.optimal_values() - values).clamp(-self.max_exponent, self.max_exponent)
        bracket = torch.ones_like(td_error)
        if self.use_gradient:
            probabilities = taken_probabilities(known.utilities, known.avail_actions, known.actions, self.temperature)
            bracket = mixing_bracket(probabilities, known.slopes(), known.reads, self.min_slope)
            bracket = non_negative_bracket(bracket, self.negative_bracket, self.min_bracket)
        raw = log_regret(magnitude, gap, bracket)
        return to_range(raw, known.mask, self.min_weight, self.normalisation, self.quantile)
