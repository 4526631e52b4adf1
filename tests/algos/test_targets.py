"""The equations between utilities and a temporal-difference loss."""

import random

import pytest
import torch

from marlpipe.algos.targets import lambda_targets, one_step_targets
from marlpipe.models.utilities import greedy_actions, masked_mean, taken_utilities

DISCOUNT = 0.99
NEXT_VALUES = torch.tensor([0.5, 1.0, -1.0, 3.0]).view(1, 4, 1)


def flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool).unsqueeze(0)


@pytest.mark.parametrize(
    ("rewards", "terminated", "valid", "expected"),
    [
        ([1.0, 0.0, 2.0], flags(0, 0, 0), flags(1, 1, 1), [2.91437092, 2.55618, 4.97]),
        ([1.0, 5.0, 9.0], flags(0, 1, 0), flags(1, 1, 0), [4.366, 5.0, 0.0]),
    ],
    ids=["truncated", "terminated"],
)
def test_golden_lambda_targets(
    rewards: list[float], terminated: torch.Tensor, valid: torch.Tensor, expected: list[float]
) -> None:
    found = lambda_targets(
        torch.tensor(rewards).view(1, 3, 1), NEXT_VALUES, terminated, valid, discount=DISCOUNT, trace_decay=0.6
    )
    torch.testing.assert_close(found.flatten(), torch.tensor(expected), atol=1e-6, rtol=1e-6)


def test_one_step_targets_by_hand() -> None:
    found = one_step_targets(
        torch.tensor([1.0, 5.0, 9.0]).view(1, 3, 1), NEXT_VALUES, flags(0, 1, 0), flags(1, 1, 0), discount=DISCOUNT
    )
    torch.testing.assert_close(found.flatten(), torch.tensor([1.99, 5.0, 0.0]))


def test_a_truncated_episode_bootstraps_from_its_own_end() -> None:
    """Also where it is shorter than the batch, which PyMARL's mask gets wrong."""
    rewards, next_values = torch.tensor([1.0, 0.0, 7e3, 7e3]), torch.tensor([0.5, 1.0, -1.0, 7e3, 7e3])
    found = lambda_targets(
        rewards.view(1, 4, 1),
        next_values.view(1, 5, 1),
        flags(0, 0, 1, 0),
        flags(1, 1, 0, 0),
        discount=0.5,
        trace_decay=0.6,
    )
    # G_1 = 0 + 0.5·(−1);  G_0 = 1 + 0.5·(0.4·1 + 0.6·G_1)
    torch.testing.assert_close(found.flatten(), torch.tensor([1.05, -0.5, 0.0, 0.0]))


def n_step_average(rewards: list[float], values: list[float], terminal: bool, decay: float, t: int) -> float:
    """The forward view: (1−λ) Σ_n λ^{n−1} G^{(n)} and what is left on the longest return."""
    length = len(rewards)
    total = 0.0
    for n in range(1, length - t + 1):
        g = sum(DISCOUNT**k * rewards[t + k] for k in range(n))
        if not (terminal and t + n == length):
            g += DISCOUNT**n * values[t + n]
        total += (decay ** (n - 1)) * (1.0 if t + n == length else 1 - decay) * g
    return total


@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
def test_lambda_targets_equal_the_forward_view(decay: float) -> None:
    draw = random.Random(0)
    for length, terminal in [(1, True), (1, False), (4, True), (4, False), (6, True), (6, False)]:
        rewards = [draw.uniform(-3, 3) for _ in range(6)]
        values = [draw.uniform(-3, 3) for _ in range(7)]
        valid = torch.arange(6).unsqueeze(0) < length
        terminated = (torch.arange(6).unsqueeze(0) == length - 1) & torch.tensor(terminal)
        arguments = (torch.tensor(rewards).view(1, 6, 1), torch.tensor(values).view(1, 7, 1), terminated, valid)
        found = lambda_targets(*arguments, discount=DISCOUNT, trace_decay=decay)
        expected = [n_step_average(rewards[:length], values, terminal, decay, t) for t in range(length)]
        torch.testing.assert_close(found.flatten(), torch.tensor(expected + [0.0] * (6 - length)), atol=1e-5, rtol=1e-5)
        if decay == 0:
            torch.testing.assert_close(found, one_step_targets(*arguments, discount=DISCOUNT))


def test_blocks_have_targets_of_their_own() -> None:
    rewards, values = torch.randn(2, 3, 2), torch.randn(2, 4, 2)
    terminated, valid = torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
    both = lambda_targets(rewards, values, terminated, valid, discount=0.9, trace_decay=0.5)
    for block in range(2):
        alone = lambda_targets(
            rewards[..., block : block + 1],
            values[..., block : block + 1],
            terminated,
            valid,
            discount=0.9,
            trace_decay=0.5,
        )
        torch.testing.assert_close(both[..., block : block + 1], alone)


def test_the_masked_mean_is_over_the_steps_that_exist() -> None:
    x = torch.tensor([[1.0, 2.0, 1e6], [6.0, 1e6, 1e6]])
    valid = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(x, valid).item() == 3.0
    assert masked_mean(x, torch.zeros_like(valid)).item() == 0.0


def test_greedy_actions_are_available() -> None:
    utilities = torch.tensor([[[5.0, 1.0, 2.0], [-9.0, -8.0, -7.0]]])
    avail = torch.tensor([[[False, True, True], [True, False, False]]])
    assert greedy_actions(utilities, avail).tolist() == [[2, 0]]
    assert greedy_actions(utilities, torch.ones_like(avail)).tolist() == [[0, 2]]


def test_chosen_takes_each_agents_own_action() -> None:
    utilities = torch.arange(12.0).view(1, 2, 2, 3)
    assert taken_utilities(utilities, torch.tensor([[[0, 2], [1, 0]]])).tolist() == [[[0.0, 5.0], [7.0, 9.0]]]
