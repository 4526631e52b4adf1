"""QPLEX's mixing by hand. The losses are held against plain loops over heads and agents in `tests/algos`."""

import torch

from marlpipe.models.mixers.duplex import Duplex
from tests.support.composition import build
from tests.support.synthetic import make_spec


def test_published_sizes() -> None:
    """Linear 64 for w and v; four heads of two layers, 64 wide (PyMARL2)."""
    mixer = build("algo=qplex", spec=make_spec()).mixer
    assert [mixer.w[i].weight.shape for i in (0, 2)] == [(64, 6), (3, 64)]
    assert [mixer.v[i].weight.shape for i in (0, 2)] == [(64, 6), (3, 64)]
    for network, inputs, outputs in [(mixer.key, 6, 1), (mixer.agent, 6, 3), (mixer.action, 6 + 3 * 4, 3)]:
        assert network.first.weight.shape == (4 * 64, inputs)
        assert [affine.weight.shape for affine in list(network.later)[1::2]] == [(4, 64, outputs)]


def test_both_forms_of_the_value_by_hand() -> None:
    """q̃ = (3, 1), m̃ = (5, 1), A = (−2, 0): 6 + 0.5 · (−2) = 4 + (0.5 − 1) (−2) = 5."""
    duplex = Duplex(torch.tensor([2.0, 1.0]), torch.tensor([1.0, -1.0]), torch.tensor([0.5, 3.0]))
    utilities, best = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0])
    assert duplex.advantage(utilities, best).tolist() == [-2, 0]
    assert float(duplex.dueling_value(utilities, best)) == 5
    assert float(duplex.trained_value(utilities, best)) == 5
    inputs = utilities.clone().requires_grad_()
    (true,) = torch.autograd.grad(duplex.dueling_value(inputs, best), inputs)
    (trained,) = torch.autograd.grad(duplex.trained_value(inputs, best), inputs)
    assert true.tolist() == [1, 3]  # w λ
    assert trained.tolist() == [2, 1]  # w
