"""marlpipe/models/utilities.py"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


def gather_valid(exists: Bool[Tensor, "B T"], *fields: Shaped[Tensor, "B T ..."]) -> list[Shaped[Tensor, "V 1 ..."]]:
    """The V existing moments of each field."""
    return [field[exists].unsqueeze(1) for field in fields]


def scatter_valid(found: Shaped[Tensor, "V 1 ..."], exists: Bool[Tensor, "B T"]) -> Shaped[Tensor, "B T ..."]:
    """Rows put at their moments; zero elsewhere."""
    values = found.squeeze(1)
    return values.new_zeros(*exists.shape, *values.shape[1:]).index_put((exists,), values)


def taken_utilities(utilities: Float[Tensor, "B T N A"], actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T N"]:
    """Each agent's utility of one action."""
    return utilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def greedy_actions(
    utilities: Float[Tensor, "*batch N A"], avail_actions: Bool[Tensor, "*batch N A"]
) -> Int[Tensor, "*batch N"]:
    """Each agent's best available action: the decentralised policy."""
    return utilities.masked_fill(~avail_actions, -torch.inf).argmax(-1)


def masked_mean(x: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The mean over the steps that exist."""
    return (x * valid).sum() / valid.sum().clamp(min=1)
