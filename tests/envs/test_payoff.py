"""Matrix games: the tables that conf/env names, what they pay, and what cannot be a table."""

from itertools import product
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from marlpipe.envs import graphs
from marlpipe.envs.payoff import PayoffGame, PayoffState
from marlpipe.errors import UserError
from marlpipe.types import Env, Timestep
from tests.support.repository import CONF

CONFIGS = CONF / "env"
CUBE = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]  # three agents: 4·a_1 + 2·a_2 + a_3


def game(name: str) -> PayoffGame:
    found = instantiate(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    assert isinstance(found, PayoffGame)
    return found


def pay(env: PayoffGame, actions: list[list[int]]) -> Timestep:
    random = torch.Generator()
    return env.step(env.reset(len(actions), random), torch.tensor(actions), random)[1]


def joint_actions(env: PayoffGame) -> list[list[int]]:
    return [list(joint) for joint in product(range(env.spec.n_actions), repeat=env.spec.n_agents)]


@pytest.mark.parametrize(
    ("name", "n_actions", "horizon", "optimum", "optimal_actions"),
    [
        ("payoff", 3, 1, 8, [[0, 0]]),
        ("payoff_qplex_1", 3, 1, 10.4, [[0, 0]]),
        ("payoff_qplex_3", 3, 1, 8, [[0, 0]]),
        ("payoff_pymarl2", 3, 1, 12, [[0, 0]]),
        ("payoff_lomaq", 2, 2, 3, [[1, 1]]),
        ("payoff_lomaq_a", 2, 2, 31, [[0, 0]]),
        ("payoff_lomaq_2", 2, 2, 4, [[1, 1]]),
        ("payoff_lomaq_3", 2, 2, 1, [[0, 0], [0, 1], [1, 0], [1, 1]]),
    ],
)
def test_the_games_and_their_optima(
    name: str, n_actions: int, horizon: int, optimum: float, optimal_actions: list[list[int]]
) -> None:
    env = game(name)
    assert (env.spec.n_agents, env.spec.n_actions, env.spec.horizon) == (2, n_actions, horizon)
    assert env.optimum == optimum
    assert env.optimal_actions.tolist() == optimal_actions
    assert env.spec.local_rewards == ("lomaq" in name)
    assert f"Optimum: {optimum}" in (CONFIGS / f"{name}.yaml").read_text().replace("1 + a = ", "")


def test_every_game_in_the_config_is_tested_for_its_optimum() -> None:
    tested = test_the_games_and_their_optima.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {path.stem for path in CONFIGS.glob("payoff*.yaml")} == {case[0] for case in tested}


def test_tables_of_the_team_games() -> None:
    assert game("payoff").team_table.tolist() == [[8, -12, -12], [-12, 0, 0], [-12, 0, 0]]
    assert game("payoff_qplex_3").team_table.tolist() == [[8, -12, -12], [-12, 6, 0], [-12, 0, 6]]
    near = pytest.approx(torch.tensor([[10.4, 0, 10], [0, 10, 10], [10, 10, 10]]))
    assert game("payoff_qplex_1").team_table == near
    assert game("payoff_pymarl2").team_table == pytest.approx(
        torch.tensor([[12, -0.1, -0.1], [-0.1, 0, 0], [-0.1, 0, 0]])
    )


def test_figure_7_of_lomaq() -> None:
    env = game("payoff_lomaq")
    first, second = pay(env, joint_actions(env)).rewards.T.reshape(2, 2, 2)
    assert first.tolist() == [[0, 1], [1, 2]]
    assert second.tolist() == [[2, 1], [1, 1]]
    assert env.team_table.tolist() == [[2, 2], [2, 3]]
    # r = 2 + max(0, a_1 + a_2 − 1) is monotonic in U_i = a_i, so the partition {{1, 2}} can represent it.
    assert all(env.team_table[a, b] == 2 + max(0, a + b - 1) for a, b in joint_actions(env))
    # r_1 rises and r_2 falls in either action, strictly somewhere: no utilities serve both {1} and {2}.
    for axis in (0, 1):
        assert (first.diff(dim=axis) > 0).all()
        assert (second.diff(dim=axis) <= 0).all()
        assert (second.diff(dim=axis) < 0).any()


def test_the_team_is_paid_through_agent_0() -> None:
    env = game("payoff")
    rewards = pay(env, joint_actions(env)).rewards
    assert rewards[:, 0].tolist() == [8, -12, -12, -12, 0, 0, -12, 0, 0]
    assert (rewards[:, 1] == 0).all()


def test_three_agents_with_team_payoffs() -> None:
    env = PayoffGame(team_payoffs=CUBE, obs_dim=1, horizon=1)
    assert torch.equal(env.spec.graph, graphs.complete(3))
    rewards = pay(env, joint_actions(env)).rewards
    assert rewards.tolist() == [[payoff, 0, 0] for payoff in range(8)]
    assert (env.optimum, env.optimal_actions.tolist()) == (7, [[1, 1, 1]])


def test_three_agents_with_local_payoffs() -> None:
    tenfold = (10 * torch.tensor(CUBE)).tolist()
    falling = (-torch.tensor(CUBE)).tolist()
    env = PayoffGame(local_payoffs=[CUBE, tenfold, falling], obs_dim=1, horizon=1)
    rewards = pay(env, joint_actions(env)).rewards
    assert rewards.tolist() == [[payoff, 10 * payoff, -payoff] for payoff in range(8)]
    assert torch.equal(env.team_table, 10.0 * torch.tensor(CUBE))
    assert env.optimum == 70


def test_one_agent() -> None:
    env = PayoffGame(team_payoffs=[1, 5, 2], obs_dim=1, horizon=1)
    assert (env.spec.n_agents, env.spec.n_actions, env.optimum) == (1, 3, 5)
    assert pay(env, [[1], [2]]).rewards.tolist() == [[5], [2]]


def test_observation_and_state_are_ones() -> None:
    env: Env[PayoffState] = PayoffGame(team_payoffs=CUBE, obs_dim=5, horizon=1)
    seen = env.observe(env.reset(4, torch.Generator()))
    assert torch.equal(seen.obs, torch.ones(4, 3, 5))
    assert torch.equal(seen.state, torch.ones(4, 5))
    assert torch.equal(seen.avail_actions, torch.ones(4, 3, 2, dtype=torch.bool))
    assert (env.spec.obs_dim, env.spec.state_dim) == (5, 5)


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_horizon_is_a_true_terminal(horizon: int) -> None:
    env, random = PayoffGame(team_payoffs=CUBE, obs_dim=1, horizon=horizon), torch.Generator()
    state, ends = env.reset(2, random), []
    for _ in range(horizon):
        state, timestep = env.step(state, torch.ones(2, 3, dtype=torch.long), random)
        assert timestep.rewards.sum(1).tolist() == [7, 7]
        assert not timestep.truncated.any()
        ends.append(timestep.terminated.tolist())
    assert ends == [[False, False]] * (horizon - 1) + [[True, True]]


@pytest.mark.parametrize(
    ("payoffs", "complaint"),
    [
        ({}, "no payoffs given.*exactly one of env.team_payoffs and env.local_payoffs"),
        ({"team_payoffs": CUBE, "local_payoffs": CUBE}, "team_payoffs and local_payoffs given.*exactly one"),
        ({"team_payoffs": [[1, 2], [3]]}, r"team_payoffs is not a table.*expected sequence of length 2.*same length"),
        ({"team_payoffs": [[1, "x"], [0, 0]]}, "team_payoffs is not a table.*number"),
        ({"team_payoffs": [[1, 2, 3], [4, 5, 6]]}, r"shape is \(2, 3\).*A × … × A.*same number"),
        ({"team_payoffs": []}, r"shape is \(0,\)"),
        ({"team_payoffs": [[1, float("nan")], [0, 0]]}, "not finite"),
        ({"local_payoffs": [[1, 2], [3, 4]]}, r"local_payoffs is not a table.*shape is \(2, 2\).*N × A"),
        ({"local_payoffs": [CUBE, CUBE]}, r"shape is \(2, 2, 2, 2\)"),
        ({"local_payoffs": [[[1, 2], [3, 4]], [[1, 2], [3]]]}, "local_payoffs is not a table.*expected sequence"),
    ],
)
def test_what_is_no_table_is_explained(payoffs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=f"(?s){complaint}"):
        PayoffGame(**payoffs, obs_dim=1, horizon=1)


@pytest.mark.parametrize("name", ["obs_dim", "horizon"])
def test_a_bad_size_is_named(name: str) -> None:
    sizes = {"obs_dim": 1, "horizon": 1} | {name: 0}
    with pytest.raises(UserError, match=f"(?s){name}=0 is not possible.*from 1 to .*env.{name}=1"):
        PayoffGame(team_payoffs=[1], obs_dim=sizes["obs_dim"], horizon=sizes["horizon"])
