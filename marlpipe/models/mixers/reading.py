"""Which utilities each block's mixing network reads."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.models.graphs import neighbourhoods


class Reading(NamedTuple):
    """Block J reads agents `places[J]` where `present[J]`: ascending, padded to the largest set, K places wide."""

    places: Int[Tensor, "J K"]
    present: Bool[Tensor, "J K"]
    matrix: Bool[Tensor, "J N"]


def reading(partition: Float[Tensor, "J N"], graph: Bool[Tensor, "N N"], hops: int) -> Reading:
    """The κ-hop redirect: block J reads ∪_{i∈J} N_κ(i), with κ = `hops` (LOMAQ §4); its own agents at κ = 0."""
    matrix = (partition @ neighbourhoods(graph, hops).float()) > 0
    order = matrix.int().argsort(dim=1, descending=True, stable=True)
    width = int(matrix.sum(1).max())
    index = order[:, :width]
    return Reading(index, matrix.gather(1, index), matrix)


def gather_read(
    utilities: Float[Tensor, "B T N"], index: Int[Tensor, "J K"], present: Bool[Tensor, "J K"]
) -> Float[Tensor, "B T J K"]:
    """Each block's inputs; zero at padded places."""
    return utilities[..., index] * present


def scatter_read(
    gradients: Float[Tensor, "B T J K"], index: Int[Tensor, "J K"], present: Bool[Tensor, "J K"], n_agents: int
) -> Float[Tensor, "B T J N"]:
    """Per-place gradients put at the agents they belong to."""
    places = torch.zeros(*gradients.shape[:-1], n_agents, dtype=gradients.dtype, device=gradients.device)
    return places.scatter_add(-1, index.expand_as(gradients), gradients * present)


def translation_groups(places: Reading, partition: Float[Tensor, "J N"]) -> Int[Tensor, " J"]:
    """Blocks that own and read the same positions relative to their first agent form one group (parameter sharing).

    On a line with singletons and κ hops this gives the κ outermost agents at either end groups of their own and one
    group to all between them, as LOMAQ's code shares them.
    """
    groups: dict[tuple[tuple[int, ...], ...], int] = {}
    of_block = []
    for read, own in zip(places.matrix, partition, strict=True):
        first = int(own.argmax())
        offsets = tuple(tuple((agents.nonzero().flatten() - first).tolist()) for agents in (own, read))
        of_block.append(groups.setdefault(offsets, len(groups)))
    return torch.tensor(of_block)


def private_groups(places: Reading, partition: Float[Tensor, "J N"]) -> Int[Tensor, " J"]:
    """A network of its own for each block."""
    del places
    return torch.arange(len(partition))
