"""The metrics of an evaluation: returns, lengths, and diagnostics of the learned values."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.config.build import build_algorithm, build_env
from marlpipe.models.utilities import greedy_actions
from marlpipe.training.diagnostics import (
    diagnostic_metrics,
    episode_metrics,
    gradient_shares,
    igm_consistency,
    joint_actions,
    value_table,
)
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch, JointValueView
from tests.support.composition import build, compose, loss_of
from tests.support.synthetic import make_spec, ragged_batch, scramble

ALL = torch.ones(2, 3, 2, 3, dtype=torch.bool)


def test_all_joint_actions_are_tried_where_they_are_few() -> None:
    tried = torch.stack([*joint_actions(torch.zeros(2, 3, 2, dtype=torch.long), ALL)])
    assert {tuple(actions.tolist()) for actions in tried[:, 1, 2]} == set(product(range(3), range(3)))


def test_an_unavailable_action_is_never_tried() -> None:
    avail = ALL.clone()
    avail[0, 1, 1] = torch.tensor([True, False, True])
    greedy = torch.zeros(2, 3, 2, dtype=torch.long)
    tried = torch.stack([*joint_actions(greedy, avail)])
    assert set(tried[:, 0, 1, 1].tolist()) == {0, 2}
    assert set(tried[:, 0, 0, 1].tolist()) == {0, 1, 2}


def test_a_sample_changes_one_agent_or_all() -> None:
    n_agents, n_actions = 6, 5
    avail = torch.rand(4, 2, n_agents, n_actions, generator=torch.Generator().manual_seed(0)) < 0.7
    avail[..., 0] |= ~avail.any(-1)
    greedy = greedy_actions(torch.rand(avail.shape), avail)
    tried = torch.stack([*joint_actions(greedy, avail)])
    assert tried.shape == (64, 4, 2, n_agents)
    assert avail.expand(64, *avail.shape).gather(-1, tried.unsqueeze(-1)).all()
    changed = (tried != greedy).sum(-1)
    of_one, of_all = changed[::2], changed[1::2]
    assert (of_one <= 1).all()
    assert (of_one == 1).float().mean() > 0.4
    assert of_all.float().mean() > 2
    assert len({tuple(actions.tolist()) for actions in tried[1::2, 0, 0]}) > 20
    assert torch.equal(torch.stack([*joint_actions(greedy, avail)]), tried)


def test_padding_without_any_available_action_breaks_nothing() -> None:
    avail = torch.zeros(1, 2, 6, 5, dtype=torch.bool)
    greedy = torch.zeros(1, 2, 6, dtype=torch.long)
    assert all((tried == 0).all() for tried in joint_actions(greedy, avail))


def table_value(table: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda actions: table[actions.unbind(-1)]


def test_igm_counts_the_moments_at_which_no_joint_action_is_better() -> None:
    """Greedy (1, 1) is the best of the first table and 1 below the best of the second; the third moment is padding."""
    good = torch.tensor([[0.0, 1.0], [1.0, 3.0]])
    bad = torch.tensor([[4.0, 1.0], [1.0, 3.0]])
    tables = torch.stack([good, bad, bad])

    def value(actions: Tensor) -> Tensor:
        return tables[torch.arange(3), actions[..., 0], actions[..., 1]]

    greedy = torch.ones(1, 3, 2, dtype=torch.long)
    tried = [*joint_actions(greedy, torch.ones(1, 3, 2, 2, dtype=torch.bool))]
    valid = torch.tensor([[True, True, False]])
    assert igm_consistency(value, greedy, tried, valid).item() == 0.5
    assert igm_consistency(table_value(good), greedy, tried, valid).item() == 1
    assert igm_consistency(table_value(bad), greedy, tried, valid).item() == 0


def test_rounding_is_no_inconsistency() -> None:
    table = torch.tensor([[1000.0001, 0.0], [0.0, 1000.0]])
    greedy = torch.ones(1, 1, 2, dtype=torch.long)
    tried = joint_actions(greedy, torch.ones(1, 1, 2, 2, dtype=torch.bool))
    assert igm_consistency(table_value(table), greedy, tried, torch.ones(1, 1, dtype=torch.bool)).item() == 1


def test_the_table_of_values_has_each_joint_action_at_its_place() -> None:
    table = torch.arange(27.0).view(3, 3, 3)
    valid = torch.ones(2, 1, dtype=torch.bool)
    torch.testing.assert_close(value_table(table_value(table), valid, 3, 3), table)


def learned(algo: str, *overrides: str, n_agents: int = 3) -> tuple[Any, EpisodeBatch, JointValueView]:
    spec = make_spec(n_agents=n_agents)
    algorithm = build(f"algo={algo}", *overrides, spec=spec)
    scramble(algorithm)
    batch = ragged_batch(spec, lengths=[4, 7, 1], terminal=[True, False, True], dtype=torch.float64)
    return algorithm, batch, algorithm.joint_value_view(batch)


@pytest.mark.parametrize("algo", ["vdn", "qmix", "lomaq", "iql", "ow_qmix", "qpro"])
def test_monotone_values_are_consistent_with_their_utilities(algo: str) -> None:
    _, batch, found = learned(algo)
    metrics = diagnostic_metrics(found, batch, None)
    assert metrics["igm_consistency"] == 1
    assert metrics["monotonicity_violation_rate"] == 0


def test_free_mixing_weights_are_not() -> None:
    _, batch, found = learned("qmix", "monotonicity=none")
    metrics = diagnostic_metrics(found, batch, None)
    assert metrics["igm_consistency"] < 1
    assert metrics["monotonicity_violation_rate"] > 0


def test_an_unrestricted_value_has_a_consistency_of_its_own() -> None:
    _, batch, found = learned("qpro")
    assert diagnostic_metrics(found, batch, None)["igm_consistency_q_star"] < 1


@pytest.mark.parametrize("algo", ["qmix", "lomaq", "qpro"])
def test_the_joint_value_of_what_was_done_is_what_the_loss_fits(algo: str) -> None:
    algorithm, batch, found = learned(algo)
    _, metrics = loss_of(algorithm, batch)
    mean = (found.joint_value(batch.actions) * batch.valid).sum() / batch.valid.sum()
    torch.testing.assert_close(mean, metrics["q_tot"])


@pytest.mark.parametrize("algo", ["lomaq", "qpro"])
def test_gradient_shares_are_those_of_autograd(algo: str) -> None:
    """‖∂L_J/∂U‖ of each block's loss, by differentiating it."""
    own = ["partition=pairs", "mixer=lomaq", "monotonicity=hard"]
    algorithm, batch, found = learned(algo, *own, n_agents=4)
    fit = algorithm.predict(batch, algorithm.reward(batch))
    losses = (fit.weights * fit.td_error**2 * batch.valid.unsqueeze(-1)).sum((0, 1))
    norms = torch.stack(
        [torch.autograd.grad(loss, fit.utilities, retain_graph=True)[0].norm() for loss in losses.unbind()]
    )
    shares = gradient_shares(found)
    assert shares.shape == (2,)
    torch.testing.assert_close(shares, norms / norms.sum())
    assert diagnostic_metrics(found, batch, None)["gradient_share_largest"] == shares.max()


def test_values_are_held_against_the_payoffs_of_a_game() -> None:
    config = compose("+experiment=games/classic", "algo=qpro")
    torch.manual_seed(0)
    env = build_env(config)
    algorithm = build_algorithm(config, env)
    batch = rollout(env, algorithm.agent, 2, 0.0, torch.Generator().manual_seed(0))
    found = algorithm.joint_value_view(batch)
    truth: Tensor = env.team_table  # type: ignore[attr-defined]
    metrics = diagnostic_metrics(found, batch, truth)
    joint = torch.tensor([[[[a, b]]] * 2 for a, b in product(range(3), range(3))])
    table = torch.stack([found.joint_value(actions)[0, 0] for actions in joint]).view(3, 3).detach()
    torch.testing.assert_close(metrics["learned_table"], table)
    torch.testing.assert_close(metrics["payoff_error"], (table - truth).square().mean().sqrt())
    row, column = batch.actions[0, 0].tolist()
    assert metrics["optimum_found"] == float(truth[row, column] == 8)
    assert metrics["payoff_error_q_star"] != metrics["payoff_error"]
    torch.testing.assert_close(metrics["true_table"], truth)
    taken = torch.zeros(3, 3)
    taken[row, column] = 1
    right, wrong = diagnostic_metrics(found, batch, taken), diagnostic_metrics(found, batch, 1 - taken)
    assert (right["optimum_found"], wrong["optimum_found"]) == (1, 0)


def test_metrics_of_episodes_by_hand() -> None:
    batch = ragged_batch(make_spec(n_agents=2, horizon=3), lengths=[3, 1], terminal=[True, False])
    rewards = torch.tensor([[[1.0, 2.0], [0.0, -1.0], [4.0, 0.0]], [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]])
    metrics = episode_metrics(batch._replace(rewards=rewards))  # returns 6 and 2, lengths 3 and 1
    assert {name: float(value) for name, value in metrics.items()} == {
        "return_mean": 4.0,
        "return_std": 2.0,
        "return_min": 2.0,
        "return_max": 6.0,
        "length_mean": 2.0,
    }
