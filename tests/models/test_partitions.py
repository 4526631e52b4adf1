"""Partitions of the agents into disjoint blocks."""

import pytest
import torch
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.errors import UserError
from marlpipe.models import partitions
from marlpipe.models.graphs import neighbourhoods
from marlpipe.types import EnvSpec
from tests.support.synthetic import make_spec

FIVE = make_spec(n_agents=5)


def members(partition: Tensor) -> list[list[int]]:
    return [row.nonzero().flatten().tolist() for row in partition]


def random_world(n_agents: int, seed: int) -> EnvSpec:
    generator = torch.Generator().manual_seed(seed)
    edges = (torch.rand(n_agents, n_agents, generator=generator) < 0.2).triu(1)
    return make_spec(n_agents=n_agents, graph=edges | edges.T)


def test_full_and_singletons() -> None:
    assert members(partitions.full(FIVE)) == [[0, 1, 2, 3, 4]]
    assert members(partitions.singletons(FIVE)) == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, [[0], [1], [2], [3], [4]]),
        (2, [[0, 1], [2, 3], [4]]),
        (3, [[0, 1, 2], [3, 4]]),
        (5, [[0, 1, 2, 3, 4]]),
        (9, [[0, 1, 2, 3, 4]]),
    ],
)
def test_blocks(size: int, expected: list[list[int]]) -> None:
    assert members(partitions.blocks(FIVE, size=size)) == expected


@pytest.mark.parametrize("size", [0, -1])
def test_a_block_has_members(size: int) -> None:
    with pytest.raises(UserError, match=rf"partition\.size={size} is not possible"):
        partitions.blocks(FIVE, size=size)


def test_explicit_blocks_in_the_given_order() -> None:
    assert members(partitions.explicit(FIVE, blocks=[[3, 1], [4], [0, 2]])) == [[1, 3], [4], [0, 2]]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([[0, 1], [3]], r"missing: \[2, 4\], named more than once: \[\]"),
        ([[0, 1], [1, 2, 3], [3, 4]], r"missing: \[\], named more than once: \[1, 3\]"),
        ([[0, 0, 1], [2]], r"missing: \[3, 4\]"),
        ([[0, 0, 1], [2, 3, 4]], r"missing: \[\], named more than once: \[0\]"),
        ([[0, 1, 2, 3, 5]], "agent 5 does not exist.\n  valid: 0 to 4"),
        ([[0, 1, 2, 3, -1]], "agent -1 does not exist"),
        ([[0, 1, 2, 3, 4], []], "is empty"),
        ([], "is empty"),
    ],
)
def test_what_is_not_a_partition_is_refused_by_name(blocks: list[list[int]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        partitions.explicit(FIVE, blocks=blocks)


def test_neighbourhoods_on_a_line() -> None:
    spec = make_spec(n_agents=7)
    assert members(partitions.neighbourhoods(spec, hops=0)) == [[i] for i in range(7)]
    assert members(partitions.neighbourhoods(spec, hops=1)) == [[0, 1], [2, 3], [4, 5], [6]]
    assert members(partitions.neighbourhoods(spec, hops=2)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert members(partitions.neighbourhoods(spec, hops=6)) == [list(range(7))]


def test_communities_of_two_cliques() -> None:
    """Two triangles, joined by one edge between agents 2 and 3."""
    edges = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (2, 3)]
    graph = torch.zeros(6, 6, dtype=torch.bool)
    for i, j in edges:
        graph[i, j] = graph[j, i] = True
    assert members(partitions.communities(make_spec(n_agents=6, graph=graph))) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("n_agents", [1, 2, 3, 15])
@pytest.mark.parametrize("coupled", [graphs.line, graphs.complete, lambda n: torch.zeros(n, n, dtype=torch.bool)])
def test_communities_exist_in_every_world(n_agents: int, coupled: object) -> None:
    spec = make_spec(n_agents=n_agents, graph=coupled(n_agents))  # type: ignore[operator]
    assert (partitions.communities(spec).sum(0) == 1).all()


@pytest.mark.parametrize("seed", range(8))
def test_blocks_are_disjoint_and_cover_all_agents(seed: int) -> None:
    spec = random_world(12, seed)
    for partition in (
        partitions.communities(spec),
        partitions.neighbourhoods(spec, hops=1),
        partitions.neighbourhoods(spec, hops=2),
        partitions.blocks(spec, size=5),
    ):
        assert (partition.sum(0) == 1).all()
        assert (partition.sum(1) >= 1).all()
        assert set(partition.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("hops", [1, 2])
def test_neighbourhood_blocks_are_within_reach_of_their_first_agent(hops: int) -> None:
    spec = random_world(12, seed=1)
    near = neighbourhoods(spec.graph, hops)
    for block in members(partitions.neighbourhoods(spec, hops=hops)):
        assert all(near[block[0], agent] for agent in block)
