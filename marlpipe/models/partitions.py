"""Partitions of the agents into J disjoint blocks, as 0/1 matrices P (J × N) (LOMAQ §4).

Each function is one way to build P from what is known of a world.
"""

from collections.abc import Sequence

import networkx
import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.errors import Bound, Count, Hops, UserError, check_number
from marlpipe.models.graphs import neighbourhoods as hop_neighbourhoods
from marlpipe.types import EnvSpec


def explicit(spec: EnvSpec, *, blocks: Sequence[Sequence[int]]) -> Float[Tensor, "J N"]:
    """The given blocks of 0-indexed agents. UserError if they are not disjoint, or miss an agent."""
    matrix = torch.zeros(len(blocks), spec.n_agents)
    for row, block in zip(matrix, blocks, strict=True):
        for agent in block:
            if not 0 <= agent < spec.n_agents:
                raise UserError(f"partition: agent {agent} does not exist.\n  valid: 0 to {spec.n_agents - 1}")
            row[agent] += 1
    if not len(blocks) or not matrix.sum(1).all():
        raise UserError(f"partition: a block of {list(blocks)} is empty. Remove it, or name its agents.")
    count = matrix.sum(0)
    if (count != 1).any():
        missing = (count == 0).nonzero().flatten().tolist()
        doubled = (count > 1).nonzero().flatten().tolist()
        raise UserError(
            f"partition: each of the agents 0 to {spec.n_agents - 1} belongs to exactly one block; "
            f"missing: {missing}, named more than once: {doubled}.\n  given: {[list(block) for block in blocks]}"
        )
    return matrix


def full(spec: EnvSpec) -> Float[Tensor, "1 N"]:
    """One block of all agents: a single Q_tot."""
    return torch.ones(1, spec.n_agents)


def singletons(spec: EnvSpec) -> Float[Tensor, "N N"]:
    """Each agent a block of its own."""
    return torch.eye(spec.n_agents)


def blocks(spec: EnvSpec, *, size: Count) -> Float[Tensor, "J N"]:
    """Consecutive blocks of `size` agents; the last one takes what is left."""
    check_number("partition.size", size, Bound(1))
    agents = range(spec.n_agents)
    return explicit(spec, blocks=[agents[start : start + size] for start in range(0, spec.n_agents, size)])


def neighbourhoods(spec: EnvSpec, *, hops: Hops) -> Float[Tensor, "J N"]:
    """κ-hop neighbourhoods made disjoint: the lowest free agent takes all free agents at most `hops` edges away."""
    near = hop_neighbourhoods(spec.graph, hops)
    free = set(range(spec.n_agents))
    found = []
    for agent in range(spec.n_agents):
        if agent in free:
            block = [other for other in sorted(free) if near[agent, other]]
            free.difference_update(block)
            found.append(block)
    return explicit(spec, blocks=found)


def communities(spec: EnvSpec) -> Float[Tensor, "J N"]:
    """Communities of the coupling graph by greedy modularity (Clauset, Newman, Moore 2004)."""
    graph = networkx.from_numpy_array(spec.graph.int().cpu().numpy())
    found = networkx.community.greedy_modularity_communities(graph)
    return explicit(spec, blocks=sorted(sorted(community) for community in found))
