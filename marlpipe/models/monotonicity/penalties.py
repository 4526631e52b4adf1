"""Terms that pull the gradients ∂F/∂U above zero (LOMAQ §4.1 and App. C)."""

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.errors import Factor, UserError
from marlpipe.models.monotonicity.jacobian import jacobian
from marlpipe.models.utilities import scatter_valid
from marlpipe.types import EnvSpec

Mix = Callable[[Tensor], Tensor]  # utilities (B,T,N) -> values (B,T,J)


@runtime_checkable
class Penalty(Protocol):
    """What is added for values that `mix` computes from `utilities`: a mean over the time steps that the mask keeps.

    loss_share: factor of the temporal-difference loss next to the penalty. generator: of penalties that draw.
    """

    loss_share: float

    def __call__(
        self,
        values: Float[Tensor, "B T J"],
        utilities: Float[Tensor, "B T N"],
        mask: Bool[Tensor, "B T"],
        mix: Mix,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]: ...


class NoPenalty:
    """Nothing is added."""

    loss_share = 1.0

    def __init__(self, spec: EnvSpec, partition: Float[Tensor, "J N"]) -> None: ...

    def __call__(
        self,
        values: Float[Tensor, "B T J"],
        utilities: Float[Tensor, "B T N"],  # noqa: ARG002
        mask: Bool[Tensor, "B T"],  # noqa: ARG002
        mix: Mix,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> Float[Tensor, ""]:
        return values.new_zeros(())


def negative_slope(gradients: Float[Tensor, "B T K N"], mask: Bool[Tensor, "B T"], blocks: int) -> Float[Tensor, ""]:
    """R = Σ ReLU(−∂F_K/∂U_i) / (steps · J), over the masked steps, with J = `blocks` of the value's partition.

    J stays where sums F_K of several blocks are enforced, so that enforcing less never costs more.
    """
    hinge = torch.relu(-gradients).sum((-2, -1)) / blocks
    return (hinge * mask).sum() / mask.sum().clamp(min=1)


def sample_box(
    utilities: Float[Tensor, "B T N"], mask: Bool[Tensor, "B T"], generator: torch.Generator
) -> Float[Tensor, "B T N"]:
    """Uniform draws for each masked step, each agent's between its least and greatest utility; zero elsewhere."""
    reached = utilities[mask]  # (V,N), V > 0
    low, high = reached.aminmax(dim=0)
    share = torch.rand(reached.shape, generator=generator, dtype=reached.dtype, device=reached.device)
    return scatter_valid(low + (high - low) * share, mask)


class GradientPenalty:
    """The soft method: c·R and (1−c)·L (`form` convex, the public code), or λ·R next to L (additive, the paper).

    R is taken for the sums of values inside the blocks of `enforced`, a partition that is the value's own (None) or
    coarser: monotone sums are less than monotone terms, and enough for the greedy joint action of those sums. It is
    taken at the utilities of the taken actions, or, if `sampled`, at uniform draws from the box around them
    (LOMAQ's code, on payoff matrices).
    """

    def __init__(
        self,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        *,
        coefficient: Factor,
        form: Literal["convex", "additive"],
        enforced: Callable[[EnvSpec], Float[Tensor, "K N"]] | None,
        sampled: bool,
    ) -> None:
        if form == "convex" and not 0 <= coefficient <= 1:
            raise UserError(
                f"monotonicity.penalty.coefficient={coefficient} is no share. Take 0 to 1, or form=additive."
            )
        self.coefficient, self.sampled = coefficient, sampled
        self.loss_share = 1 - coefficient if form == "convex" else 1.0
        self.sums = torch.eye(len(partition)) if enforced is None else coarsening(partition, enforced(spec))

    def __call__(
        self,
        values: Float[Tensor, "B T J"],
        utilities: Float[Tensor, "B T N"],
        mask: Bool[Tensor, "B T"],
        mix: Mix,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        if self.sampled:
            utilities = sample_box(utilities.detach(), mask, generator).requires_grad_()
            values = mix(utilities)
        enforced = values @ self.sums.T.to(values)
        gradients = jacobian(enforced, utilities, create_graph=True)
        return self.coefficient * negative_slope(gradients, mask, blocks=values.shape[-1])


def coarsening(fine: Float[Tensor, "J N"], coarse: Float[Tensor, "K N"]) -> Float[Tensor, "K J"]:
    """Which blocks of `fine` make up each block of `coarse`. UserError if `fine` does not refine `coarse`."""
    shared = coarse @ fine.T
    if not ((shared > 0).sum(0) == 1).all():
        raise UserError(
            "monotonicity.penalty.enforced: each block of the value's partition must lie inside one enforced block.\n"
            "  valid: the value's own partition (null), a coarser one, or full"
        )
    return (shared > 0).float()
