"""How well a sum of learned rewards fits the team's, and the reduction of the two terms of the loss to one number."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def squared_error(errors: Float[Tensor, " V"]) -> Float[Tensor, " V"]:
    """e² (LOMAQ eq. 2)."""
    return errors**2


def log_cosh(errors: Float[Tensor, " V"]) -> Float[Tensor, " V"]:
    """log cosh e (LOMAQ's code), as |e| + log(1 + exp(−2|e|)) − log 2, which does not overflow."""
    size = errors.abs()
    return size + F.softplus(-2 * size) - math.log(2)


def mean_over_steps(
    misfit: Float[Tensor, " V"], penalty: Float[Tensor, " V"], factor: float, records: int
) -> Float[Tensor, ""]:
    """Both terms divided by the steps that exist: Σ misfit / V + λ Σ penalty / V, with λ = `factor`."""
    del records
    return misfit.mean() + factor * penalty.mean()


def mean_over_records(
    misfit: Float[Tensor, " V"], penalty: Float[Tensor, " V"], factor: float, records: int
) -> Float[Tensor, ""]:
    """Σ misfit / `records` + λ Σ penalty: of LOMAQ's code, whose λ weighs more with every further step in the batch.

    records: B (T+1), all time steps of B episodes padded to the time limit.
    """
    return misfit.sum() / records + factor * penalty.sum()
