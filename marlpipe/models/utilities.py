"""Utilities of actions, and the time steps that exist in padded episodes."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

StepIndex = tuple[Int[Tensor, " V"], Int[Tensor, " V"]]  # of V time steps: their episodes, and their places in those


def gather_valid(exists: Bool[Tensor, "B T"], *fields: Shaped[Tensor, "B T ..."]) -> list[Shaped[Tensor, "V ..."]]:
    """The rows of the V time steps that exist, of each field."""
    return [field[exists] for field in fields]


def scatter_valid(
    rows: Shaped[Tensor, "V ..."], exists: Bool[Tensor, "B T"], index: StepIndex | None = None
) -> Shaped[Tensor, "B T ..."]:
    """Rows put at their time steps; zero elsewhere. index: their order; None for that of `gather_valid`."""
    return rows.new_zeros(*exists.shape, *rows.shape[1:]).index_put((exists,) if index is None else index, rows)


def apply_valid(
    network: Callable[..., Tensor], exists: Bool[Tensor, "B T"], *fields: Shaped[Tensor, "B T ..."]
) -> Shaped[Tensor, "B T ..."]:
    """A network's outputs at the time steps that exist; zero elsewhere, where nothing is computed."""
    outputs = network(*(rows.unsqueeze(1) for rows in gather_valid(exists, *fields)))
    return scatter_valid(outputs.squeeze(1), exists)


def taken_utilities(utilities: Float[Tensor, "B T N A"], actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T N"]:
    """Each agent's utility of one action."""
    return utilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def greedy_actions(
    utilities: Float[Tensor, "*batch N A"], avail_actions: Bool[Tensor, "*batch N A"]
) -> Int[Tensor, "*batch N"]:
    """Each agent's best available action: the decentralised policy."""
    return utilities.masked_fill(~avail_actions, -torch.inf).argmax(-1)


def masked_mean(x: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The mean over the time steps that the mask keeps; 0 if it keeps none."""
    return (x * mask).sum() / mask.sum().clamp(min=1)
