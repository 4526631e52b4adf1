"""The tree backup against hand-computed numbers and plain loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos.targets import one_step_targets, tree_backup_targets

DISCOUNT, DECAY = 0.99, 0.93
LENGTHS, TERMINAL = [6, 1, 4, 9, 9, 2], [True, False, False, True, False, True]


def drawn(seed: int = 0) -> dict[str, Any]:
    """Ragged episodes of two blocks with noise as padding, in double precision."""
    draw = torch.Generator().manual_seed(seed)
    n, steps = len(LENGTHS), max(LENGTHS)
    length = torch.tensor(LENGTHS).unsqueeze(1)
    return {
        "rewards": torch.randn(n, steps, 2, generator=draw, dtype=torch.float64),
        "values": torch.randn(n, steps, 2, generator=draw, dtype=torch.float64),
        "expected_values": torch.randn(n, steps + 1, 2, generator=draw, dtype=torch.float64),
        "probabilities": torch.rand(n, steps, generator=draw, dtype=torch.float64),
        "terminated": (torch.arange(steps) == length - 1) & torch.tensor(TERMINAL).unsqueeze(1),
        "valid": torch.arange(steps) < length,
    }


def backup(given: dict[str, Any], steps: int, decay: float = DECAY) -> Tensor:
    return tree_backup_targets(**given, discount=DISCOUNT, trace_decay=decay, steps=steps)


def plain(given: dict[str, Any], steps: int) -> Tensor:
    """The two equations as they are written, number by number."""
    found = torch.zeros_like(given["values"])
    for episode, (length, terminal) in enumerate(zip(LENGTHS, TERMINAL, strict=True)):
        probability = given["probabilities"][episode].tolist()
        for block in range(2):
            reward, value, expected = (
                given[name][episode, :, block].tolist() for name in ("rewards", "values", "expected_values")
            )
            if terminal:
                expected[length] = 0.0
            delta = [reward[t] + DISCOUNT * expected[t + 1] - value[t] for t in range(length)]
            for t in range(length):
                found[episode, t, block] = value[t]
                for ahead in range(min(steps, length - t)):
                    trace = math.prod(probability[t + j] for j in range(1, ahead + 1))
                    found[episode, t, block] += (DISCOUNT * DECAY) ** ahead * trace * delta[t + ahead]
    return found


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_equals_plain_loops(steps: int) -> None:
    given = drawn()
    torch.testing.assert_close(backup(given, steps), plain(given, steps), atol=1e-12, rtol=1e-12)


def test_two_steps_by_hand() -> None:
    """γ = λ = ½. δ = (1 + 1 − 3, 2 + 3 − 1, 5 − 4) = (−1, 4, 1) and γλπ = (·, 0.2, 0.1): one error ahead counts."""
    found = tree_backup_targets(
        torch.tensor([1.0, 2.0, 5.0]).view(1, 3, 1),
        torch.tensor([3.0, 1.0, 4.0]).view(1, 3, 1),
        torch.tensor([9.0, 2.0, 6.0, 7.0]).view(1, 4, 1),
        torch.tensor([[0.3, 0.8, 0.4]]),
        torch.tensor([[False, False, True]]),
        torch.ones(1, 3, dtype=torch.bool),
        discount=0.5,
        trace_decay=0.5,
        steps=2,
    )
    torch.testing.assert_close(found.flatten(), torch.tensor([2.0 + 0.2 * 4.0, 5.0 + 0.1 * 1.0, 5.0]))


def test_one_step_is_expected_sarsa() -> None:
    """Golden: y_t = r_t + γ E_π[V(s_{t+1}, ·)], whatever the decay."""
    given = drawn()
    wanted = one_step_targets(
        given["rewards"], given["expected_values"], given["terminated"], given["valid"], discount=DISCOUNT
    )
    for decay in (0.0, DECAY, 1.0):
        torch.testing.assert_close(backup(given, 1, decay), wanted, atol=1e-6, rtol=1e-6)


def test_actions_that_the_policy_never_takes_end_the_backup() -> None:
    """Golden: with π(a) = 0 beyond t the n steps are one."""
    given = drawn()
    never = {**given, "probabilities": torch.zeros_like(given["probabilities"])}
    torch.testing.assert_close(backup(never, 5), backup(given, 1), atol=1e-12, rtol=1e-12)
    assert not torch.allclose(backup(given, 5), backup(given, 1))


def test_actions_that_the_policy_always_takes_give_the_discounted_return() -> None:
    """π = 1, λ = 1 and expectations that are the next values: the errors telescope."""
    given = drawn()
    last = given["expected_values"][:, -1:]
    sure = {
        **given,
        "probabilities": torch.ones_like(given["probabilities"]),
        "expected_values": torch.cat([given["values"], last], dim=1),
    }
    found = backup(sure, 20, decay=1.0)
    for episode, (length, terminal) in enumerate(zip(LENGTHS, TERMINAL, strict=True)):
        rewards = given["rewards"][episode, :length]
        wanted = sum(DISCOUNT**t * rewards[t] for t in range(length))
        if not terminal:
            wanted = wanted + DISCOUNT**length * sure["expected_values"][episode, length]
        torch.testing.assert_close(found[episode, 0], wanted, atol=1e-12, rtol=1e-12)


def test_the_first_moments_own_probability_does_not_count() -> None:
    given, other = drawn(), drawn()
    other["probabilities"][:, 0] = 0.123
    torch.testing.assert_close(backup(given, 5), backup(other, 5), atol=0, rtol=0)


def test_padding_never_matters() -> None:
    given, other = drawn(), drawn()
    for name in ("rewards", "values", "probabilities"):
        other[name][~given["valid"]] = 1e6
    ended = torch.cat([torch.ones(len(LENGTHS), 1, dtype=torch.bool), given["valid"]], dim=1)
    other["expected_values"][~ended] = 1e6
    other["terminated"] = given["terminated"] | ~given["valid"]
    assert torch.equal(backup(given, 5), backup(other, 5))
    assert not backup(given, 5)[~given["valid"]].any()


def test_what_is_given_is_left_alone() -> None:
    given = drawn()
    before = {name: field.clone() for name, field in given.items()}
    backup(given, 5)
    assert all(torch.equal(given[name], before[name]) for name in given)
