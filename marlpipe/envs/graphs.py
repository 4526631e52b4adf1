"""Coupling graphs of agents as symmetric adjacency matrices without self-loops."""

import torch
from jaxtyping import Bool
from torch import Tensor


def line(n_agents: int) -> Bool[Tensor, "N N"]:
    """Agent i is coupled with i-1 and i+1."""
    index = torch.arange(n_agents)
    return (index[:, None] - index[None, :]).abs() == 1


def complete(n_agents: int) -> Bool[Tensor, "N N"]:
    """Every pair of agents is coupled."""
    return ~torch.eye(n_agents, dtype=torch.bool)
