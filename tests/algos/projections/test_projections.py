"""Weights of the projection: WQMIX's and the regret-minimising ones of QPro."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos.projections.context import ProjectionContext
from marlpipe.algos.projections.regret import RegretMinimising
from marlpipe.algos.projections.weighted import Central, Optimistic, Uniform

QPRO = RegretMinimising(
    min_weight=0.1,
    temperature=1.0,
    max_exponent=5.0,
    min_slope=0.01,
    min_bracket=0.01,
    negative_bracket="clamp",
    normalisation="max",
    quantile=0.95,
    use_bellman_error=True,
    use_underestimation=True,
    use_gradient=True,
)


def context(
    *,
    values: Sequence[float],
    targets: Sequence[float],
    optimal: Sequence[float] | None = None,
    slopes: Sequence[Sequence[float]] | None = None,
    utilities: Sequence[Sequence[Sequence[float]]] | None = None,
    valid: Sequence[bool] | None = None,
    **known: Any,
) -> ProjectionContext:
    """One episode of two agents with two actions each, who took action 0; one block."""
    steps = len(values)

    def column(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers).view(1, steps, 1)

    return ProjectionContext(
        values=column(values),
        targets=column(targets),
        mask=torch.tensor([valid or [True] * steps]),
        is_greedy=known.pop("is_greedy", torch.zeros(1, steps, 1, dtype=torch.bool)),
        utilities=torch.tensor([utilities or [[[0.0, 0.0], [0.0, 0.0]]] * steps]),
        avail_actions=known.pop("avail_actions", torch.ones(1, steps, 2, 2, dtype=torch.bool)),
        actions=torch.zeros(1, steps, 2, dtype=torch.long),
        reads=torch.ones(1, 2, dtype=torch.bool),
        slopes=lambda: torch.tensor(slopes or [[1.0, 1.0]] * steps).view(1, steps, 1, 2),
        optimal_values=lambda: column(optimal if optimal is not None else values),
        **known,
    )


# step 0: π = ½, ½;  g = ½/0.5 + ½/0.25 − 1 = 2.    step 1: π = ¾, ½;  g = ¼/0.1 + ½/0.5 − 1 = 2.5.   step 2: δ < 0
EXAMPLE = {
    "values": [0.0, 1.0, 2.0],
    "targets": [1.0, 1.5, 1.0],
    "optimal": [0.5, 3.0, 9.0],
    "slopes": [[0.5, 0.25], [0.1, 0.5], [0.1, 0.1]],
    "utilities": [[[1.0, 1.0], [0.0, 0.0]], [[log(3), 0.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]],
}


def weights(projection: Any, **example: Any) -> list[float]:
    given = context(**example)
    found: list[float] = projection(given.values, lambda: given).flatten().tolist()
    return found


def ranged(raw: Sequence[float], scale: float) -> list[float]:
    return [0.1 + 0.9 * min(1.0, e / scale) for e in raw]


def test_the_whole_formula_by_hand() -> None:
    raw = [1.0 * exp(0.5) * 2, 0.5 * exp(2.0) * 2.5, 0.0]
    assert weights(QPRO, **EXAMPLE) == pytest.approx(ranged(raw, raw[1]), abs=1e-6)


@pytest.mark.parametrize(
    ("switch", "raw"),
    [
        ({"use_bellman_error": False}, [exp(0.5) * 2, exp(2.0) * 2.5, 0.0]),
        ({"use_underestimation": False}, [1.0 * 2, 0.5 * 2.5, 0.0]),
        ({"use_gradient": False}, [1.0 * exp(0.5), 0.5 * exp(2.0), 0.0]),
        ({"max_exponent": 1.0}, [1.0 * exp(0.5) * 2, 0.5 * exp(1.0) * 2.5, 0.0]),
        ({"min_slope": 0.4}, [1.0 * exp(0.5) * 1.25, 0.5 * exp(2.0) * (0.25 / 0.4 + 1 - 1), 0.0]),
    ],
    ids=str,
)
def test_each_switch_replaces_its_factor_by_one_and_keeps_the_condition(
    switch: dict[str, Any], raw: list[float]
) -> None:
    assert weights(replace(QPRO, **switch), **EXAMPLE) == pytest.approx(ranged(raw, max(raw)), abs=1e-6)


def test_temperature_of_the_boltzmann_policies() -> None:
    """At τ = ½ the odds of log 3 are 9 to 1: π = 0.9 and g = 0.1/0.1 + ½/0.5 − 1 = 1."""
    raw = [1.0 * exp(0.5) * 2, 0.5 * exp(2.0) * 1.0, 0.0]
    assert weights(replace(QPRO, temperature=0.5), **EXAMPLE) == pytest.approx(ranged(raw, max(raw)), abs=1e-6)


def test_probabilities_are_among_the_available_actions() -> None:
    """An agent without a choice has π = 1; with action 0 alone available, step 0 has g = 0 + 2 − 1 = 1."""
    avail = torch.ones(1, 3, 2, 2, dtype=torch.bool)
    avail[0, 0, 0, 1] = False
    raw = [1.0 * exp(0.5) * 1, 0.5 * exp(2.0) * 2.5, 0.0]
    assert weights(QPRO, **EXAMPLE, avail_actions=avail) == pytest.approx(ranged(raw, max(raw)), abs=1e-6)


@pytest.mark.parametrize(
    ("rule", "g"), [("clamp", [2.0, 0.01, 0.01]), ("zero_weight", [2.0, 0.0, 0.01]), ("abs", [2.0, 0.5, 0.01])]
)
def test_negative_brackets(rule: Any, g: list[float]) -> None:
    """g = 2, −0.5 and 0 before the rule: π = ½ throughout, slopes [½, ½ / 2], [2, 2] and [1, 1]."""
    found = weights(
        replace(QPRO, negative_bracket=rule),
        values=[0.0, 0.0, 0.0],
        targets=[1.0, 1.0, 1.0],
        slopes=[[0.5, 0.25], [2.0, 2.0], [1.0, 1.0]],
    )
    assert found == pytest.approx(ranged(g, 2.0), abs=1e-6)


def test_a_slope_that_the_block_does_not_read_does_not_count() -> None:
    given = context(values=[0.0, 0.0], targets=[1.0, 1.0], slopes=[[0.1, 0.0], [0.2, 0.0]])
    reading_one = replace(given, reads=torch.tensor([[True, False]]))
    found = QPRO(given.values, lambda: reading_one).flatten().tolist()
    assert found == pytest.approx(ranged([5.0 - 1, 2.5 - 1], 4.0), abs=1e-6)


LOUD = {"values": [0.0] * 5, "targets": [1.0, 2.0, 3.0, 4.0, -1.0]}  # raw weights ∝ 1, 2, 3, 4, 0 with constant factors
PLAIN = replace(QPRO, use_underestimation=False, use_gradient=False)


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        ("max", ranged([1.0, 2.0, 3.0, 4.0, 0.0], 4.0)),
        ("quantile", ranged([1.0, 2.0, 3.0, 4.0, 0.0], 3.0)),
        ("mean", [0.1 + 0.9 * e / 2.0 for e in [1.0, 2.0, 3.0, 4.0, 0.0]]),
    ],
)
def test_normalisations(normalisation: Any, expected: list[float]) -> None:
    found = weights(replace(PLAIN, normalisation=normalisation, quantile=0.75), **LOUD)
    assert found == pytest.approx(expected, abs=1e-6)
    if normalisation == "mean":
        assert sum(found) / 5 == pytest.approx(1.0)


@pytest.mark.parametrize("normalisation", ["max", "quantile", "mean"])
def test_padding_does_not_influence_the_weights_of_others(normalisation: Any) -> None:
    projection = replace(QPRO, normalisation=normalisation)
    alone = weights(projection, **EXAMPLE)
    padded: dict[str, Any] = {key: [*numbers, numbers[0]] for key, numbers in EXAMPLE.items()}
    padded |= {"valid": [True, True, True, False]}
    for target in (1e6, -1e6):
        padded["targets"][-1] = target
        assert weights(projection, **padded)[:3] == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("normalisation", ["max", "quantile", "mean"])
@pytest.mark.parametrize("value", [-2.0, 2.0])
def test_padding_without_any_available_action_does_not_spread(normalisation: Any, value: float) -> None:
    """Replays pad with zeros, so nothing is available there and no action has a probability."""
    projection = replace(QPRO, normalisation=normalisation)
    avail = torch.ones(1, 4, 2, 2, dtype=torch.bool)
    avail[0, 3] = False
    padded: dict[str, Any] = {key: [*numbers, numbers[0]] for key, numbers in EXAMPLE.items()}
    padded |= {"valid": [True, True, True, False], "avail_actions": avail}
    padded["values"][-1], padded["targets"][-1] = value, 0.0
    found = weights(projection, **padded)
    assert found[:3] == pytest.approx(weights(projection, **EXAMPLE), abs=1e-6)
    assert all(abs(weight) < 100 for weight in found)


def random_context(scale: float, seed: int = 0) -> ProjectionContext:
    draw = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=draw)

    values, targets, optimal = numbers(4, 6, 2), numbers(4, 6, 2), numbers(4, 6, 2)
    slopes = torch.rand(4, 6, 2, 3, generator=draw)
    return ProjectionContext(
        values=values,
        targets=targets,
        mask=torch.rand(4, 6, generator=draw) < 0.8,
        is_greedy=torch.rand(4, 6, 2, generator=draw) < 0.5,
        utilities=numbers(4, 6, 3, 5),
        avail_actions=torch.ones(4, 6, 3, 5, dtype=torch.bool),
        actions=torch.randint(5, (4, 6, 3), generator=draw),
        reads=torch.ones(2, 3, dtype=torch.bool),
        slopes=lambda: slopes,
        greedy_optimal_values=numbers(4, 6, 2),
        optimal_values=lambda: optimal,
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("normalisation", ["max", "quantile"])
def test_weights_lie_in_their_range(scale: float, normalisation: Any) -> None:
    given = random_context(scale)
    found = replace(QPRO, normalisation=normalisation)(given.values, lambda: given)
    assert found.isfinite().all()
    assert (found >= 0.1).all()
    assert (found <= 1).all()
    assert ((found[given.targets < given.values] - 0.1).abs() < 1e-6).all()
    if normalisation == "max":
        assert found[given.mask].max().item() == pytest.approx(1.0)


@pytest.mark.parametrize("optimal", [-1e4, 1e4])
def test_values_far_apart_stay_finite(optimal: float) -> None:
    for projection in (QPRO, replace(QPRO, max_exponent=3e4)):
        found = weights(projection, values=[-optimal, 0.0, 0.0], targets=[1e4, 1.0, 2.0], optimal=[optimal, 0.0, 1e4])
        assert all(0.1 - 1e-6 <= weight <= 1 + 1e-6 for weight in found)


@pytest.mark.parametrize("normalisation", ["max", "quantile", "mean"])
def test_nothing_underestimated_means_the_least_weight(normalisation: Any) -> None:
    found = weights(replace(QPRO, normalisation=normalisation), values=[1.0, 2.0], targets=[0.0, -1.0])
    assert found == pytest.approx([0.1, 0.1])


def probe(change: Callable[[dict[str, Any], float], None], inputs: Sequence[float]) -> list[float]:
    """The weight of step 0 beside a louder step 1, for several inputs."""
    found = []
    for number in inputs:
        example: dict[str, Any] = {
            "values": [0.0, 0.0],
            "targets": [1.0, 1e4],
            "optimal": [0.0, 0.0],
            "slopes": [[0.2, 0.2], [0.2, 0.2]],
        }
        change(example, number)
        found.append(weights(QPRO, **example)[0])
    return found


def rising(numbers: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


def test_the_weight_rises_with_the_bellman_error() -> None:
    assert rising(probe(lambda example, x: example["targets"].__setitem__(0, x), [10.0, 50.0, 200.0, 1000.0]))


def test_the_weight_rises_with_the_underestimation_inside_the_clip() -> None:
    def change(example: dict[str, Any], x: float) -> None:
        example["targets"][0], example["optimal"][0] = 20.0, x

    assert rising(probe(change, [-2.0, 0.0, 2.0, 4.0, 5.0]))
    beyond = probe(change, [5.0, 6.0, 100.0])
    assert beyond == pytest.approx([beyond[0]] * 3)


def test_the_weight_falls_with_the_slopes() -> None:
    def change(example: dict[str, Any], x: float) -> None:
        example["targets"][0], example["slopes"][0] = 5000.0, [x, 0.3]

    assert rising(probe(change, [2.0, 1.0, 0.5, 0.3]))


def test_constant_factors_make_it_optimistic_weighting() -> None:
    binary = replace(QPRO, use_bellman_error=False, use_underestimation=False, use_gradient=False)
    given = random_context(1.0)
    expected = Optimistic(alpha=0.1)(given.values, lambda: given)
    assert torch.equal(binary(given.values, lambda: given)[given.mask], expected[given.mask])


def test_optimistic_weights_are_one_exactly_where_the_value_is_too_low() -> None:
    found = weights(Optimistic(alpha=0.3), values=[0.0, 1.0, 1.0, 2.0], targets=[1.0, 1.0, 0.5, 2.0001])
    assert found == pytest.approx([1.0, 0.3, 0.3, 1.0])


def test_central_weights_are_one_for_greedy_actions_and_for_better_ones() -> None:
    given = context(
        values=[5.0] * 4,
        targets=[1.0, 1.0, 3.0, 2.0],
        is_greedy=torch.tensor([True, False, False, False]).view(1, 4, 1),
        greedy_optimal_values=torch.full((1, 4, 1), 2.0),
    )
    assert Central(alpha=0.3)(given.values, lambda: given).flatten().tolist() == pytest.approx([1.0, 0.3, 1.0, 0.3])


def test_alpha_of_one_is_no_weighting() -> None:
    given = random_context(1.0)
    for projection in (Optimistic(alpha=1.0), Central(alpha=1.0), Uniform()):
        assert torch.equal(projection(given.values, lambda: given), torch.ones(4, 6, 2))
