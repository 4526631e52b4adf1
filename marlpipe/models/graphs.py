"""Coupling graphs of agents: κ-hop neighbourhoods and normalised adjacency."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.errors import Bound, check_number


def neighbourhoods(graph: Bool[Tensor, "N N"], hops: int) -> Bool[Tensor, "N N"]:
    """Row i marks N_κ(i): agent i and all agents at most κ = `hops` edges away (LOMAQ §4).

    Raises:
        UserError: κ is no whole number of at least 0.
    """
    check_number("hops", hops, Bound(0))
    step = graph | torch.eye(len(graph), dtype=torch.bool, device=graph.device)
    reached = torch.eye(len(graph), dtype=torch.bool, device=graph.device)
    for _ in range(hops):
        reached = (reached.float() @ step.float()) > 0
    return reached


def normalised_adjacency(graph: Bool[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """Ã = D^{−1/2} (A + I) D^{−1/2}, where D has the degrees of A + I (Kipf and Welling 2017, eq. 2)."""
    looped = (graph | torch.eye(len(graph), dtype=torch.bool, device=graph.device)).float()
    scale = looped.sum(1).rsqrt()
    return scale[:, None] * looped * scale
