"""Optimistic least squares: by hand, against OFUL written plainly, and against direct inverses after many rounds."""

from math import sqrt

import numpy as np
import pytest
import torch

from marlpipe.bandit import oful
from marlpipe.bandit.block_actions import best_of_each_block, block_actions_at, number_block_actions
from marlpipe.bandit.oful import Estimates, prior, sherman_morrison, update, upper_confidence
from marlpipe.envs.linear_bandit import on_sphere
from tests.bandit.plain_oful import PlainOful

F64 = torch.float64


def tensor(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def test_upper_confidence_by_hand() -> None:
    """V = diag(2, 4), Y = (1, 2), x = (0.6, 0.8): V⁻¹x = (0.3, 0.2), ŷ = 0.7, ‖x‖² = 0.18 + 0.16."""
    gram = torch.stack([torch.diag(tensor(2, 4)), torch.eye(2, dtype=F64)]).unsqueeze(0)
    response = tensor([[1, 2], [-1, 0]])
    estimates = Estimates(gram, torch.linalg.inv(gram), response, torch.zeros(1, 2, dtype=torch.long))
    scores = upper_confidence(estimates, tensor([0.6, 0.8]), tensor(1.5, 0.5), 2.0)
    torch.testing.assert_close(scores, tensor([0.7 + 3 * sqrt(0.34), -0.6 + 1.0]))
    torch.testing.assert_close(
        upper_confidence(estimates, tensor([0.6, 0.8]), tensor(1.5, 0.5), 0.0), tensor([0.7, -0.6])
    )


def test_the_prior() -> None:
    estimates = prior(2, 3, 2, ridge=4.0)
    assert (estimates.gram == 4 * torch.eye(2)).all()
    assert (estimates.inverse == torch.eye(2) / 4).all()
    assert estimates.gram.shape == estimates.inverse.shape == (2, 3, 2, 2)
    assert estimates.response.shape == (2, 3, 2)
    assert not estimates.response.any()
    assert {field.dtype for field in estimates[:3]} == {F64}


def test_an_update_by_hand() -> None:
    """Two seeds, two blocks with the arms {0, 1} and {2}: only what was played changes, each by its own reward."""
    before = prior(2, 3, 2, ridge=1.0)
    contexts, rewards = tensor([1, 0], [0, 2]), tensor([0.5, -1], [3, 0.25])
    after = update(before, torch.tensor([[1, 2], [0, 2]]), contexts, rewards)
    assert after.plays.tolist() == [[0, 1, 1], [1, 0, 1]]
    assert after.response.tolist() == [[[0, 0], [0.5, 0], [-1, 0]], [[0, 6], [0, 0], [0, 0.5]]]
    first, second, untouched = torch.diag(tensor(2, 1)), torch.diag(tensor(1, 5)), torch.eye(2, dtype=F64)
    expected = torch.stack([torch.stack([untouched, first, first]), torch.stack([second, untouched, second])])
    assert torch.equal(after.gram, expected)
    torch.testing.assert_close(after.inverse, torch.linalg.inv(expected))
    assert not before.plays.any()  # nothing is written into


def test_one_block_is_oful_to_the_bit() -> None:
    """V, Y and the actions of all rounds are those of an implementation that shares nothing with ours."""
    n_agents, n_actions, dim, rounds = 3, 3, 4, 400
    random = torch.Generator().manual_seed(3)
    contexts = on_sphere((rounds, dim), 1.0, random).double()
    arms = number_block_actions(torch.ones(1, n_agents), n_actions)
    theta = torch.randn(27, dim, generator=random, dtype=F64) / 6
    paid = contexts @ theta.T + 0.1 * torch.randn(rounds, 27, generator=random, dtype=F64)
    plain = PlainOful(n_agents, n_actions, dim, noise=0.2, parameter_radius=1 / 3)
    estimates = prior(1, 27, dim, ridge=1.0)
    played = set()
    for t, x in enumerate(contexts):
        radius = 1.0 + 0.2 * np.sqrt(dim * np.log(27 * (2 + t) / 0.05))
        scores = upper_confidence(estimates, x.unsqueeze(0), torch.full((27,), radius, dtype=F64), 1.0)
        number = best_of_each_block(scores, arms)
        expected = plain.choice(t + 1, x.numpy(), delta=0.05)
        assert number.item() == expected, f"round {t}"
        plain.learn(expected, x.numpy(), paid[t, expected].item())
        estimates = update(estimates, block_actions_at(number, arms), x.unsqueeze(0), paid[t, number])
        played.add(expected)
    assert len(played) == 27
    assert np.array_equal(estimates.gram[0].numpy(), np.stack(plain.gram))
    assert np.array_equal(estimates.response[0].numpy(), np.stack(plain.response))
    np.testing.assert_allclose(estimates.inverse[0].numpy(), np.linalg.inv(np.stack(plain.gram)), rtol=0, atol=1e-14)


def test_sherman_morrison_by_hand() -> None:
    """(I + xxᵀ)⁻¹ = I − xxᵀ/3 for x = (1, 1)."""
    inverse = sherman_morrison(torch.eye(2, dtype=F64), tensor(1, 1))
    torch.testing.assert_close(inverse, tensor([2 / 3, -1 / 3], [-1 / 3, 2 / 3]))


@pytest.mark.slow
def test_the_inverse_after_ten_thousand_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Sherman-Morrison alone, without any refresh, at contexts of very different lengths in their dimensions."""
    monkeypatch.setattr(oful, "REFRESH_EVERY", 10**6)
    random = torch.Generator().manual_seed(0)
    contexts = on_sphere((10_000, 2, 5), 1.0, random).double() * tensor(1, 1, 1, 1e-2, 1e-3)
    estimates, arms = prior(2, 1, 5, ridge=1.0), torch.zeros(2, 1, dtype=torch.long)
    for x in contexts:
        estimates = update(estimates, arms, x, torch.ones(2, 1, dtype=F64))
    direct = torch.linalg.inv(torch.eye(5, dtype=F64) + torch.einsum("tbd,tbe->bde", contexts, contexts))
    assert estimates.plays.tolist() == [[10_000], [10_000]]
    assert (estimates.inverse.squeeze(1) - direct).abs().max() < 1e-8


def test_the_refresh_forgets_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the arm whose time has come, and of no other."""
    monkeypatch.setattr(oful, "REFRESH_EVERY", 4)
    spoilt = prior(1, 2, 3, ridge=1.0)
    spoilt = spoilt._replace(inverse=spoilt.inverse * 1.01, plays=torch.tensor([[2, 1]]))
    wrong = []
    for x in on_sphere((2, 1, 3), 1.0, torch.Generator().manual_seed(0)).double():
        spoilt = update(spoilt, torch.tensor([[0, 1]]), x, torch.zeros(1, 2, dtype=F64))
        wrong.append((spoilt.inverse - torch.linalg.inv(spoilt.gram)).abs().amax((2, 3))[0].tolist())
    (before, other_before), (after, other_after) = wrong
    assert min(before, other_before, other_after) > 1e-3
    assert after < 1e-12
