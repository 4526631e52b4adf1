"""Which sets of agents have a reward, by hand and against all subsets tried one by one."""

from itertools import combinations

import networkx
import pytest
import torch

from marlpipe.algos.rewards.sets import Sets, connected_sets, neighbourhood_sets, shares
from marlpipe.envs import graphs
from marlpipe.errors import UserError


def cycle(n_agents: int) -> torch.Tensor:
    return torch.from_numpy(networkx.to_numpy_array(networkx.cycle_graph(n_agents)) > 0)


def singles(n_agents: int) -> Sets:
    return [(agent,) for agent in range(n_agents)]


@pytest.mark.parametrize(
    ("largest", "reach", "larger"),
    [
        (1, 1, []),
        (2, 1, [(0, 1), (1, 2), (2, 3)]),
        (3, 1, [(0, 1), (1, 2), (2, 3), (0, 1, 2), (1, 2, 3)]),
        (9, 1, [(0, 1), (1, 2), (2, 3), (0, 1, 2), (1, 2, 3)]),  # all four are 3 edges long
        (9, 2, [(0, 1), (1, 2), (2, 3), (0, 1, 2), (1, 2, 3), (0, 1, 2, 3)]),
    ],
)
def test_connected_sets_of_a_line(largest: int, reach: int, larger: Sets) -> None:
    assert connected_sets(graphs.line(4), largest=largest, reach=reach, limit=100) == [*singles(4), *larger]


def test_the_diameter_is_that_of_the_set_and_may_fall_as_it_grows() -> None:
    """Four in a row on a cycle of five are 3 edges long, though any two are within 2 on the cycle; all five are not."""
    found = connected_sets(cycle(5), largest=5, reach=1, limit=100)
    assert [sum(len(members) == size for members in found) for size in range(1, 6)] == [5, 5, 5, 0, 1]


@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_connected_sets_are_those_of_all_subsets_that_fit(seed: int, reach: int) -> None:
    graph = networkx.gnp_random_graph(8, 0.3, seed=seed)
    fitting = [
        members
        for size in range(1, 6)
        for members in combinations(range(8), size)
        if networkx.is_connected(graph.subgraph(members)) and networkx.diameter(graph.subgraph(members)) <= 2 * reach
    ]
    adjacency = torch.from_numpy(networkx.to_numpy_array(graph) > 0)
    assert connected_sets(adjacency, largest=5, reach=reach, limit=1000) == fitting


def test_sets_out_of_neighbourhoods_need_not_be_connected() -> None:
    assert neighbourhood_sets(graphs.line(3), largest=2, reach=1, limit=100) == [*singles(3), (0, 1), (0, 2), (1, 2)]
    found = neighbourhood_sets(graphs.line(5), largest=3, reach=1, limit=100)
    assert [members for members in found if len(members) == 3] == [(0, 1, 2), (1, 2, 3), (2, 3, 4)]
    assert (0, 2) in found
    assert (0, 3) not in found
    assert (0, 4) in neighbourhood_sets(graphs.line(5), largest=2, reach=2, limit=100)


def test_both_rules_agree_on_two_agents_and_on_singles() -> None:
    """D18."""
    for graph, largest in [(graphs.line(2), 2), (graphs.line(6), 1)]:
        assert connected_sets(graph, largest=largest, reach=1, limit=99) == neighbourhood_sets(
            graph, largest=largest, reach=1, limit=99
        )


@pytest.mark.parametrize("rule", [connected_sets, neighbourhood_sets])
def test_more_sets_than_the_limit_are_refused_before_they_are_built(rule: object) -> None:
    with pytest.raises(UserError, match=r"reward\.sets\.limit=1000 sets(.|\n)*reward\.sets\.largest=2"):
        rule(graphs.complete(40), largest=40, reach=1, limit=1000)  # type: ignore[operator]
    assert len(rule(graphs.complete(3), largest=3, reach=1, limit=7)) == 7  # type: ignore[operator]
    with pytest.raises(UserError, match=r"limit=6"):
        rule(graphs.complete(3), largest=3, reach=1, limit=6)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("given", "message"), [({"largest": 0}, r"sets\.largest=0"), ({"reach": 0}, r"reach=0"), ({"limit": 0}, r"limit=0")]
)
def test_numbers_that_give_no_sets_are_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message + r"(.|\n)*from 1"):
        connected_sets(graphs.line(3), **{"largest": 1, "reach": 1, "limit": 9, **given})


def test_a_set_is_shared_equally_by_its_members() -> None:
    expected = [[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    torch.testing.assert_close(shares([(0,), (1,), (0, 2), (0, 1, 2)], 3), torch.tensor(expected))
