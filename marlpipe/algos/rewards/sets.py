"""Which sets I of agents have a learned reward r_I of their own (LOMAQ §4.3), and the share of it that each agent gets.

Each rule builds the sets from the coupling graph: ascending within a set, the small sets first.
"""

from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.errors import Count, Few, UserError, bounds_of, check_numbers
from marlpipe.models.graphs import neighbourhoods

Sets = list[tuple[int, ...]]


def connected_sets(graph: Bool[Tensor, "N N"], *, largest: Few, reach: Few, limit: Count) -> Sets:
    """Connected sets of at most `largest` agents that are at most 2β₂ edges apart within the set (LOMAQ's code).

    largest: k. reach: β₂. limit: most connected sets that are enumerated.

    Raises:
        UserError: a number out of its bounds, or more sets than `limit`.
    """
    check_rule(largest, reach, limit)
    near = neighbourhoods(graph, 2 * reach)  # agents far apart in the graph are so in every set
    of_size = {(agent,) for agent in range(len(graph))}
    found = set(of_size)
    for _ in range(1, largest):
        grown = set()
        for members in of_size:
            adjacent = graph[list(members)].any(0) & near[list(members)].all(0)
            for agent in set(adjacent.nonzero().flatten().tolist()) - set(members):
                grown.add(tuple(sorted((*members, agent))))
                check_count(len(found) + len(grown), limit)
        found, of_size = found | grown, grown
    return ordered({members for members in found if diameter_at_most(graph, members, 2 * reach)})


def neighbourhood_sets(graph: Bool[Tensor, "N N"], *, largest: Few, reach: Few, limit: Count) -> Sets:
    """Sets of at most `largest` agents out of one agent's closed neighbourhood: LOMAQ §4.3, where `reach` is 1 edge.

    They need not be connected: an agent's neighbours on a line, i−1 and i+1, are one of them.

    Raises:
        UserError: a number out of its bounds, or more sets than `limit`.
    """
    check_rule(largest, reach, limit)
    found: set[tuple[int, ...]] = set()
    for row in neighbourhoods(graph, reach):
        closed = row.nonzero().flatten().tolist()
        for size in range(1, min(largest, len(closed)) + 1):
            for members in combinations(closed, size):
                found.add(members)
                check_count(len(found), limit)
    return ordered(found)


def shares(sets: Sets, n_agents: int) -> Float[Tensor, "I N"]:
    """Agent i's share of each r_I: 1/|I| if it is one of I, so that r̂_i = Σ_{I∋i} r_I/|I| and Σ_i r̂_i = Σ_I r_I.

    (LOMAQ eq. 3, as its code reads it; the paper's sum also runs over sets without i, and would not add up.)
    """
    matrix = torch.zeros(len(sets), n_agents)
    for row, members in zip(matrix, sets, strict=True):
        row[list(members)] = 1 / len(members)
    return matrix


def diameter_at_most(graph: Bool[Tensor, "N N"], members: tuple[int, ...], edges: int) -> bool:
    """Whether a path of at most `edges` edges joins any two members without leaving the set."""
    inside = graph[list(members)][:, list(members)]
    return bool(neighbourhoods(inside, edges).all())


def ordered(sets: set[tuple[int, ...]]) -> Sets:
    """The small sets first, in the order of their agents."""
    return sorted(sets, key=lambda members: (len(members), members))


def check_rule(largest: int, reach: int, limit: int) -> None:
    """UserError for numbers that give no sets."""
    check_numbers("reward.sets", {"largest": largest, "reach": reach, "limit": limit}, bounds_of(connected_sets))


def check_count(count: int, limit: int) -> None:
    """UserError for more sets than the limit: their number grows exponentially with the largest size."""
    if count > limit:
        raise UserError(
            f"the learned reward has more than reward.sets.limit={limit} sets of agents.\n"
            "  next: smaller sets, as in reward.sets.largest=2, or a higher reward.sets.limit"
        )
