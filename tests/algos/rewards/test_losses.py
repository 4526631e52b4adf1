"""The terms of the loss and the rules of trust, by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from marlpipe.algos.rewards.learned import steps_to_learn_from
from marlpipe.algos.rewards.losses import log_cosh, mean_over_records, mean_over_steps, squared_error


def test_log_cosh_is_that_of_numpy_and_does_not_overflow() -> None:
    errors = np.linspace(-20, 20, 401)
    found = log_cosh(torch.from_numpy(errors)).numpy()
    np.testing.assert_allclose(found, np.log(np.cosh(errors)), atol=1e-12)
    far = torch.tensor([1e4, -1e4])
    torch.testing.assert_close(log_cosh(far), torch.full((2,), 1e4 - math.log(2)))


def test_the_slope_of_log_cosh_is_tanh() -> None:
    errors = torch.tensor([-3.0, -0.2, 0.4, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    log_cosh(errors).sum().backward()
    torch.testing.assert_close(errors.grad, torch.tanh(errors.detach()))


def test_squared_error() -> None:
    assert squared_error(torch.tensor([-3.0, 0.5])).tolist() == [9.0, 0.25]


def test_the_two_reductions() -> None:
    misfit, penalty = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 0.0, 1.0])
    assert float(mean_over_steps(misfit, penalty, 0.1, 20)) == pytest.approx(9 / 3 + 0.1 * 1.5 / 3)
    assert float(mean_over_records(misfit, penalty, 0.1, 20)) == pytest.approx(9 / 20 + 0.1 * 1.5)


def test_lambda_of_the_two_reductions_for_figure_6() -> None:
    """10 episodes of 50 steps: 1e-4 summed over them weighs as 0.051 in the mean does (D37)."""
    misfit, penalty = torch.rand(500), torch.rand(500)
    official = mean_over_records(misfit, penalty, 1e-4, 510) * 510 / 500
    torch.testing.assert_close(official, mean_over_steps(misfit, penalty, 1e-4 * 510, 510))


def trust(errors: Tensor, valid: Tensor, share: float) -> list[list[bool]]:
    return steps_to_learn_from(errors, valid, tolerance=0.5, accurate_share=share).tolist()


def test_exactly_the_errors_of_delta_and_more_are_dropped() -> None:
    errors = torch.tensor([[0.499, -0.499, 0.0], [0.5, -0.5, -9.0]])
    assert trust(errors, torch.ones(2, 3, dtype=torch.bool), 0.0) == [[True] * 3, [False] * 3]


def test_what_is_not_valid_is_not_trusted() -> None:
    valid = torch.tensor([[True, False], [True, True]])
    assert trust(torch.zeros(2, 2), valid, 0.0) == valid.tolist()


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (1, False), (2, False)])
def test_the_gate_takes_more_than_nine_of_ten(wrong: int, passes: bool) -> None:
    """Nine accurate ones of ten are not more than 0.9; padding, however accurate, does not count."""
    errors = torch.zeros(2, 8)
    errors[0, :wrong] = 1.0
    valid = torch.arange(8) < torch.tensor([[6], [4]])
    found = trust(errors, valid, 0.9)
    expected = (valid & (errors == 0)).tolist() if passes else [[False] * 8] * 2
    assert found == expected


def test_a_higher_share_of_accurate_steps_opens_the_gate() -> None:
    errors = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    valid = torch.ones(1, 4, dtype=torch.bool)
    assert trust(errors, valid, 0.74) == [[True, True, True, False]]
    assert trust(errors, valid, 0.75) == [[False] * 4]
