"""How agents act in training: ε annealed in env steps, ε-greedy and softmax policies."""

import pytest
import torch

from marlpipe.models.exploration import LinearEpsilon, epsilon_greedy, epsilon_softmax, softmax_policy

ANNEALED = LinearEpsilon(start=1.0, end=0.05, anneal_env_steps=100, action_sampler=epsilon_greedy)


@pytest.mark.parametrize(
    ("env_steps", "epsilon"), [(0, 1.0), (1, 0.9905), (50, 0.525), (99, 0.0595), (100, 0.05), (10**9, 0.05)]
)
def test_a_straight_line_that_ends(env_steps: int, epsilon: float) -> None:
    assert ANNEALED(env_steps) == pytest.approx(epsilon)


def test_no_annealing_means_the_end_at_once() -> None:
    assert LinearEpsilon(start=1.0, end=0.2, anneal_env_steps=0, action_sampler=epsilon_greedy)(0) == pytest.approx(0.2)


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


LOGITS = torch.tensor([[[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]]).log()  # softmax: ⅛, ¼, ⅝ and ¼, ¼, ½
SOME = torch.tensor([[[True, False, True], [True, True, True]]])


def test_a_softmax_policy_by_hand() -> None:
    """ε = 0.2: ⅘ softmax + ¹⁄₁₅ is ⅙, ⁴⁄₁₅, ¹⁷⁄₃₀; without the second action the others are divided by ²²⁄₃₀."""
    found = softmax_policy(LOGITS, SOME, 0.2)
    wanted = torch.tensor([[[5 / 22, 0.0, 17 / 22], [4 / 15, 4 / 15, 7 / 15]]])
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(softmax_policy(LOGITS, SOME, 0.0)[0, 0], torch.tensor([1 / 6, 0.0, 5 / 6]))


def test_full_exploration_of_a_softmax_policy_is_uniform_over_what_is_available() -> None:
    wanted = torch.tensor([[[1 / 2, 0.0, 1 / 2], [1 / 3, 1 / 3, 1 / 3]]])
    torch.testing.assert_close(softmax_policy(LOGITS, SOME, 1.0), wanted)


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_where_nothing_is_available_a_policy_is_still_one(epsilon: float) -> None:
    """Padding has utilities of zero."""
    padding = torch.zeros(2, 4, 3, 5, requires_grad=True)
    found = softmax_policy(padding, torch.zeros(2, 4, 3, 5, dtype=torch.bool), epsilon)
    torch.testing.assert_close(found, torch.full_like(padding, 1 / 5))
    (gradient,) = torch.autograd.grad(found.square().sum(), padding)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_extreme_logits_stay_policies(logit: float) -> None:
    found = softmax_policy(torch.tensor([[[logit, 0.0, 1.0]]]), torch.ones(1, 1, 3, dtype=torch.bool), 0.1)
    assert found.isfinite().all()
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(found.min()) == pytest.approx(0.1 / 3)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_an_unavailable_logit_far_above_all_others_leaves_a_policy(epsilon: float) -> None:
    logits = torch.tensor([[[500.0, 0.0, 1.0]]], requires_grad=True)
    found = softmax_policy(logits, torch.tensor([[[False, True, True]]]), epsilon)
    torch.testing.assert_close(found, torch.tensor([[[0.0, 0.5, 0.5]]]))
    (gradient,) = torch.autograd.grad(found[0, 0, 1].log(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0])
def test_softmax_actions_are_drawn_with_the_policys_shares(epsilon: float) -> None:
    shape, generator = (20_000, -1, -1), torch.Generator().manual_seed(0)
    actions = epsilon_softmax(LOGITS.expand(*shape), SOME.expand(*shape), epsilon, generator)
    policy = softmax_policy(LOGITS, SOME, epsilon)[0]
    for agent in range(2):
        shares = [float((actions[:, agent] == action).float().mean()) for action in range(3)]
        assert shares == pytest.approx(policy[agent].tolist(), abs=0.02)
    assert not (actions[:, 0] == 1).any(), "what is not available is never drawn"
    both = float(((actions[:, 0] == 2) & (actions[:, 1] == 2)).float().mean())
    assert both == pytest.approx(float(policy[0, 2] * policy[1, 2]), abs=0.02), "agents draw independently"


def test_softmax_draws_are_those_of_the_generator() -> None:
    def sampled(seed: int) -> torch.Tensor:
        shape = (50, -1, -1)
        return epsilon_softmax(LOGITS.expand(*shape), SOME.expand(*shape), 0.2, torch.Generator().manual_seed(seed))

    assert torch.equal(sampled(1), sampled(1))
    assert not torch.equal(sampled(1), sampled(2))
