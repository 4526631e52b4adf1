"""QTRAN's theorem on one-step games: where the side constraints hold, greedy utilities maximise Q_jt."""

from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.composition import build, loss_of
from tests.support.synthetic import make_spec, ragged_batch

ALGORITHMS = ["qtran", "qtran_alt"]
GAMES = {
    "classic": [[8.0, -12.0, -12.0], [-12.0, 0.0, 0.0], [-12.0, 0.0, 0.0]],
    "qplex_1": [[10.4, 0.0, 10.0], [0.0, 10.0, 10.0], [10.0, 10.0, 10.0]],
    "qplex_3": [[8.0, -12.0, -12.0], [-12.0, 6.0, 0.0], [-12.0, 0.0, 6.0]],
    "pymarl2": [[12.0, -0.1, -0.1], [-0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]],
}
JOINT_ACTIONS = list(product(range(3), repeat=2))


class TableAgent(nn.Module):
    """Utilities that are given: q (N,A)."""

    def __init__(self, q: Tensor) -> None:
        super().__init__()
        self.q, self.hidden = nn.Parameter(q), 1

    def with_features(self, obs: Tensor, last_actions: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        del last_actions
        return self.q.expand(*filled.shape, *self.q.shape), obs[..., :1]


class TableValue(nn.Module):
    """Q_jt that is given, in both forms."""

    def __init__(self, table: Tensor, *, per_agent: bool) -> None:
        super().__init__()
        self.table, self.per_agent = table, per_agent

    def forward(self, *inputs: Tensor) -> Tensor:
        actions = inputs[-2]
        value = self.table[actions[..., 0], actions[..., 1]].unsqueeze(-1)
        return value.expand(*value.shape[:-1], 2) if self.per_agent else value

    def alternatives(self, actions: Tensor, state: Tensor) -> Tensor:
        del state
        return torch.stack([self.table.T[actions[..., 1]], self.table[actions[..., 0]]], dim=-2)


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, state: Tensor) -> Tensor:
        return torch.full_like(state[..., :1], self.value)


TWO = make_spec(n_agents=2, n_actions=3, obs_dim=1, state_dim=1, horizon=1)


@cache
def built(algo: str) -> Any:
    return build(f"algo={algo}", "loss.nopt_factor=1.0", spec=TWO)


def side_losses(algo: str, table: Tensor, q: Tensor, v: float) -> tuple[float, float]:
    """L_opt and L_nopt over all nine joint actions of a game, with utilities, Q_jt and V given."""
    algorithm = built(algo)
    algorithm.agent, algorithm.state_value = TableAgent(q), Constant(v)
    algorithm.target_agent = algorithm.agent
    algorithm.joint = algorithm.target_joint = TableValue(table, per_agent=algo == "qtran_alt")
    batch = ragged_batch(TWO, lengths=[1] * 9, terminal=[True] * 9, dtype=torch.float64)
    everything = torch.ones_like(batch.avail_actions)
    batch = batch._replace(actions=torch.tensor(JOINT_ACTIONS).unsqueeze(1), avail_actions=everything)
    _, metrics = loss_of(algorithm, batch)
    return float(metrics["opt_loss"]), float(metrics["nopt_loss"])


def tight_solution(table: Tensor, best: tuple[int, int]) -> tuple[Tensor, float]:
    """Utilities, greedy at `best`, and V that meet the bound for all joint actions, lowered until they touch it.

    Zero at `best`, V = Q(best); elsewhere first just low enough to be greedy there, then as low as the bound allows.
    """
    q, v = torch.zeros(2, 3, dtype=torch.float64), float(table[best])
    gap = v - float(
        torch.cat([table.flatten()[: best[0] * 3 + best[1]], table.flatten()[best[0] * 3 + best[1] + 1 :]]).max()
    )
    for agent, action in product(range(2), range(3)):
        q[agent, action] = 0.0 if action == best[agent] else -gap / 4
    for agent, action in product(range(2), range(3)):
        if action != best[agent]:
            joint = [(action, other) if agent == 0 else (other, action) for other in range(3)]
            q[agent, action] = max(float(table[u]) - v - float(q[1 - agent, u[1 - agent]]) for u in joint)
    return q, v


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_where_both_side_losses_vanish_the_greedy_actions_are_optimal(algo: str, game: str) -> None:
    """By brute force over the joint actions: such utilities exist, and no others are without loss."""
    table = torch.tensor(GAMES[game], dtype=torch.float64)
    optimum = max(JOINT_ACTIONS, key=lambda u: float(table[u]))
    q, v = tight_solution(table, optimum)
    assert tuple(q.argmax(-1).tolist()) == optimum
    assert side_losses(algo, table, q, v) == pytest.approx((0.0, 0.0), abs=1e-12)

    draw, wrong = torch.Generator().manual_seed(0), 0
    for _ in range(12):
        q = 4 * torch.randn(2, 3, generator=draw, dtype=torch.float64)
        greedy = tuple(q.argmax(-1).tolist())
        v = float(table[greedy] - q.max(-1).values.sum())  # the only V without L_opt
        opt_loss, nopt_loss = side_losses(algo, table, q, v)
        assert opt_loss == pytest.approx(0.0, abs=1e-12)
        assert side_losses(algo, table, q, v + 1)[0] == pytest.approx(1.0)
        if greedy != optimum:
            wrong += 1
            assert nopt_loss > 1e-3
    assert wrong > 5


def test_the_base_form_lets_values_lie_above_the_bound_and_the_alt_form_does_not() -> None:
    """Utilities that are greedy at the optimum but lower nothing else: no loss in the base form."""
    table = torch.tensor(GAMES["classic"], dtype=torch.float64)
    q = torch.tensor([[0.0, -1.0, -1.0]] * 2, dtype=torch.float64)
    assert side_losses("qtran", table, q, 8.0)[1] == 0.0
    # agent i's least gap, from the sum of utilities − Q + 8: beside action 0 it is 0; beside 1 and 2 it is 6 (1, 2)
    assert side_losses("qtran_alt", table, q, 8.0)[1] == pytest.approx(36 * 6 / 9)
