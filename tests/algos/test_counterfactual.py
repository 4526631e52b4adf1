"""PAC's counterfactual labels against every joint action that one agent alone can reach."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos.pac_labels import counterfactual_labels
from marlpipe.models.mixers.unrestricted import UnrestrictedMixer
from tests.support.synthetic import make_spec

N, A, S, ROWS = 3, 4, 5, 40


def one_by_one(greedy: list[int], utilities: Tensor, avail: Tensor, state: Tensor, value: Any) -> list[int]:
    """n·A evaluations, one after another; û stays where nothing is better."""
    best, label = value(utilities[torch.arange(N), torch.tensor(greedy)], state), greedy
    for agent in range(N):
        for action in range(A):
            joint = [*greedy[:agent], action, *greedy[agent + 1 :]]
            reached = value(utilities[torch.arange(N), torch.tensor(joint)], state)
            if avail[agent, action] and reached > best:
                best, label = reached, joint
    return label


@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_labels_are_the_best_of_all_replacements(chunk: int) -> None:
    torch.manual_seed(0)
    spec = make_spec(n_agents=N, n_actions=A, state_dim=S)
    mixer = UnrestrictedMixer(spec=spec, partition=torch.ones(1, N), hidden=16, layers=2).double()
    utilities = 3 * torch.randn(ROWS, N, A, dtype=torch.float64)
    state = torch.randn(ROWS, S, dtype=torch.float64)
    avail = torch.rand(ROWS, N, A) < 0.6
    greedy = torch.randint(A, (ROWS, N))
    avail.scatter_(-1, greedy.unsqueeze(-1), True)

    def value(chosen: Tensor, state: Tensor) -> Tensor:
        found: Tensor = mixer(chosen.unsqueeze(0), state.unsqueeze(0))[0, :, 0].detach()
        assert len(found) <= max(chunk, ROWS), "memory stays bounded"
        return found

    found = counterfactual_labels(greedy, utilities, avail, state, value, chunk)
    expected = [
        one_by_one(g.tolist(), u, a, s, lambda q, s: float(value(q.unsqueeze(0), s.unsqueeze(0))))
        for g, u, a, s in zip(greedy, utilities, avail, state, strict=True)
    ]
    assert found.tolist() == expected
    changed = (found != greedy).sum(1)
    assert set(changed.tolist()) == {0, 1}
    assert len({tuple(row.nonzero().flatten().tolist()) for row in found != greedy}) == N + 1, "any agent may change"


def labels_of_a_table(table: Tensor, greedy: list[int], avail: Tensor | None = None) -> list[int]:
    """Labels for two agents whose utilities are their actions' numbers."""
    n_actions = len(table)
    utilities = torch.arange(n_actions).double().expand(1, 2, n_actions)
    avail = torch.ones(1, 2, n_actions, dtype=torch.bool) if avail is None else avail

    def value(chosen: Tensor, state: Tensor) -> Tensor:
        del state
        return table[chosen[:, 0].long(), chosen[:, 1].long()]

    [found] = counterfactual_labels(torch.tensor([greedy]), utilities, avail, torch.zeros(1, 1).double(), value, 5)
    label: list[int] = found.tolist()
    return label


CLASSIC = torch.tensor([[8.0, -12, -12], [-12, 0, 0], [-12, 0, 0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("greedy", "label"),
    [([0, 0], [0, 0]), ([0, 1], [0, 0]), ([2, 0], [0, 0]), ([1, 2], [1, 2])],  # one agent alone does not leave (1, 2)
)
def test_labels_in_the_classic_game(greedy: list[int], label: list[int]) -> None:
    assert labels_of_a_table(CLASSIC, greedy) == label


def test_what_cannot_be_done_is_no_label() -> None:
    avail = torch.ones(1, 2, 3, dtype=torch.bool)
    avail[0, 1, 0] = False
    assert labels_of_a_table(CLASSIC, [0, 1], avail) == [1, 1]
    avail[0, 0, 1:] = False
    assert labels_of_a_table(CLASSIC, [0, 1], avail) == [0, 1]


def test_only_one_agent_changes_and_it_need_not_be_the_first() -> None:
    table = torch.tensor([[0.0, 1, 2], [3, 9, 4], [2, 1, 5]], dtype=torch.float64)
    assert labels_of_a_table(table, [0, 0]) == [1, 0], "9 needs two changes"
    assert labels_of_a_table(table, [1, 2]) == [1, 1]
    assert labels_of_a_table(table.T.contiguous(), [0, 0]) == [0, 1]


def test_labels_carry_no_gradient_into_the_values() -> None:
    utilities = torch.randn(2, N, A, requires_grad=True)
    state = torch.zeros(2, 1)
    greedy, avail = torch.zeros(2, N, dtype=torch.long), torch.ones(2, N, A, dtype=torch.bool)
    asked = []

    def value(chosen: Tensor, state: Tensor) -> Tensor:
        del state
        asked.append(chosen.requires_grad)
        return chosen.sum(-1)

    counterfactual_labels(greedy, utilities, avail, state, value, 100)
    assert asked
    assert not any(asked)
