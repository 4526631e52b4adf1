"""Who is coupled with whom: adjacency matrices and what is reached in κ hops."""

import torch
from jaxtyping import Bool
from torch import Tensor


def line(n_agents: int) -> Bool[Tensor, "N N"]:
    """Agent i is coupled with i-1 and i+1."""
    index = torch.arange(n_agents)
    return (index[:, None] - index[None, :]).abs() == 1


def complete(n_agents: int) -> Bool[Tensor, "N N"]:
    """Everyone is coupled with everyone else."""
    return ~torch.eye(n_agents, dtype=torch.bool)


def neighbourhoods(graph: Bool[Tensor, "N N"], hops: int) -> Bool[Tensor, "N N"]:
    """Row i marks N_κ(i): agent i and whoever is at most κ = `hops` edges away (LOMAQ §4)."""
    step = graph | torch.eye(len(graph), dtype=torch.bool, device=graph.device)
    reached = torch.eye(len(graph), dtype=torch.bool, device=graph.device)
    for _ in range(hops):
        reached = (reached.float() @ step.float()) > 0
    return reached
