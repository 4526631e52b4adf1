"""Maximum-entropy policies and PAC's temperature, by hand."""

import math
from functools import partial
from typing import Any

import pytest
import torch

from marlpipe.algos.pac_policy import Temperature, entropies, log_policy, soft_costs
from tests.support.composition import build
from tests.support.synthetic import make_spec

SPEC = make_spec(n_agents=2, n_actions=4)
LOGITS = torch.tensor([[[0.0, math.log(3), 9.0], [1.0, 1.0, 1.0]]], dtype=torch.float64)
AVAIL = torch.tensor([[[True, True, False], [True, True, True]]])
ENTROPY = [0.25 * math.log(4) + 0.75 * math.log(4 / 3), math.log(3)]


def temperature(**changes: Any) -> Temperature:
    given: dict[str, Any] = {
        "spec": SPEC,
        "initial_log": -0.07,
        "target_entropy_per_action": -1.0,
        "optimizer": partial(torch.optim.Adam, lr=1e-4),
        "highest": 0.999,
        "highest_until_env_steps": 2_000_000,
        "lowest": 0.19,
        "lowest_from_env_steps": 3_000_000,
    }
    return Temperature(**given | changes)


def test_policies_are_over_available_actions() -> None:
    pi, log_pi = log_policy(LOGITS, AVAIL)
    torch.testing.assert_close(pi[0], torch.tensor([[0.25, 0.75, 0.0], [1 / 3, 1 / 3, 1 / 3]]).double())
    expected = [[-math.log(4), math.log(3 / 4), 0.0], [-math.log(3)] * 3]
    torch.testing.assert_close(log_pi[0], torch.tensor(expected).double())


def test_no_available_action_is_no_nan() -> None:
    logits = LOGITS.clone().requires_grad_()
    pi, log_pi = log_policy(logits, torch.zeros_like(AVAIL))
    (slope,) = torch.autograd.grad((pi + log_pi + pi * log_pi).sum(), logits)
    assert pi.eq(0).all()
    assert log_pi.eq(0).all()
    assert slope.eq(0).all()


def test_entropies_and_costs_by_hand() -> None:
    pi, log_pi = log_policy(LOGITS, AVAIL)
    torch.testing.assert_close(entropies(pi, log_pi)[0], torch.tensor(ENTROPY).double())
    utilities = torch.tensor([[[4.0, 8.0, 100.0], [3.0, 6.0, 0.0]]], dtype=torch.float64)
    costs = soft_costs(pi, log_pi, utilities, torch.tensor(0.5).double())
    expected = [-0.5 * ENTROPY[0] - (1 + 6), -0.5 * ENTROPY[1] - 3]
    torch.testing.assert_close(costs[0], torch.tensor(expected).double())


def test_the_best_policy_is_the_boltzmann_policy() -> None:
    """Σ π (α log π − Q) is least, −α log Σ exp(Q/α), for π = softmax(Q/α)."""
    torch.manual_seed(0)
    utilities, alpha = torch.randn(6, 2, 5, dtype=torch.float64), torch.tensor(0.7).double()
    avail = torch.ones(6, 2, 5, dtype=torch.bool)
    logits = (utilities / alpha).requires_grad_()
    costs = soft_costs(*log_policy(logits, avail), utilities, alpha)
    torch.testing.assert_close(costs.detach(), -alpha * (utilities / alpha).logsumexp(-1))
    (slope,) = torch.autograd.grad(costs.sum(), logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    worse = soft_costs(*log_policy(logits.detach() + torch.randn(6, 2, 5).double(), avail), utilities, alpha)
    assert (worse > costs).all()


def test_the_temperatures_loss_by_hand() -> None:
    """log α times the mean over trusted steps of Σ_i (H_i + A), with A = 4."""
    found = temperature(initial_log=0.5)
    given = torch.tensor([[[1.0, 0.5], [0.0, 0.2], [7.0, 7.0]]])
    loss = found.loss(given, torch.tensor([[True, True, False]]))
    excess = ((1.0 + 0.5 + 8) + (0.0 + 0.2 + 8)) / 2
    assert float(loss.detach()) == pytest.approx(0.5 * excess)
    loss.backward()
    assert float(found.log_value.grad or 0) == pytest.approx(excess)


@pytest.mark.parametrize(("target", "falls"), [(-1.0, True), (0.1, True), (0.3, False)])
def test_entropy_above_its_target_lowers_the_temperature(target: float, falls: bool) -> None:
    """Targets −4, 0.4 and 1.2 of four actions against an entropy of 0.8."""
    found = temperature(target_entropy_per_action=target)
    [parameter], make, _ = found.trained()
    assert make is not None
    optimizer = make([parameter])
    found.loss(torch.full((1, 1, 2), 0.8), torch.tensor([[True]])).backward()
    optimizer.step()
    moved = float(found.log_value.detach()) - torch.tensor(-0.07).item()
    assert moved == pytest.approx(-1e-4 if falls else 1e-4, rel=1e-2)


@pytest.mark.parametrize(
    ("log_value", "env_steps", "alpha"),
    [
        (-0.07, 0, math.exp(-0.07)),
        (0.5, 1_999_999, 0.999),
        (0.5, 2_000_000, math.exp(0.5)),
        (-3.0, 1_000_000, math.exp(-3)),
        (-3.0, 3_000_000, math.exp(-3)),
        (-3.0, 3_000_001, 0.19),
        (0.5, 3_000_001, math.exp(0.5)),
    ],
)
def test_the_temperatures_bounds(log_value: float, env_steps: int, alpha: float) -> None:
    found = temperature(initial_log=log_value)(env_steps)
    assert float(found) == pytest.approx(alpha, rel=1e-6)
    assert not found.requires_grad


def test_defaults_of_the_public_code() -> None:
    config = build("algo=pac", spec=SPEC).temperature.requires_grad_(False)
    assert float(config.log_value) == pytest.approx(-0.07)
    assert config.target_entropy == -4.0
    assert (config.highest, config.highest_until_env_steps) == (0.999, 2_000_000)
    assert (config.lowest, config.lowest_from_env_steps) == (0.19, 3_000_000)
    optimizer = config.trained().optimizer(config.trained().parameters)
    assert optimizer.defaults["lr"] == 1e-4
