"""Which agents' utilities each block's mixing network reads."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.models.graphs import neighbourhoods


class ReadSet(NamedTuple):
    """Block J reads `agents[J]` where `present[J]`: ascending, padded to the largest set, of K agents.

    read_mask: the same, as a mask of all agents.
    """

    agents: Int[Tensor, "J K"]
    present: Bool[Tensor, "J K"]
    read_mask: Bool[Tensor, "J N"]


def read_set(partition: Float[Tensor, "J N"], graph: Bool[Tensor, "N N"], hops: int) -> ReadSet:
    """The κ-hop redirect: block J reads ∪_{i∈J} N_κ(i), with κ = `hops` (LOMAQ §4); its own agents at κ = 0."""
    read_mask = (partition @ neighbourhoods(graph, hops).float()) > 0
    order = read_mask.int().argsort(dim=1, descending=True, stable=True)
    agents = order[:, : int(read_mask.sum(1).max())]
    return ReadSet(agents, read_mask.gather(1, agents), read_mask)


def gather_read(
    utilities: Float[Tensor, "B T N"], index: Int[Tensor, "J K"], present: Bool[Tensor, "J K"]
) -> Float[Tensor, "B T J K"]:
    """Each block's inputs; zero where padded."""
    return utilities[..., index] * present


def scatter_read(
    gradients: Float[Tensor, "B T J K"], index: Int[Tensor, "J K"], present: Bool[Tensor, "J K"], n_agents: int
) -> Float[Tensor, "B T J N"]:
    """Gradients with respect to the inputs, put at their agents."""
    at_agents = torch.zeros(*gradients.shape[:-1], n_agents, dtype=gradients.dtype, device=gradients.device)
    return at_agents.scatter_add(-1, index.expand_as(gradients), gradients * present)


def translation_groups(read: ReadSet, partition: Float[Tensor, "J N"]) -> Int[Tensor, " J"]:
    """Blocks that own and read the same positions relative to their first agent form one group (parameter sharing).

    On a line with singletons and κ hops this gives the κ outermost agents at either end groups of their own and one
    group to all between them, as LOMAQ's code shares them.
    """
    groups: dict[tuple[tuple[int, ...], ...], int] = {}
    of_block = []
    for read_mask, own in zip(read.read_mask, partition, strict=True):
        first = int(own.argmax())
        offsets = tuple(tuple((agents.nonzero().flatten() - first).tolist()) for agents in (own, read_mask))
        of_block.append(groups.setdefault(offsets, len(groups)))
    return torch.tensor(of_block)


def private_groups(read: ReadSet, partition: Float[Tensor, "J N"]) -> Int[Tensor, " J"]:
    """A network of its own for each block."""
    del read
    return torch.arange(len(partition))
