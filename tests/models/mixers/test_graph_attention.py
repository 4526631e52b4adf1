"""GraphMIX's mixing against plain loops over agents, and what it promises of shares, slopes and the dead."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.config.build import build_part
from marlpipe.models.mixers.graph_attention import GraphAttentionMixing, attention
from marlpipe.models.monotonicity.jacobian import jacobian
from tests.support.composition import compose
from tests.support.plain_graph import NETWORKS, plain_mixing
from tests.support.synthetic import make_spec, scramble

SPEC = make_spec(n_agents=4)
HIDDEN = 7


def mixing(monotonicity: str = "abs") -> GraphAttentionMixing:
    torch.manual_seed(0)
    config = compose("algo=graphmix", f"monotonicity={monotonicity}")
    method = build_part(config, "monotonicity", spec=SPEC, partition=torch.ones(1, SPEC.n_agents))
    built: GraphAttentionMixing = build_part(config.loss, "mixing")(
        spec=SPEC, features=HIDDEN, monotonicity=method
    ).double()
    scramble(built, scale=0.1)
    return built


def inputs(rows: int = 6) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(rows, 2, *shape, generator=draw, dtype=torch.float64)

    alive = torch.rand(rows, 2, SPEC.n_agents, generator=draw) < 0.6
    alive[0], alive[1, 0], alive[1, 1] = True, False, torch.arange(SPEC.n_agents) == 2
    return {
        "utilities": normal(SPEC.n_agents),
        "features": normal(SPEC.n_agents, HIDDEN),
        "state": normal(SPEC.state_dim),
        "alive": alive,
    }


@pytest.mark.parametrize("monotonicity", ["abs", "hard", "softplus", "none"])
def test_values_and_shares_equal_plain_loops(monotonicity: str) -> None:
    network, given = mixing(monotonicity), inputs()
    constrain: Any = {"abs": torch.abs, "hard": torch.relu, "softplus": torch.nn.functional.softplus}.get(monotonicity)
    values, shares = network(**given)
    for b in range(6):
        for t in range(2):
            moment = [given[name][b, t] for name in ("utilities", "features", "state", "alive")]
            value, share = plain_mixing(network, *moment, constrain or (lambda w: w))
            torch.testing.assert_close(values[b, t, 0], value, atol=1e-9, rtol=1e-9)
            torch.testing.assert_close(shares[b, t], share, atol=1e-9, rtol=1e-9)


def test_sizes_are_those_of_the_public_code() -> None:
    """16-wide attention without biases; node features 1 → 16 → 32; two-layer hypernetworks of 64, single ones for b."""
    network = mixing()
    assert network.encoder[0].weight.shape == (16, HIDDEN)
    assert network.query.weight.shape == network.key.weight.shape == (16, 16)
    assert network.query.bias is None
    assert network.key.bias is None
    sizes = {"w1": (64, 16), "b1": (None, 16), "w2": (64, 16 * 32), "b2": (None, 32), "w_out": (64, 32)}
    sizes |= {"v": (32, 1), "w_share": (64, 32)}
    assert set(sizes) == set(NETWORKS)
    for name, (hidden, size) in sizes.items():
        made = getattr(network, name)
        assert (None if made.hidden is None else made.hidden.out_features) == hidden, name
        assert made.output.weight.shape[-1] == size, name


def test_attention_by_hand() -> None:
    """Scores of a single feature; the third agent is dead."""
    found = attention(
        torch.tensor([[1.0], [0.0], [5.0]]), torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([True, True, False])
    )
    e = 2.718281828459045
    expected = torch.tensor([[1 / (1 + e), e / (1 + e), 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(found, expected)
    wide = attention(torch.full((2, 4), 1.0), torch.tensor([[0.0] * 4, [1.0] * 4]), torch.tensor([True, True]))
    torch.testing.assert_close(wide[0], torch.tensor([1 / (1 + e**2), e**2 / (1 + e**2)]))  # 4 / √4


def test_shares_are_of_the_living_and_one_in_all() -> None:
    given = inputs()
    _, shares = mixing()(**given)
    some = given["alive"].any(-1)
    assert not shares[some][~given["alive"][some]].any()
    torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares[..., 0]))
    assert shares[given["alive"]].min() > 0
    assert shares[1, 1].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_the_dead_change_nothing_and_where_all_are_dead_only_the_state_counts() -> None:
    network, given = mixing(), inputs()
    values, shares = network(**given)
    other = given | {
        "utilities": torch.where(given["alive"], given["utilities"], 1e3),
        "features": torch.where(given["alive"].unsqueeze(-1), given["features"], 1e3),
    }
    again, shares_again = network(**other)
    torch.testing.assert_close(again, values)
    torch.testing.assert_close(shares_again, shares)
    assert torch.equal(values[1, 0], network.v(given["state"])[1, 0, 0])


@pytest.mark.parametrize("monotonicity", ["abs", "hard", "softplus"])
def test_q_tot_rises_in_the_utilities_of_the_living_only(monotonicity: str) -> None:
    network, given = mixing(monotonicity), inputs(rows=40)
    given["utilities"].requires_grad_()
    slopes = jacobian(network(**given).values, given["utilities"])[:, :, 0]
    assert (slopes[given["alive"]] >= 0).all()
    assert (slopes[given["alive"]] > 0).double().mean() > 0.9
    assert not slopes[~given["alive"]].any()


def test_free_weights_slope_downwards_somewhere() -> None:
    network, given = mixing("none"), inputs(rows=40)
    given["utilities"].requires_grad_()
    assert (jacobian(network(**given).values, given["utilities"]) < 0).any()


def test_agents_may_change_places() -> None:
    """Nothing in the network knows who an agent is."""
    network, given = mixing(), inputs()
    order = torch.tensor([2, 0, 3, 1])
    moved = {name: field if name == "state" else field[:, :, order] for name, field in given.items()}
    values, shares = network(**given)
    again, shares_again = network(**moved)
    torch.testing.assert_close(again, values)
    torch.testing.assert_close(shares_again, shares[:, :, order])
