"""DOP's linear mixer: weights that are shares, and an exact expectation over joint actions."""

import itertools

import pytest
import torch
from torch import Tensor

from marlpipe.models.mixers.linear import LinearMixer
from tests.support.synthetic import make_spec, scramble

SPEC = make_spec()
EMBED = 5


def make(*, bias: bool = False) -> LinearMixer:
    torch.manual_seed(0)
    mixer = LinearMixer(spec=SPEC, embed=EMBED, bias=bias).double()
    scramble(mixer)
    return mixer


def states(n: int = 4) -> Tensor:
    return torch.randn(2, n, SPEC.state_dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def affine(layer: torch.nn.Linear, x: list[float]) -> list[float]:
    return [
        sum(w * value for w, value in zip(row, x, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def plain_credits(mixer: LinearMixer, state: list[float]) -> list[float]:
    """k_i number by number."""
    w1, w2 = affine(mixer.w1, state), affine(mixer.w2, state)
    raw = [sum(abs(w1[i * EMBED + m]) * abs(w2[m]) for m in range(EMBED)) for i in range(SPEC.n_agents)]
    return [k / sum(raw) for k in raw]


def test_credits_equal_plain_loops() -> None:
    mixer, state = make(), states()
    found = mixer.credits(state)
    for row, of_row in zip(state.flatten(0, 1), found.flatten(0, 1), strict=True):
        assert of_row.tolist() == pytest.approx(plain_credits(mixer, row.tolist()), abs=1e-12)


def test_credits_are_shares() -> None:
    """Golden: k ≥ 0 and Σ k_i = 1, in any state."""
    credits = make().credits(states(50) * 100)
    assert (credits >= 0).all()
    torch.testing.assert_close(credits.sum(-1), torch.ones(2, 50, dtype=torch.float64))
    assert credits.std() > 0.05, "and they depend on agent and state"


@pytest.mark.parametrize("bias", [False, True])
def test_values_equal_plain_loops(bias: bool) -> None:
    mixer, state = make(bias=bias), states()
    utilities = torch.randn(2, 4, SPEC.n_agents, dtype=torch.float64)
    found = mixer(utilities, state).detach()
    assert found.shape == (2, 4, 1)
    for row, u, q_tot in zip(
        state.flatten(0, 1).tolist(), utilities.flatten(0, 1).tolist(), found.flatten(), strict=True
    ):
        wanted = sum(k * q for k, q in zip(plain_credits(mixer, row), u, strict=True))
        if bias:
            assert mixer.b1 is not None
            assert mixer.v is not None
            hidden = [max(0.0, h) for h in affine(mixer.v[0], row)]
            wanted += sum(b * abs(w) for b, w in zip(affine(mixer.b1, row), affine(mixer.w2, row), strict=True))
            wanted += affine(mixer.v[2], hidden)[0]
        assert float(q_tot) == pytest.approx(wanted, abs=1e-10)


def test_the_bias_is_a_switch() -> None:
    """Without it, as in the public code, there is nothing to learn it with."""
    assert len(list(make().parameters())) == 4
    assert len(list(make(bias=True).parameters())) == 4 + 2 + 4
    assert not make().offset(states()).any()


@pytest.mark.parametrize("bias", [False, True])
def test_slopes_are_the_derivatives(bias: bool) -> None:
    mixer, state = make(bias=bias), states()
    utilities = torch.randn(2, 4, SPEC.n_agents, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixer(utilities, state).sum(), utilities)
    slopes = mixer.slopes(utilities, state)
    torch.testing.assert_close(slopes.squeeze(-2), gradient)
    assert slopes.shape == (2, 4, 1, SPEC.n_agents)
    assert not slopes.requires_grad
    assert mixer.reads.all()


@pytest.mark.parametrize("bias", [False, True])
def test_the_value_of_expected_utilities_is_the_expected_value(bias: bool) -> None:
    """Golden: E_π[Q_tot] over all joint actions, by brute force, is Q_tot of Σ_a π_i Q_i."""
    mixer, state = make(bias=bias), states(1)[:1]
    draw = torch.Generator().manual_seed(2)
    q = torch.randn(SPEC.n_agents, SPEC.n_actions, generator=draw, dtype=torch.float64)
    policy = torch.rand(SPEC.n_agents, SPEC.n_actions, generator=draw, dtype=torch.float64)
    policy = policy / policy.sum(-1, keepdim=True)
    expected = 0.0
    for joint in itertools.product(range(SPEC.n_actions), repeat=SPEC.n_agents):
        probability = 1.0
        for agent, action in enumerate(joint):
            probability *= float(policy[agent, action])
        taken = torch.stack([q[agent, action] for agent, action in enumerate(joint)]).view(1, 1, -1)
        expected += probability * float(mixer(taken, state).detach())
    assert float(mixer((policy * q).sum(-1).view(1, 1, -1), state).detach()) == pytest.approx(expected, abs=1e-12)
