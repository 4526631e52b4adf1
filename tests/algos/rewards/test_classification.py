"""Sums of independent values against every combination, and the classification built on them."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from marlpipe.algos.rewards.classification import at, sum_distribution
from marlpipe.config.build import build_part
from marlpipe.envs import graphs
from marlpipe.errors import UserError
from tests.support.composition import compose
from tests.support.synthetic import make_spec


@pytest.mark.parametrize(("variables", "values"), [(1, 3), (2, 2), (3, 4), (5, 3)])
def test_the_sum_is_distributed_as_all_combinations_say(variables: int, values: int) -> None:
    probabilities = torch.rand(2, variables, values, dtype=torch.float64).softmax(-1)
    expected = np.zeros((2, variables * (values - 1) + 1))
    for choice in product(range(values), repeat=variables):
        for row in range(2):
            expected[row, sum(choice)] += np.prod([float(probabilities[row, i, x]) for i, x in enumerate(choice)])
    np.testing.assert_allclose(sum_distribution(probabilities).numpy(), expected, rtol=1e-12)


def test_small_probabilities_keep_their_digits() -> None:
    """18 variables that are 1 with probability 0.01: P(sum = 18) = 1e-36, just within single precision."""
    rare = torch.tensor([0.99, 0.01]).expand(1, 18, 2)
    torch.testing.assert_close(float(sum_distribution(rare)[0, -1]), 1e-36, rtol=1e-4, atol=0.0)


def test_a_sum_that_cannot_be_has_no_probability() -> None:
    assert at(torch.tensor([[0.25, 0.75]] * 4), torch.tensor([0, 1, 2, -1])).tolist() == [0.25, 0.75, 0.0, 0.0]


SPEC = make_spec(n_agents=3, graph=graphs.line(3))
SETS = [(0,), (1,), (2,), (0, 1), (1, 2)]
VALUES = {1: [0.0, 0.5, 1.0], 2: [-2.0, -1.0, 0.0, 1.0, 2.0]}


def classification(*overrides: str) -> Any:
    torch.manual_seed(0)
    reward = compose(
        "algo=lomaq_rd",
        "reward=learned_classes",
        "reward.sets.largest=2",
        "reward.model.single_values=[0.5,1.0,0.0]",
        *overrides,
    )
    return build_part(reward, "reward", spec=SPEC, partition=torch.eye(3)).double().model


def probabilities(model: Any, obs: Tensor) -> list[list[Tensor]]:
    """Of each moment, each set's softmax over its own values."""
    by_size = dict(zip(model.networks.sizes, model.networks.networks, strict=True))
    return [
        [by_size[len(members)](torch.cat([moment[i] for i in members])).softmax(-1) for members in SETS]
        for moment in obs
    ]


def test_terms_equal_the_sum_over_all_combinations() -> None:
    """−log(P + 1e-8) of the whole team reward, and Σ p v², gradients too. 1.04 is 1; 9 and −8 cannot be."""
    model, obs = classification(), torch.randn(6, 3, 5, dtype=torch.float64)
    team = torch.tensor([1.04, 0.0, 3.0, 9.0, -8.0, 1.98], dtype=torch.float64)
    found = model.terms(obs, team)
    misfit, magnitudes = [], []
    for of_sets, paid in zip(probabilities(model, obs), team.tolist(), strict=True):
        total = torch.zeros((), dtype=torch.float64)
        for choice in product(*(range(len(p)) for p in of_sets)):
            if sum(VALUES[len(members)][k] for members, k in zip(SETS, choice, strict=True)) == round(paid):
                chosen = torch.stack([p[k] for p, k in zip(of_sets, choice, strict=True)])
                total = total + chosen.prod()
        misfit.append(-torch.log(total + 1e-8))
        magnitudes.append(
            torch.stack([(p * torch.tensor(VALUES[len(m)]) ** 2).sum() for p, m in zip(of_sets, SETS, strict=True)])
        )
    torch.testing.assert_close(found.misfit, torch.stack(misfit))
    torch.testing.assert_close(found.magnitudes, torch.stack(magnitudes))
    parameters = list(model.parameters())
    for one, other in zip(
        torch.autograd.grad(found.misfit.sum(), parameters),
        torch.autograd.grad(torch.stack(misfit).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_reward_is_the_most_probable_value() -> None:
    model, obs = classification(), torch.randn(20, 3, 5, dtype=torch.float64)
    with torch.no_grad():
        for network in model.networks.networks:
            network[-1].weight.mul_(20)  # so that not the same value wins everywhere
    expected = [
        [VALUES[len(members)][int(p.argmax())] for p, members in zip(of_sets, SETS, strict=True)]
        for of_sets in probabilities(model, obs)
    ]
    assert model(obs).tolist() == expected
    assert len({value for row in expected for value in row}) > 3


@pytest.mark.parametrize("values", ["[0.0]", "[0.0,0.3]", "[1.0,1.0,0.0]"])
def test_values_are_different_whole_or_half_numbers(values: str) -> None:
    with pytest.raises(UserError, match=r"single_values=(.|\n)*half numbers"):
        classification(f"reward.model.single_values={values}")
