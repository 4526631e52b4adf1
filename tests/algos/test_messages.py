"""PAC's messages: who hears what, what they cost, and the networks behind them."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from marlpipe.algos.pac_critic import (
    ActionPredictor,
    MessageEncoder,
    cross_entropy,
    delivered,
    kl_to_standard_normal,
    standard_normal_cost,
)
from tests.support.synthetic import make_spec

SPEC = make_spec(n_agents=3, n_actions=4, obs_dim=5)


def test_an_agent_hears_what_the_others_address_to_it() -> None:
    """Agent i sends the number 100 i + 10 j + k as the k-th to agent j."""
    sent = torch.tensor([[[100 * i + 10 * j + k for j in range(3) for k in range(2)] for i in range(3)]]).double()
    heard = [[100 * i + 10 * j + k for i in range(3) for k in range(2)] for j in range(3)]
    assert delivered(sent)[0].tolist() == heard
    assert delivered(sent.expand(4, 1, 3, 6))[2, 0].tolist() == heard


def test_hearing_depends_on_the_addressed_numbers_only() -> None:
    sent = torch.randn(1, 3, 6, dtype=torch.float64, requires_grad=True)
    for receiver in range(3):
        (slope,) = torch.autograd.grad(delivered(sent)[0, receiver].sum(), sent)
        expected = torch.zeros(3, 6).double()
        expected[:, 2 * receiver : 2 * receiver + 2] = 1
        assert torch.equal(slope[0], expected)


def test_costs_by_hand() -> None:
    means = torch.tensor([[[1.0, -2.0], [0.0, 3.0]]], dtype=torch.float64)
    assert float(kl_to_standard_normal(means)) == pytest.approx((1 + 4 + 9) / 2)
    assert float(standard_normal_cost(means)) == pytest.approx(7 + 2 * math.log(2 * math.pi))


def test_costs_are_those_of_normal_distributions() -> None:
    torch.manual_seed(0)
    means, messages = torch.randn(2, 5, 3, 6, dtype=torch.float64).unbind()
    prior = Normal(torch.zeros(()).double(), torch.ones(()).double())
    kl = kl_divergence(Normal(means, torch.ones_like(means)), prior).sum((-2, -1))
    torch.testing.assert_close(kl_to_standard_normal(means), kl)
    torch.testing.assert_close(standard_normal_cost(messages), -prior.log_prob(messages).sum((-2, -1)))


def test_cross_entropy_by_hand() -> None:
    """Two agents with odds 1 : 3 and 2 : 2; labels 1 and 0."""
    logits = torch.tensor([[[0.0, math.log(3)], [1.0, 1.0]]], dtype=torch.float64)
    assert float(cross_entropy(logits, torch.tensor([[1, 0]]))) == pytest.approx(math.log(4 / 3) + math.log(2))


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return F.linear(x, layer.weight, layer.bias)


@pytest.mark.parametrize(("last", "identity"), [(True, True), (False, True), (True, False)])
def test_networks_are_two_hidden_layers_on_one_hots(last: bool, identity: bool) -> None:
    torch.manual_seed(0)
    wide = replace(SPEC, obs_dim=14)
    encoder = MessageEncoder(spec=SPEC, size=3, hidden=64, obs_last_action=last, obs_agent_id=identity)
    predictor = ActionPredictor(spec=wide, width_per_agent=12, obs_last_action=last, obs_agent_id=identity)
    networks: list[tuple[MessageEncoder | ActionPredictor, int, int, int]] = [
        (encoder, 5, 64, 9),
        (predictor, 14, 36, 4),
    ]
    for network, seen, width, out in networks:
        obs, acted = torch.randn(2, 3, seen), torch.tensor([[0, 3, 4], [2, 2, 1]])  # 4: none yet
        parts = [obs]
        if last:
            parts.append(F.one_hot(acted, 5)[..., :4].float())
        if identity:
            parts.append(torch.eye(3).expand(2, 3, 3))
        x = torch.cat(parts, dim=-1)
        assert network.input.weight.shape == (1, x.shape[-1], width)
        hidden = F.relu(x @ network.input.weight[0] + network.input.bias[0])
        expected = linear(network.layers[2], F.relu(linear(network.layers[0], hidden)))
        assert expected.shape == (2, 3, out)
        torch.testing.assert_close(network(obs, acted), expected)
