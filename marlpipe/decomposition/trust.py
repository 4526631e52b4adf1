"""Where learned rewards are used: LOMAQ Algorithm 5, and what its code adds."""

from jaxtyping import Bool, Float
from torch import Tensor


def accurate_steps(errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], tolerance: float) -> Bool[Tensor, "B T"]:
    """The steps with |r_pred − r_team| < Δ (LOMAQ Algorithm 5), Δ = `tolerance`."""
    return valid & (errors.abs() < tolerance)


def trusted_steps(
    errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], *, tolerance: float, accurate_share: float
) -> Bool[Tensor, "B T"]:
    """The accurate steps; none at all unless they are more than `accurate_share` of the batch (LOMAQ's code).

    A share of 0 leaves Algorithm 5, which judges each step on its own.
    """
    accurate = accurate_steps(errors, valid, tolerance)
    return accurate & (accurate.sum() > accurate_share * valid.sum())
