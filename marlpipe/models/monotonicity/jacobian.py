"""∂F_J/∂U_i: how mixed values change with utilities, and how often they fall."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def jacobian(
    values: Float[Tensor, "B T J"], utilities: Float[Tensor, "B T N"], *, create_graph: bool = False
) -> Float[Tensor, "B T J N"]:
    """∂values/∂utilities by one batched backward pass. `values` must have been computed from `utilities`.

    Values at one time step depend on the utilities of that step alone, so J passes give all entries.
    """
    blocks = values.shape[-1]
    directions = torch.eye(blocks, dtype=values.dtype, device=values.device)
    directions = directions[:, None, None, :].expand(blocks, *values.shape)
    (gradients,) = torch.autograd.grad(
        values, utilities, directions, is_grads_batched=True, create_graph=create_graph, retain_graph=True
    )
    return gradients.movedim(0, 2)


def violation_rate(
    gradients: Float[Tensor, "B T J N"], reads: Bool[Tensor, "J N"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """The share of negative ∂F_J/∂U_i among the steps that exist and the agents i that block J reads."""
    negative = ((gradients < 0) & reads).sum((-2, -1))
    return (negative * valid).sum() / (valid.sum() * reads.sum())
