"""Who is coupled with whom, and what is reached in κ hops."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.errors import UserError
from marlpipe.models.graphs import neighbourhoods


@pytest.mark.parametrize(
    ("hops", "sizes"),
    [
        (0, [1] * 15),
        (1, [2] + [3] * 13 + [2]),
        (2, [3, 4] + [5] * 11 + [4, 3]),
        (14, [15] * 15),
    ],
)
def test_closed_neighbourhoods_on_a_line(hops: int, sizes: list[int]) -> None:
    reached = neighbourhoods(graphs.line(15), hops)
    assert reached.sum(1).tolist() == sizes
    assert torch.equal(reached, reached.T)
    assert reached.diagonal().all()


def test_fewer_than_no_hops_are_refused() -> None:
    with pytest.raises(UserError, match="hops=-1 is not possible"):
        neighbourhoods(graphs.line(3), -1)


def test_a_neighbourhood_on_a_line_is_centred_on_its_agent() -> None:
    assert neighbourhoods(graphs.line(15), 2)[7].nonzero().flatten().tolist() == [5, 6, 7, 8, 9]


def test_line() -> None:
    expected = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    assert torch.equal(graphs.line(4), expected)


def test_complete() -> None:
    assert torch.equal(graphs.complete(3), torch.tensor([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=torch.bool))
    assert neighbourhoods(graphs.complete(5), 1).all()


@pytest.mark.parametrize("graph", [graphs.line, graphs.complete])
def test_one_agent_has_no_neighbour(graph: Callable[[int], Tensor]) -> None:
    assert graph(1).tolist() == [[False]]
    assert neighbourhoods(graph(1), 3).tolist() == [[True]]


def test_what_is_not_connected_is_never_reached() -> None:
    two_pairs = torch.zeros(4, 4, dtype=torch.bool)
    two_pairs[0, 1] = two_pairs[1, 0] = two_pairs[2, 3] = two_pairs[3, 2] = True
    assert neighbourhoods(two_pairs, 9).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
