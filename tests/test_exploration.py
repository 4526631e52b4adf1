"""ε-greedy exploration, annealed in env steps."""

import pytest
import torch

from marlpipe.exploration import LinearEpsilon, epsilon_greedy

ANNEALED = LinearEpsilon(start=1.0, end=0.05, anneal_env_steps=100)


@pytest.mark.parametrize(
    ("env_steps", "epsilon"), [(0, 1.0), (1, 0.9905), (50, 0.525), (99, 0.0595), (100, 0.05), (10**9, 0.05)]
)
def test_a_straight_line_that_ends(env_steps: int, epsilon: float) -> None:
    assert ANNEALED(env_steps) == pytest.approx(epsilon)


def test_no_annealing_means_the_end_at_once() -> None:
    assert LinearEpsilon(start=1.0, end=0.2, anneal_env_steps=0)(0) == pytest.approx(0.2)


UTILITIES = torch.tensor([[[9.0, 1.0, 2.0, 3.0], [0.0, -1.0, -2.0, -3.0]]])
AVAILABLE = torch.tensor([[[False, True, True, True], [True, True, False, True]]])
GREEDY = torch.tensor([[3, 0]])


def drawn(epsilon: float, copies: int = 20_000, seed: int = 0) -> torch.Tensor:
    shape = (copies, -1, -1)
    generator = torch.Generator().manual_seed(seed)
    return epsilon_greedy(UTILITIES.expand(*shape), AVAILABLE.expand(*shape), epsilon, generator)


def frequencies(actions: torch.Tensor, agent: int) -> list[float]:
    return [float((actions[:, agent] == action).float().mean()) for action in range(4)]


def test_without_exploration_all_are_greedy_and_no_number_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert torch.equal(epsilon_greedy(UTILITIES, AVAILABLE, 0.0, generator), GREEDY)
    assert torch.equal(generator.get_state(), before)


def test_full_exploration_is_uniform_over_what_is_available() -> None:
    actions = drawn(1.0)
    assert frequencies(actions, 0) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.02)
    assert frequencies(actions, 1) == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.02)


def test_in_between_the_greedy_action_has_the_rest() -> None:
    """ε = 0.3 with three choices: 0.1 each, and 0.7 more for the greedy one."""
    actions = drawn(0.3)
    assert frequencies(actions, 0) == pytest.approx([0, 0.1, 0.1, 0.8], abs=0.02)
    assert frequencies(actions, 1) == pytest.approx([0.8, 0.1, 0, 0.1], abs=0.02)


def test_agents_explore_independently_of_each_other() -> None:
    both_greedy = (drawn(0.5) == GREEDY).all(1).float().mean()
    assert float(both_greedy) == pytest.approx((2 / 3) ** 2, abs=0.02)


def test_draws_are_those_of_the_generator() -> None:
    assert torch.equal(drawn(0.5, 50, seed=1), drawn(0.5, 50, seed=1))
    assert not torch.equal(drawn(0.5, 50, seed=1), drawn(0.5, 50, seed=2))
